//! Shares of images of single sites of which readers say first what they see.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use lobar_core::access::SiteName;
use lobar_core::exposure::Share;

/// Sites with shares of their own: `north=0.5,south=0`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnShares(BTreeMap<SiteName, Share>);

impl OwnShares {
    /// Each site's share.
    pub fn by_site(&self) -> &BTreeMap<SiteName, Share> {
        &self.0
    }
}

impl FromStr for OwnShares {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut shares = BTreeMap::new();
        for entry in text.split(',') {
            let (site, share) = entry.split_once('=').ok_or_else(|| {
                "sites and their shares are written SITE=SHARE, several with commas".to_owned()
            })?;
            let site: SiteName = site.trim().parse()?;
            let share: Share = share.trim().parse()?;
            if shares.insert(site.clone(), share).is_some() {
                return Err(format!("the site {site} is named twice"));
            }
        }
        Ok(Self(shares))
    }
}

impl fmt::Display for OwnShares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (site, share)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{site}={share}")?;
        }
        Ok(())
    }
}
