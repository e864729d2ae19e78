//! Sites by name: `north,south`, or `*` for all.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use lobar_core::access::{SiteName, Sites};

/// Some sites, or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SomeSites(Sites);

impl SomeSites {
    /// The sites.
    pub fn sites(&self) -> &Sites {
        &self.0
    }
}

impl Default for SomeSites {
    fn default() -> Self {
        Self(Sites::none())
    }
}

impl FromStr for SomeSites {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "*" {
            return Ok(Self(Sites::All));
        }
        let mut sites = BTreeSet::new();
        for name in text.split(',') {
            let site: SiteName = name.trim().parse()?;
            if sites.contains(&site) {
                return Err(format!("the site {site} is named twice"));
            }
            sites.insert(site);
        }
        Ok(Self(Sites::Only(sites)))
    }
}

impl fmt::Display for SomeSites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
