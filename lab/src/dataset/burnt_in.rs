//! Text that an X-ray unit burns into a film's corners: its voltage, the time.
//!
//! Text names the unit. Where one unit photographed mostly the ill, a network can learn the unit instead of lungs,
//! and even where it cannot read the text, the unit's rendering comes with it.

use lobar_core::engine::NetworkInput;
use serde::Serialize;

const SIDE: usize = NetworkInput::SIDE;
/// A stroke is at least so bright, grey levels,
const BRIGHT: f32 = 130.0;
/// and so much brighter than the mean of the 9 × 9 pixels around it.
const ABOVE: f32 = 50.0;
/// Half a side of that square, pixels.
const REACH: usize = 4;
/// Fewest pixels of strokes in a line of text.
const FEWEST: usize = 5;
/// Tallest line, pixels. A letter that marks the patient's side is taller than wide, and is none.
const TALLEST: usize = 9;
/// Narrowest and widest line, pixels.
const WIDTHS: std::ops::RangeInclusive<usize> = 8..=40;

/// A corner of the picture, as it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Corner {
    /// 56 pixels wide and 28 high.
    UpperLeft,
    /// 74 pixels wide and 28 high.
    UpperRight,
    /// 56 pixels wide and 28 high.
    LowerLeft,
    /// 49 pixels wide and 19 high.
    LowerRight,
}

impl Corner {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::UpperLeft, Self::UpperRight, Self::LowerLeft, Self::LowerRight];

    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UpperLeft => "upper left",
            Self::UpperRight => "upper right",
            Self::LowerLeft => "lower left",
            Self::LowerRight => "lower right",
        }
    }

    /// First column and row, width and height.
    fn place(self) -> [usize; 4] {
        match self {
            Self::UpperLeft => [0, 0, 56, 28],
            Self::UpperRight => [SIDE - 74, 0, 74, 28],
            Self::LowerLeft => [0, SIDE - 28, 56, 28],
            Self::LowerRight => [SIDE - 49, SIDE - 19, 49, 19],
        }
    }
}

/// The corners of a picture of 224 × 224 grey levels in which one line of text stands. It is told by its strokes'
/// shape, not read: about one film in fifty has something else there that looks like it.
#[must_use]
pub fn burnt_in_text(pixels: &[u8]) -> Vec<Corner> {
    if pixels.len() != SIDE * SIDE {
        return Vec::new();
    }
    Corner::ALL.into_iter().filter(|corner| has_line(pixels, *corner)).collect()
}

fn has_line(pixels: &[u8], corner: Corner) -> bool {
    let [left, top, width, height] = corner.place();
    let (mut count, mut x_range, mut y_range) = (0, (SIDE, 0), (SIDE, 0));
    for y in top..top + height {
        for x in left..left + width {
            if is_stroke(pixels, x, y) {
                count += 1;
                x_range = (x_range.0.min(x), x_range.1.max(x));
                y_range = (y_range.0.min(y), y_range.1.max(y));
            }
        }
    }
    if count < FEWEST {
        return false;
    }
    let (wide, tall) = (x_range.1 - x_range.0 + 1, y_range.1 - y_range.0 + 1);
    tall <= TALLEST && WIDTHS.contains(&wide) && wide > tall
}

fn is_stroke(pixels: &[u8], x: usize, y: usize) -> bool {
    let at = |x: usize, y: usize| f32::from(pixels[y * SIDE + x]);
    let level = at(x, y);
    if level <= BRIGHT {
        return false;
    }
    let mut sum = 0.0;
    for row in 0..=2 * REACH {
        for column in 0..=2 * REACH {
            let inside = |place: usize, by: usize| (place + by).saturating_sub(REACH).min(SIDE - 1);
            sum += at(inside(x, column), inside(y, row));
        }
    }
    let around = (2 * REACH + 1) as f32;
    level - sum / (around * around) > ABOVE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strokes two pixels wide, two apart, seven high, on a dark film.
    fn with_text(left: usize, top: usize, letters: usize) -> Vec<u8> {
        let mut pixels = vec![40; SIDE * SIDE];
        for letter in 0..letters {
            for y in top..top + 7 {
                for x in 0..2 {
                    pixels[y * SIDE + left + letter * 4 + x] = 240;
                }
            }
        }
        pixels
    }

    #[test]
    fn a_line_of_text_is_found_in_its_corner_and_a_single_letter_is_none() {
        assert_eq!(burnt_in_text(&with_text(190, 212, 5)), [Corner::LowerRight]);
        assert_eq!(burnt_in_text(&with_text(180, 6, 6)), [Corner::UpperRight]);
        assert_eq!(burnt_in_text(&with_text(10, 6, 1)), []);
    }

    #[test]
    fn a_smooth_film_a_bright_corner_and_what_is_no_picture_have_no_text() {
        let smooth: Vec<u8> = (0..SIDE * SIDE).map(|i| (i % SIDE) as u8).collect();
        assert_eq!(burnt_in_text(&smooth), []);
        assert_eq!(burnt_in_text(&vec![255; SIDE * SIDE]), []);
        assert_eq!(burnt_in_text(&[0; 9]), []);
    }
}
