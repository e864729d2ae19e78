//! Of which images readers are asked for their own opinion first.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::image::Lane;
use crate::object::ImageId;

/// A share of images, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Share(f64);

/// The secret of the draw: who does not know it cannot tell from an image's id whether it was chosen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DrawKey(pub [u8; 32]);

/// The draw: the same for every process and every reader, and independent of what was found.
#[derive(Clone, Debug)]
pub struct OpinionFirst {
    share: Share,
    key: DrawKey,
}

impl Share {
    /// Whether there is anything to draw.
    pub fn is_none(self) -> bool {
        self.0 <= 0.0
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        share.map(Self).ok_or_else(|| format!("{text:?} is not a share from 0 to 1, such as 0.05"))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for DrawKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DrawKey")
    }
}

impl OpinionFirst {
    /// Draws this share.
    pub fn new(share: Share, key: DrawKey) -> Self {
        Self { share, key }
    }

    /// Whether readers are asked first. Never of an urgent image: nothing may come between it and its reader.
    pub fn chooses(&self, image: ImageId, lane: Lane) -> bool {
        if lane == Lane::Stat {
            return false;
        }
        // Both parts have a fixed length, so that no other input has the same bytes.
        let drawn = Sha256::new().chain_update(self.key.0).chain_update(image.0).finalize();
        let high = drawn.iter().take(4).fold(0_u32, |all, byte| (all << 8) | u32::from(*byte));
        f64::from(high) < self.share.0 * 2_f64.powi(32)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn draw(share: &str, key: u8) -> OpinionFirst {
        OpinionFirst::new(share.parse().expect("a share"), DrawKey([key; 32]))
    }

    fn chosen(draw: &OpinionFirst) -> Vec<u128> {
        let images = 0..10_000_u128;
        images.filter(|n| draw.chooses(ImageId(Uuid::from_u128(*n)), Lane::Routine)).collect()
    }

    #[test]
    fn the_share_of_images_is_drawn_and_another_key_draws_others() {
        let tenth = chosen(&draw("0.1", 1));
        assert!((900..1_100).contains(&tenth.len()), "{}", tenth.len());
        assert_eq!(tenth, chosen(&draw("0.1", 1)));
        assert_ne!(tenth, chosen(&draw("0.1", 2)));
        let fifth = chosen(&draw("0.2", 1));
        assert!(tenth.iter().all(|image| fifth.contains(image)), "a larger share keeps them");
        assert_eq!((chosen(&draw("0", 1)).len(), chosen(&draw("1", 1)).len()), (0, 10_000));
    }

    #[test]
    fn an_urgent_image_is_never_chosen() {
        assert!(!draw("1", 1).chooses(ImageId(Uuid::nil()), Lane::Stat));
    }

    #[test]
    fn a_share_is_refused_outside_its_bounds() {
        assert_eq!("0.05".parse::<Share>().map(|share| share.to_string()), Ok("0.05".into()));
        for text in ["-0.1", "1.01", "NaN", "inf", "", "5%"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
