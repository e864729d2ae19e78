//! The changes.

use lobar_core::engine::NetworkInput;

use super::warp::{scaled, turned};
use crate::augmentation::through_jpeg;

const SIDE: usize = NetworkInput::SIDE;
/// Largest share of flips under a turn by 5°: 5 of 624.
const TURN_BOUND: f64 = 5.0 / 624.0;
/// Largest share of flips under a crop of 2 %: 3 of 624.
const CROP_BOUND: f64 = 3.0 / 624.0;

/// A change of a picture that leaves its finding as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// By so many degrees, clockwise if above 0, black coming in from outside.
    Turned(i8),
    /// Without so many per cent of its width and of its height.
    Cropped(u8),
    /// Smaller by so many per cent of its side within a frame of this grey.
    Padded(u8, u8),
    /// Three quarters as wide, between black bars: a landscape film in a square.
    LetterboxedWide,
    /// Three quarters as high, likewise.
    LetterboxedHigh,
    /// Levels multiplied by so many per cent.
    Brightness(u8),
    /// Levels to the power of so many per cent.
    Gamma(u8),
    /// Distances from the mean multiplied by so many per cent.
    Contrast(u8),
    /// Through JPEG of this quality.
    Jpeg(u8),
    /// Shrunk to so many pixels a side, and enlarged again.
    Resolution(u8),
    /// A mean over 3 × 3 pixels, weighted 1 2 1 each way.
    Softened,
    /// Away from that mean by as much.
    Sharpened,
}

/// The altered copies that stand beside the images as they are when threshold and calibration are chosen, each
/// weighing as much as they.
pub const POOL: [Change; 8] = [
    Change::Turned(-5),
    Change::Turned(5),
    Change::Cropped(2),
    Change::Padded(5, 0),
    Change::Brightness(110),
    Change::Brightness(90),
    Change::Jpeg(50),
    Change::Resolution(112),
];

impl Change {
    /// The rows of a stress table.
    pub const ALL: [Self; 22] = [
        Self::Turned(-5),
        Self::Turned(5),
        Self::Turned(-10),
        Self::Turned(10),
        Self::Cropped(2),
        Self::Cropped(5),
        Self::Padded(5, 0),
        Self::Padded(5, 128),
        Self::Padded(5, 255),
        Self::LetterboxedWide,
        Self::LetterboxedHigh,
        Self::Brightness(110),
        Self::Brightness(90),
        Self::Gamma(80),
        Self::Gamma(125),
        Self::Contrast(80),
        Self::Jpeg(50),
        Self::Jpeg(20),
        Self::Resolution(112),
        Self::Resolution(75),
        Self::Softened,
        Self::Sharpened,
    ];

    /// Its name in a table.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Turned(degrees) if degrees < 0 => format!("turned by {}° to the left", -degrees),
            Self::Turned(degrees) => format!("turned by {degrees}° to the right"),
            Self::Cropped(percent) => format!("cropped by {percent} %"),
            Self::Padded(percent, 0) => format!("padded by {percent} %, black"),
            Self::Padded(percent, 255) => format!("padded by {percent} %, white"),
            Self::Padded(percent, _) => format!("padded by {percent} %, grey"),
            Self::LetterboxedWide => "three quarters as wide, between bars".to_owned(),
            Self::LetterboxedHigh => "three quarters as high, between bars".to_owned(),
            Self::Brightness(percent) => format!("brightness {percent} %"),
            Self::Gamma(percent) => format!("gamma {:.2}", f32::from(percent) / 100.0),
            Self::Contrast(percent) => format!("contrast {percent} %"),
            Self::Jpeg(quality) => format!("JPEG of quality {quality}"),
            Self::Resolution(side) => format!("{side} pixels a side"),
            Self::Softened => "softened".to_owned(),
            Self::Sharpened => "sharpened".to_owned(),
        }
    }

    /// The largest share of answers that may flip, where a bound is set.
    #[must_use]
    pub fn most_flips(self) -> Option<f64> {
        match self {
            Self::Turned(-5 | 5) => Some(TURN_BOUND),
            Self::Cropped(2) => Some(CROP_BOUND),
            _ => None,
        }
    }

    /// `pixels`, 224 × 224 grey levels, changed.
    #[must_use]
    pub fn apply(self, pixels: &[u8]) -> Vec<u8> {
        let percent = |value: u8| f32::from(value) / 100.0;
        let each = |level: &dyn Fn(f32) -> f32| -> Vec<u8> {
            pixels.iter().map(|&p| level(f32::from(p)).round().clamp(0.0, 255.0) as u8).collect()
        };
        match self {
            Self::Turned(degrees) => turned(pixels, f32::from(degrees)),
            Self::Cropped(less) => {
                let larger = 1.0 / (1.0 - percent(less));
                scaled(pixels, larger, larger, 0)
            }
            Self::Padded(less, grey) => {
                scaled(pixels, 1.0 - percent(less), 1.0 - percent(less), grey)
            }
            Self::LetterboxedWide => scaled(pixels, 0.75, 1.0, 0),
            Self::LetterboxedHigh => scaled(pixels, 1.0, 0.75, 0),
            Self::Brightness(factor) => each(&|level| level * percent(factor)),
            Self::Gamma(power) => each(&|level| (level / 255.0).powf(percent(power)) * 255.0),
            Self::Contrast(factor) => {
                let mean =
                    pixels.iter().map(|&p| f32::from(p)).sum::<f32>() / pixels.len().max(1) as f32;
                each(&|level| (level - mean) * percent(factor) + mean)
            }
            Self::Jpeg(quality) => {
                through_jpeg(pixels, SIDE, quality).unwrap_or_else(|| pixels.to_vec())
            }
            Self::Resolution(side) => {
                let (full, small) =
                    ((SIDE as u32, SIDE as u32), (u32::from(side), u32::from(side)));
                lobar_imaging::resize(pixels, full, small)
                    .and_then(|less| lobar_imaging::resize(&less, small, full))
                    .unwrap_or_else(|| pixels.to_vec())
            }
            Self::Softened => blended(pixels, 1.0),
            Self::Sharpened => blended(pixels, -1.0),
        }
    }
}

/// Towards a 3 × 3 blur by this share, or away from it if below 0. The outermost pixels stay as they are.
fn blended(pixels: &[u8], share: f32) -> Vec<u8> {
    let at = |x: usize, y: usize| f32::from(pixels.get(y * SIDE + x).copied().unwrap_or(0));
    let row = |x: usize, y: usize| at(x - 1, y) + 2.0 * at(x, y) + at(x + 1, y);
    let mut changed = pixels.to_vec();
    for y in 1..SIDE - 1 {
        for x in 1..SIDE - 1 {
            let blurred = (row(x, y - 1) + 2.0 * row(x, y) + row(x, y + 1)) / 16.0;
            let level = at(x, y) + share * (blurred - at(x, y));
            if let Some(place) = changed.get_mut(y * SIDE + x) {
                *place = level.round().clamp(0.0, 255.0) as u8;
            }
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Vec<u8> {
        (0..SIDE * SIDE).map(|i| (60 + (i % SIDE) / 4 + (i / SIDE) / 4 * 2) as u8).collect()
    }

    #[test]
    fn every_change_gives_a_whole_picture_that_differs_and_has_a_name_of_its_own() {
        let mut names = std::collections::BTreeSet::new();
        for change in Change::ALL {
            let changed = change.apply(&picture());
            assert_eq!(changed.len(), SIDE * SIDE, "{change:?}");
            assert_ne!(changed, picture(), "{change:?}");
            assert!(names.insert(change.name()), "{change:?}");
        }
        assert!(POOL.iter().all(|change| Change::ALL.contains(change)));
    }

    #[test]
    fn a_turn_to_the_right_takes_the_top_to_the_right() {
        let mut spot = vec![0; SIDE * SIDE];
        for y in 18..23 {
            for x in 110..115 {
                spot[y * SIDE + x] = 255;
            }
        }
        let brightest = |pixels: &[u8]| {
            let place = (0..pixels.len()).max_by_key(|&i| pixels[i]).unwrap();
            place % SIDE
        };
        assert!(brightest(&Change::Turned(10).apply(&spot)) > 120);
        assert!(brightest(&Change::Turned(-10).apply(&spot)) < 104);
    }

    #[test]
    fn padding_frames_and_cropping_cuts() {
        let changed = Change::Padded(5, 128).apply(&vec![255; SIDE * SIDE]);
        assert_eq!((changed[0], changed[SIDE * SIDE / 2 + SIDE / 2]), (128, 255));
        // A frame of 5 pixels on each side is gone with 5 % of the side.
        let framed: Vec<u8> = (0..SIDE * SIDE)
            .map(|i| {
                let inside = |at: usize| (5..SIDE - 5).contains(&at);
                if inside(i % SIDE) && inside(i / SIDE) { 200 } else { 0 }
            })
            .collect();
        assert!(Change::Cropped(5).apply(&framed).iter().all(|&level| level > 150));
    }

    #[test]
    fn brightness_and_gamma_are_what_they_say() {
        let even = vec![100; SIDE * SIDE];
        assert_eq!(Change::Brightness(110).apply(&even)[0], 110);
        // 255 (100 / 255)^0.8 = 120.6
        assert_eq!(Change::Gamma(80).apply(&even)[0], 121);
        assert_eq!(Change::Brightness(110).apply(&vec![250; SIDE * SIDE])[0], 255);
    }
}
