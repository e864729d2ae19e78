//! DICOM: a file's bytes to whose image it is, and to its picture.
//!
//! ```text
//! bytes ─▶ open ─▶ data set ─┬▶ attributes
//!                            └▶ gate ─▶ codec ─▶ stored values ─▶ modality values ─▶ window ─▶ inversion ─▶ grey
//! ```
//!
//! What is read and what is refused, and why: `docs/dicom.md`.

mod attributes;
mod data_set;
mod element;
mod open;
mod text;
mod transfer_syntax;

use std::panic::catch_unwind;

use lobar_core::study::Attributes;

use crate::{Format, Limits, sniff};

/// Whose image it is, as a DICOM file says itself: without its pixels, and also where those are refused. `None` for other
/// files, and where nothing can be made out.
pub fn attributes(bytes: &[u8]) -> Option<Attributes> {
    if sniff(bytes) != Some(Format::Dicom) {
        return None;
    }
    let read = catch_unwind(|| {
        let file = open::open(bytes, &Limits::default()).ok()?;
        Some(attributes::read(&file))
    });
    read.ok().flatten().filter(|read| *read != Attributes::default())
}
