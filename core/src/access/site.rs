//! Names of sites, and sets of sites.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::object::is_site_name;

/// The name of a site: a tenant whose images nobody else sees.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteName(String);

impl SiteName {
    /// `None` for a text that cannot name a site: see [`is_site_name`].
    pub fn parse(text: &str) -> Option<Self> {
        is_site_name(text).then(|| Self(text.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SiteName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or(
            "the name of a site is letters, digits, `.`, `_` and `-`, begins with a letter or digit, and has at most 63",
        )
    }
}

/// At which sites. There is no default: who asks says which.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sites {
    /// Every one, those that do not exist yet and images of unknown site included.
    All,
    /// These alone. An image of unknown site belongs to none of them.
    Only(BTreeSet<SiteName>),
}

impl Sites {
    /// None at all.
    pub fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    /// One.
    pub fn one(site: SiteName) -> Self {
        Self::Only(BTreeSet::from([site]))
    }

    /// Whether what belongs to `site` is among them; `None` is an unknown site.
    pub fn include(&self, site: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Only(sites) => {
                site.is_some_and(|site| sites.iter().any(|own| own.as_str() == site))
            }
        }
    }

    /// Whether it is no site at all.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Only(sites) if sites.is_empty())
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::Only(mut sites), Self::Only(more)) => {
                sites.extend(more.iter().cloned());
                Self::Only(sites)
            }
        }
    }
}

impl fmt::Display for Sites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Only(sites) => {
                let names: Vec<_> = sites.iter().map(SiteName::as_str).collect();
                f.write_str(&names.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(names: &[&str]) -> Sites {
        Sites::Only(names.iter().map(|name| SiteName::parse(name).expect("a name")).collect())
    }

    #[test]
    fn an_unknown_site_is_among_all_and_among_no_others() {
        assert!(Sites::All.include(None) && Sites::All.include(Some("north")));
        let sites = only(&["north"]);
        assert!(sites.include(Some("north")));
        assert!(!sites.include(Some("south")) && !sites.include(None) && !sites.include(Some("")));
        assert!(Sites::none().is_empty() && !Sites::none().include(Some("north")));
    }

    #[test]
    fn sites_of_two_grants_are_those_of_both() {
        assert_eq!(only(&["north"]).and(&only(&["south"])), only(&["north", "south"]));
        assert_eq!(only(&["north"]).and(&Sites::All), Sites::All);
        assert_eq!(Sites::All.and(&only(&["north"])), Sites::All);
    }

    #[test]
    fn what_cannot_name_a_site_is_no_site() {
        for bad in ["", "Doe, Jane", "*", "north,south", &"a".repeat(64)] {
            assert_eq!(SiteName::parse(bad), None, "{bad}");
        }
    }
}
