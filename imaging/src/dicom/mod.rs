//! DICOM: a file's bytes to whose image it is, and to its picture.
//!
//! ```text
//! bytes ─▶ open ─▶ data set ─┬▶ attributes
//!                            ├▶ gate (for the network alone: a doctor sees what was refused)
//!                            └▶ codec ─▶ stored values ─▶ modality values ─▶ window ─▶ inversion ─▶ grey
//! ```
//!
//! What is read and what is refused, and why: `docs/dicom.md`. How 12 bits become 8: `docs/adr/0029`. The codecs run in
//! a process of their own where the program gives one ([`crate::isolation`], `docs/adr/0030`); all before
//! them only looks at the bytes, in linear time and constant memory, but for a deflated data set: it is inflated, within
//! memory that is reserved for it.

mod attributes;
mod codec;
mod data_set;
mod element;
pub(crate) mod full_depth;
mod gate;
mod grey;
mod layout;
mod open;
mod tag;
mod text;
mod transfer_syntax;
#[cfg(any(test, fuzzing))]
pub(crate) mod trial;
mod uncompressed;
mod values;
mod window;

use std::panic::{AssertUnwindSafe, catch_unwind};

use lobar_core::study::{Attributes, Uid};

use crate::memory::{self, Reserved};
pub use uncompressed::{Loss, Uncompressed, memory_to_uncompress, uncompress};

use crate::{
    Chroma, Format, FullDepth, Limits, Radiograph, Rejection, Voi, Warning, isolation, sniff,
};

/// Whose image it is, as a DICOM file says itself: without its pixels, and also where those are refused. `None` for other
/// files, and where nothing can be made out.
pub fn attributes(bytes: &[u8]) -> Option<Attributes> {
    if sniff(bytes) != Some(Format::Dicom) {
        return None;
    }
    let read = catch_unwind(|| {
        looked_at(bytes, &Limits::default(), |file| Ok(attributes::read(file))).ok()
    });
    read.ok().flatten().filter(|read| *read != Attributes::default())
}

/// What opening a DICOM file takes of memory, bytes: what its data set inflates to at most, nothing for most files.
pub fn memory_to_open(bytes: &[u8], limits: &Limits) -> u64 {
    open::memory_needed(bytes, limits)
}

/// The transfer syntaxes of images that have a name here: UID, name, and whether their pixels are read. Of JPEG Extended
/// those of 8 bits are.
pub fn transfer_syntaxes() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    transfer_syntax::ALL.iter().map(|syntax| (syntax.uid, syntax.name, syntax.codec.is_some()))
}

/// Refuses what is no frontal chest radiograph of CR or DX by its own attributes. Its picture is shown all the same.
pub(crate) fn check(bytes: &[u8], limits: &Limits) -> Result<(), Rejection> {
    contained(|| looked_at(bytes, limits, |file| gate::check(&file.data_set())))
}

/// The picture of a DICOM file, decoded in a process of its own where there is one. `voi`: the window, in place of the file's.
pub(crate) fn decode(
    bytes: &[u8],
    limits: &Limits,
    voi: Option<&Voi>,
) -> Result<(Radiograph, Reserved), Rejection> {
    let needed = contained(|| memory_needed(bytes, limits))?;
    if isolation::is_on() {
        // The other process counts for this one: they live within the same bounds.
        let reserved = memory::reserve(needed)?;
        if let Some(answer) = isolation::decode(bytes, limits, voi) {
            return answer.map(|radiograph| (radiograph, reserved));
        }
    }
    decode_here(bytes, limits, voi)
}

/// The same at its full depth.
pub(crate) fn full_depth(
    bytes: &[u8],
    limits: &Limits,
) -> Result<(FullDepth, Reserved), Rejection> {
    let needed = contained(|| memory_needed(bytes, limits))?;
    if isolation::is_on() {
        let reserved = memory::reserve(needed)?;
        if let Some(answer) = isolation::decode_full_depth(bytes, limits) {
            return Ok((completed(bytes, limits, answer?)?, reserved));
        }
    }
    let (decoded, reserved) = full_depth_here(bytes, limits)?;
    Ok((completed(bytes, limits, decoded)?, reserved))
}

/// Decodes at full depth in this process.
pub(crate) fn full_depth_here(
    bytes: &[u8],
    limits: &Limits,
) -> Result<(full_depth::Decoded, Reserved), Rejection> {
    contained(|| {
        let file = open::open(bytes, limits)?;
        let data_set = file.data_set();
        let layout = layout::read(&data_set, limits)?;
        let coded = codec::find(&data_set, file.transfer_syntax.as_ref().map(Uid::as_str))?;
        full_depth::decoded(&data_set, &layout, coded.decode(&data_set, &layout, limits)?)
    })
}

/// What a child decoded, with what the file says of it; the memory of both is reserved by whoever asks.
fn completed(
    bytes: &[u8],
    limits: &Limits,
    decoded: full_depth::Decoded,
) -> Result<FullDepth, Rejection> {
    contained(|| {
        let file = open::open(bytes, limits)?;
        let data_set = file.data_set();
        let layout = layout::read(&data_set, limits)?;
        if (layout.width, layout.height) != (decoded.width, decoded.height) {
            return Err(Rejection::undecodable("The decoder gave a picture of another size."));
        }
        full_depth::complete(&data_set, &layout, decoded)
    })
}

/// What decoding a file takes, bytes; refuses what is not decoded.
fn memory_needed(bytes: &[u8], limits: &Limits) -> Result<u64, Rejection> {
    let opening = open::memory_needed(bytes, limits);
    let coded = looked_at(bytes, limits, |file| {
        let data_set = file.data_set();
        let layout = layout::read(&data_set, limits)?;
        let coded = codec::find(&data_set, file.transfer_syntax.as_ref().map(Uid::as_str))?;
        Ok(coded.memory(&layout))
    })?;
    Ok(opening + coded)
}

/// Opens a file within memory that is reserved for it, free again afterwards: `look` must not wait for more.
fn looked_at<T>(
    bytes: &[u8],
    limits: &Limits,
    look: impl FnOnce(&open::File<'_>) -> Result<T, Rejection>,
) -> Result<T, Rejection> {
    let needed = open::memory_needed(bytes, limits);
    let _reserved = if needed > 0 { Some(memory::reserve(needed)?) } else { None };
    look(&open::open(bytes, limits)?)
}

/// Decodes in this process. A panic costs this one file.
pub(crate) fn decode_here(
    bytes: &[u8],
    limits: &Limits,
    voi: Option<&Voi>,
) -> Result<(Radiograph, Reserved), Rejection> {
    contained(|| {
        let file = open::open(bytes, limits)?;
        let data_set = file.data_set();
        let layout = layout::read(&data_set, limits)?;
        let coded = codec::find(&data_set, file.transfer_syntax.as_ref().map(Uid::as_str))?;
        let frame = coded.decode(&data_set, &layout, limits)?;
        let mut warnings = Vec::new();
        if layout.stored > 8 {
            warnings.push(Warning::ReducedDepth);
        }
        if frame.mislabelled {
            warnings.push(Warning::Mislabelled);
        }
        if gate::is_mirrored(&data_set) {
            warnings.push(Warning::Mirrored);
        }
        let (pixels, reserved) = grey::picture(&data_set, &layout, frame, voi)?;
        let (width, height, chroma) = (layout.width, layout.height, Chroma::default());
        let radiograph =
            Radiograph { width, height, pixels, chroma, format: Format::Dicom, warnings };
        Ok((radiograph, reserved))
    })
}

pub(crate) fn contained<T>(work: impl FnOnce() -> Result<T, Rejection>) -> Result<T, Rejection> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Rejection::undecodable("The decoder broke on this file.")))
}
