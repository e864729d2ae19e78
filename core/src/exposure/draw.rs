//! Of which images readers are asked for their own opinion first.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::access::{SiteName, Sites};
use crate::image::Lane;
use crate::object::ImageId;

/// A share of images, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Share(f64);

/// The share of each site, and that of all others, images of unknown site among them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SiteShares {
    /// Where the site has none of its own.
    pub others: Share,
    /// Those that have.
    pub sites: BTreeMap<SiteName, Share>,
}

/// The secret of the draw: who does not know it cannot tell from an image's id whether it was chosen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DrawKey(pub [u8; 32]);

/// The draw: the same for every process and every reader, and independent of what was found.
#[derive(Clone, Debug)]
pub struct OpinionFirst {
    shares: SiteShares,
    key: DrawKey,
}

impl Share {
    /// Whether there is anything to draw.
    pub fn is_none(self) -> bool {
        self.0 <= 0.0
    }
}

impl SiteShares {
    /// Whether there is anything to draw, anywhere.
    pub fn are_none(&self) -> bool {
        self.others.is_none() && self.sites.values().all(|share| share.is_none())
    }

    /// Whether there is anything to draw at one of these sites.
    pub fn draw_at(&self, sites: &Sites) -> bool {
        match sites {
            Sites::All => !self.are_none(),
            Sites::Only(sites) => sites.iter().any(|site| !self.at(Some(site.as_str())).is_none()),
        }
    }

    fn at(&self, site: Option<&str>) -> Share {
        let own = site.and_then(SiteName::parse).and_then(|site| self.sites.get(&site).copied());
        own.unwrap_or(self.others)
    }
}

impl From<Share> for SiteShares {
    /// The same everywhere.
    fn from(others: Share) -> Self {
        Self { others, sites: BTreeMap::new() }
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
    /// Draws these shares.
    pub fn new(shares: SiteShares, key: DrawKey) -> Self {
        Self { shares, key }
    }

    /// Whether there is anything to draw at one of these sites.
    pub fn draws_at(&self, sites: &Sites) -> bool {
        self.shares.draw_at(sites)
    }

    /// Whether readers are asked first of an image of this site. Never of an urgent one: nothing may come between it and
    /// its reader.
    pub fn chooses(&self, image: ImageId, site: Option<&str>, lane: Lane) -> bool {
        if lane == Lane::Stat {
            return false;
        }
        // Both parts have a fixed length, so that no other input has the same bytes.
        let drawn = Sha256::new().chain_update(self.key.0).chain_update(image.0).finalize();
        let high = drawn.iter().take(4).fold(0_u32, |all, byte| (all << 8) | u32::from(*byte));
        f64::from(high) < self.shares.at(site).0 * 2_f64.powi(32)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn draw(share: &str, key: u8) -> OpinionFirst {
        OpinionFirst::new(of(share).into(), DrawKey([key; 32]))
    }

    fn of(share: &str) -> Share {
        share.parse().expect("a share")
    }

    fn chosen(draw: &OpinionFirst) -> Vec<u128> {
        chosen_at(draw, None)
    }

    fn chosen_at(draw: &OpinionFirst, site: Option<&str>) -> Vec<u128> {
        let chooses = |n: &u128| draw.chooses(ImageId(Uuid::from_u128(*n)), site, Lane::Routine);
        (0..10_000_u128).filter(chooses).collect()
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
    fn a_site_has_its_own_share_and_others_that_of_all() {
        let site = |name: &str| SiteName::parse(name).expect("a site");
        let sites = BTreeMap::from([(site("north"), of("0.2")), (site("south"), of("0"))]);
        let shares = SiteShares { others: of("0.1"), sites: sites.clone() };
        let both = OpinionFirst::new(shares, DrawKey([1; 32]));
        assert_eq!(chosen_at(&both, Some("north")), chosen(&draw("0.2", 1)));
        assert_eq!(chosen_at(&both, Some("south")), [0; 0]);
        for other in [Some("west"), None] {
            assert_eq!(chosen_at(&both, other), chosen(&draw("0.1", 1)));
        }
        let few = SiteShares { others: of("0"), sites };
        assert!(!few.are_none() && few.draw_at(&Sites::All));
        assert!(few.draw_at(&Sites::one(site("north"))));
        assert!(
            !few.draw_at(&Sites::one(site("south"))) && !few.draw_at(&Sites::one(site("west")))
        );
    }

    #[test]
    fn an_urgent_image_is_never_chosen() {
        assert!(!draw("1", 1).chooses(ImageId(Uuid::nil()), Some("north"), Lane::Stat));
    }

    #[test]
    fn a_share_is_refused_outside_its_bounds() {
        assert_eq!("0.05".parse::<Share>().map(|share| share.to_string()), Ok("0.05".into()));
        for text in ["-0.1", "1.01", "NaN", "inf", "", "5%"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
