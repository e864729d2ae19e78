//! X-rays changed so that they no longer are what the network was trained on, and some that still are.

use super::placement::Placement;

/// Pixels a side.
const SIDE: usize = lobar_core::engine::NetworkInput::SIDE;

/// What is done to an X-ray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alteration {
    /// Brighter by 15 grey levels: still an X-ray.
    Brighter,
    /// Moved by 8 pixels, the edge repeated: still an X-ray.
    Moved,
    /// Left and right exchanged.
    Mirrored,
    /// A black border of 5 to 25 % of the film's width and height on every side.
    PaddedBlack,
    /// The same in grey.
    PaddedGrey,
    /// The same in white.
    PaddedWhite,
    /// Made a square by black bars above and below, as originals 1.1 to 1.9 times as wide as high.
    Landscape,
    /// Made a square by black bars beside it, as originals 1.1 to 1.5 times as high as wide.
    Portrait,
    /// Turned by 5° to either side.
    FiveDegrees,
    /// Turned by 10° to either side.
    TenDegrees,
    /// Black for white.
    Inverted,
    /// A quarter turn clockwise.
    QuarterTurn,
    /// Upside down.
    HalfTurn,
    /// A sixteenth of its area, enlarged.
    Cropped,
    /// Half as wide, between black bars.
    Squeezed,
    /// A mean over 33 × 33 pixels, twice.
    Blurred,
    /// Noise of 100 grey levels to either side.
    Noisy,
    /// All black but for one corner.
    Corner,
}

impl Alteration {
    /// Those that leave an X-ray one that a model answers.
    pub const IN_SCOPE: [Self; 10] = [
        Self::Brighter,
        Self::Moved,
        Self::Mirrored,
        Self::PaddedBlack,
        Self::PaddedGrey,
        Self::PaddedWhite,
        Self::Landscape,
        Self::Portrait,
        Self::FiveDegrees,
        Self::TenDegrees,
    ];

    /// Those after which it is for a person.
    pub const OUT_OF_SCOPE: [Self; 8] = [
        Self::Inverted,
        Self::QuarterTurn,
        Self::HalfTurn,
        Self::Cropped,
        Self::Squeezed,
        Self::Blurred,
        Self::Noisy,
        Self::Corner,
    ];

    /// Its name in a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Brighter => "15 grey levels brighter",
            Self::Moved => "moved by 8 pixels",
            Self::Mirrored => "mirrored",
            Self::PaddedBlack => "a black border of 5 to 25 %",
            Self::PaddedGrey => "a grey border of 5 to 25 %",
            Self::PaddedWhite => "a white border of 5 to 25 %",
            Self::Landscape => "letterboxed to a square, bars above and below",
            Self::Portrait => "letterboxed to a square, bars beside it",
            Self::FiveDegrees => "turned by 5°",
            Self::TenDegrees => "turned by 10°",
            Self::Inverted => "inverted",
            Self::QuarterTurn => "turned by 90°",
            Self::HalfTurn => "upside down",
            Self::Cropped => "a sixteenth, enlarged",
            Self::Squeezed => "squeezed to half its width",
            Self::Blurred => "blurred",
            Self::Noisy => "noisy",
            Self::Corner => "black but for a corner",
        }
    }

    /// `pixels`, 224 × 224 grey levels, changed. `which` picks among variants: of corners, of noise.
    #[must_use]
    pub fn apply(self, pixels: &[u8], which: usize) -> Vec<u8> {
        let at = |x: usize, y: usize| pixels.get(y * SIDE + x).copied().unwrap_or(0);
        let last = SIDE - 1;
        let (right, below) = (which % 2, which / 2 % 2);
        // How strong, 1 to 5.
        let step = (which % 5 + 1) as f32;
        let turn = |degrees: f32| if right == 0 { degrees } else { -degrees };
        match self {
            Self::Brighter => pixels.iter().map(|grey| grey.saturating_add(15)).collect(),
            Self::Moved => draw(|x, y| at(x.saturating_sub(8 * right), y.saturating_sub(8))),
            Self::Mirrored => draw(|x, y| at(last - x, y)),
            Self::PaddedBlack => Placement::padded(0.05 * step, 0).apply(pixels),
            Self::PaddedGrey => Placement::padded(0.05 * step, 128).apply(pixels),
            Self::PaddedWhite => Placement::padded(0.05 * step, 255).apply(pixels),
            Self::Landscape => Placement::letterboxed(0.9 + 0.2 * step, 0).apply(pixels),
            Self::Portrait => Placement::letterboxed((1.0 + 0.1 * step).recip(), 0).apply(pixels),
            Self::FiveDegrees => Placement::turned(turn(5.0), 0).apply(pixels),
            Self::TenDegrees => Placement::turned(turn(10.0), 0).apply(pixels),
            Self::Inverted => pixels.iter().map(|grey| 255 - grey).collect(),
            Self::QuarterTurn => draw(|x, y| at(y, last - x)),
            Self::HalfTurn => draw(|x, y| at(last - x, last - y)),
            Self::Cropped => {
                // Lungs, not the black beside them.
                let (left, top) = (SIDE / 4 * (1 + right), SIDE / 4 * (1 + below));
                draw(|x, y| at(left + x / 4, top + y / 4))
            }
            Self::Squeezed => draw(|x, y| match (2 * x).checked_sub(SIDE / 2) {
                Some(x) if x < SIDE => at(x, y),
                _ => 0,
            }),
            Self::Blurred => blurred(&blurred(pixels)),
            Self::Noisy => draw(|x, y| {
                let noise = i32::from(super::drawing::hash(x, y, which as u32)) - 128;
                (i32::from(at(x, y)) + noise * 100 / 128).clamp(0, 255) as u8
            }),
            Self::Corner => draw(|x, y| {
                let (x1, y1) =
                    (right * (last - x) + (1 - right) * x, below * (last - y) + (1 - below) * y);
                if x1 + y1 < SIDE / 2 { at(x, y) } else { 0 }
            }),
        }
    }
}

fn draw(grey: impl Fn(usize, usize) -> u8) -> Vec<u8> {
    (0..SIDE * SIDE).map(|index| grey(index % SIDE, index / SIDE)).collect()
}

/// The mean over a square of 33 pixels a side, cut at the picture's edge.
fn blurred(pixels: &[u8]) -> Vec<u8> {
    const REACH: usize = 16;
    let pass = |pixels: &[u8], along: usize, across: usize| -> Vec<u8> {
        let mut out = vec![0; SIDE * SIDE];
        for line in 0..SIDE {
            for place in 0..SIDE {
                let (from, to) = (place.saturating_sub(REACH), (place + REACH + 1).min(SIDE));
                let sum: usize =
                    (from..to).map(|i| usize::from(pixels[line * across + i * along])).sum();
                out[line * across + place * along] = (sum / (to - from)) as u8;
            }
        }
        out
    };
    pass(&pass(pixels, 1, SIDE), SIDE, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_quarter_turns_two_half_turns_and_two_inversions_change_nothing() {
        let picture = draw(|x, y| super::super::drawing::hash(x, y, 3));
        for (alteration, times) in [
            (Alteration::QuarterTurn, 4),
            (Alteration::HalfTurn, 2),
            (Alteration::Inverted, 2),
            (Alteration::Mirrored, 2),
        ] {
            let mut changed = alteration.apply(&picture, 0);
            assert_ne!(changed, picture, "{alteration:?}");
            for _ in 1..times {
                changed = alteration.apply(&changed, 0);
            }
            assert_eq!(changed, picture, "{alteration:?}");
        }
    }

    #[test]
    fn every_alteration_gives_a_whole_picture() {
        let picture = draw(|x, y| super::super::drawing::hash(x / 9, y / 9, 5));
        for alteration in Alteration::IN_SCOPE.into_iter().chain(Alteration::OUT_OF_SCOPE) {
            for which in 0..4 {
                let changed = alteration.apply(&picture, which);
                assert_eq!(changed.len(), SIDE * SIDE, "{alteration:?}");
                assert_ne!(changed, picture, "{alteration:?}");
            }
        }
    }
}
