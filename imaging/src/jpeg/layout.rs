//! Which of the many ways to lay out a JPEG's samples are read, and how.
//!
//! Only what has been compared with libjpeg is read (`tests/layouts.rs`): the decoder makes another picture of
//! some of the others, without an error. They are refused by name.

use super::frame::Component;
use super::structure::{Colour, Scan, Structure};
use crate::Rejection;

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// All components in one go.
    Whole,
    /// Every component as a grey picture of its own: no scan holds more than one.
    Planes,
}

/// Picks how a file is read, or refuses it by name.
pub(crate) fn of(structure: &Structure) -> Result<Layout, Rejection> {
    let scans = structure.scans().count();
    let single = structure.scans().all(|scan| scan.components.len() == 1);
    if !structure.progressive() {
        // A baseline scan holds all of a component.
        let expected = if single { structure.components.len() } else { 1 };
        if scans != expected {
            return Err(refused("with some of its components in one scan and some in another"));
        }
    }
    if structure.colour == Colour::Grey {
        return Ok(Layout::Whole);
    }
    if !structure.scans().all(in_order) {
        return Err(refused("with a scan of its components in another order"));
    }
    if !sampling_is_read(structure) {
        let each = structure.components.iter().map(|c| format!("{}×{}", c.h, c.v));
        return Err(refused(format!("sampled {}", each.collect::<Vec<_>>().join(", "))));
    }
    Ok(if single { Layout::Planes } else { Layout::Whole })
}

fn in_order(scan: &Scan) -> bool {
    scan.components.is_sorted_by(|(a, _), (b, _)| a < b)
}

/// Whether the first component has all its samples, and no other has more of them or a share that the
/// decoder does not enlarge. What carries the grey of the picture has all of them.
fn sampling_is_read(structure: &Structure) -> bool {
    let (first, rest) = (structure.components[0], &structure.components[1..]);
    let full = |c: &Component| (c.h, c.v) == (first.h, first.v);
    let coarser = |c: &Component| match (first.h, first.v) {
        (1 | 2, 1 | 2) => c.h <= first.h && c.v <= first.v,
        // As of digital video, 4:1:1 and 4:1:0.
        (1 | 2 | 4, 1 | 2 | 4) => (c.h, c.v) == (1, 1),
        _ => false,
    };
    match structure.colour {
        Colour::Grey => true,
        Colour::YCbCr => rest.iter().all(coarser),
        // The last one darkens the first.
        Colour::Ycck => rest[..2].iter().all(coarser) && full(&rest[2]),
        Colour::Rgb | Colour::Cmyk => rest.iter().all(|c| full(c) && coarser(c)),
    }
}

fn refused(how: impl std::fmt::Display) -> Rejection {
    Rejection::unsupported(format!(
        "A JPEG {how}: not a layout that is read. Save it again as a grey JPEG or PNG."
    ))
}
