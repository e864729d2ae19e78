//! Whether black and white seem to be exchanged: a file may say MONOCHROME1 of pixels that are not inverted, or the
//! reverse, and nothing but the picture tells.
//!
//! Asked of DICOM only, after its own attributes were followed, and never answered by turning the picture over: a
//! person looks. In a frontal chest radiograph the middle (spine, heart) is brighter than the lungs beside it, and the
//! upper corners, outside the shoulders, are darker than the middle. Where both are the reverse it is refused.
//!
//! | films | refused as they are | refused when inverted |
//! |---|---|---|
//! | 80 originals of Kermany 2018 | 0 | 80 |
//! | 624 of its test set | 0 | 619 |
//! | 200 adults of ChestX-ray14 | 0 | 185 |

use lobar_core::engine::NetworkInput;
use lobar_core::image::Reason;

use crate::Rejection;

/// How much darker than the lungs the middle must be, mean grey levels.
const DARKER: f64 = 10.0;

/// A part of the input: columns and rows, from and to.
type Part = [usize; 4];

const LUNGS: [Part; 2] = [[45, 90, 67, 134], [134, 179, 67, 134]];
const MIDDLE: Part = [101, 123, 67, 157];
const CORNERS: [Part; 2] = [[0, 22, 0, 22], [202, 224, 0, 22]];

/// Refuses what seems to be inverted (`uncertain_polarity`).
pub(crate) fn check(input: &NetworkInput) -> Result<(), Rejection> {
    let mean = |parts: &[Part]| {
        let (mut sum, mut count) = (0u64, 0u64);
        for [left, right, top, bottom] in parts {
            for row in *top..*bottom {
                let row = &input.pixels()[row * NetworkInput::SIDE..][*left..*right];
                sum += row.iter().map(|pixel| u64::from(*pixel)).sum::<u64>();
                count += row.len() as u64;
            }
        }
        sum as f64 / count as f64
    };
    let (lungs, middle, corners) = (mean(&LUNGS), mean(&[MIDDLE]), mean(&CORNERS));
    if middle >= lungs - DARKER || corners <= middle {
        return Ok(());
    }
    let detail = format!(
        "The middle has a mean grey of {middle:.0}, the lungs {lungs:.0}, the upper corners {corners:.0}: the reverse \
         of a chest X-ray."
    );
    Err(Rejection::new(Reason::UncertainPolarity, detail))
}
