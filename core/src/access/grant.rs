//! Roles at sites.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{Right, Role, SiteName, Sites};

/// A role at some sites, written `clinician@north`, `reader@north,south` or `operator@*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Which role.
    pub role: Role,
    /// Where it is held.
    pub sites: Sites,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.role, self.sites)
    }
}

impl FromStr for Grant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = "a grant is a role and its sites: `clinician@north`, `operator@*`";
        let (role, sites) = text.split_once('@').ok_or(form)?;
        let role = role.parse()?;
        if sites == "*" {
            return Ok(Self { role, sites: Sites::All });
        }
        let names: Result<_, _> = sites.split(',').map(SiteName::from_str).collect();
        Ok(Self { role, sites: Sites::Only(names?) })
    }
}

/// All that somebody was granted; nothing when empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(BTreeMap<Role, Sites>);

impl Grants {
    /// Every role at every site.
    pub fn everything() -> Self {
        Self(Role::ALL.map(|role| (role, Sites::All)).into())
    }

    /// Where this right is held. A right that is of no site is held everywhere or nowhere.
    pub fn reach(&self, right: Right) -> Sites {
        let held = self.0.iter().filter(|(role, _)| role.allows(right)).map(|(_, sites)| sites);
        let reach = held.fold(Sites::none(), Sites::and);
        match right {
            Right::Own | Right::Open => Sites::All,
            // A model's card holds nothing of any site.
            Right::ReadModels if !reach.is_empty() => Sites::All,
            _ if right.is_of_a_site() || reach == Sites::All => reach,
            _ => Sites::none(),
        }
    }

    /// Whether this right is held anywhere.
    pub fn allow(&self, right: Right) -> bool {
        !self.reach(right).is_empty()
    }

    /// The role by which this right is held at a site: what a verdict's record says of its reader.
    pub fn role_for(&self, right: Right, site: Option<&str>) -> Option<Role> {
        let held = self.0.iter().find(|(role, sites)| role.allows(right) && sites.include(site));
        held.map(|(role, _)| *role)
    }

    /// Each role with its sites, in the order of [`Role::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = Grant> + '_ {
        self.0.iter().map(|(role, sites)| Grant { role: *role, sites: sites.clone() })
    }

    /// Whether nothing was granted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Grant> for Grants {
    /// The sites of one role come together; a grant at no site is none.
    fn from_iter<T: IntoIterator<Item = Grant>>(grants: T) -> Self {
        let mut all = BTreeMap::new();
        for Grant { role, sites } in grants {
            if !sites.is_empty() {
                let known = all.remove(&role).unwrap_or_else(Sites::none);
                all.insert(role, known.and(&sites));
            }
        }
        Self(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(texts: &[&str]) -> Grants {
        texts.iter().map(|text| text.parse::<Grant>().expect("a grant")).collect()
    }

    #[test]
    fn a_grant_is_read_as_it_is_written() {
        for text in ["clinician@north", "reader@north,south", "operator@*"] {
            assert_eq!(text.parse::<Grant>().expect("a grant").to_string(), text);
        }
        for bad in ["clinician", "clinician@", "root@*", "clinician@north,", "clinician@Doe, Jane"]
        {
            assert!(bad.parse::<Grant>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_right_is_held_at_the_sites_of_every_role_that_allows_it() {
        let grants = grants(&["clinician@north", "reader@south", "uploader@east"]);
        let reach = |right| grants.reach(right).to_string();
        assert_eq!(reach(Right::ReadImages), "north,south");
        assert_eq!(reach(Right::GiveVerdicts), "north");
        assert_eq!(reach(Right::Upload), "east,north");
        assert!(grants.reach(Right::ManagePeople).is_empty());
    }

    #[test]
    fn a_right_over_all_of_lobar_needs_its_role_at_every_site() {
        for (role, right) in [
            ("operator", Right::ManageQuarantine),
            ("operator", Right::ReadQueues),
            ("admin", Right::ManagePeople),
            ("auditor", Right::ReadAudit),
        ] {
            assert!(!grants(&[&format!("{role}@north")]).allow(right), "{role}");
            assert!(grants(&[&format!("{role}@*")]).allow(right), "{role}");
        }
        assert!(grants(&["reader@north"]).allow(Right::ReadModels));
    }

    #[test]
    fn nothing_granted_allows_only_what_everybody_may() {
        let allowed = Right::ALL.into_iter().filter(|right| Grants::default().allow(*right));
        assert_eq!(allowed.collect::<Vec<_>>(), [Right::Open, Right::Own]);
        assert!(Right::ALL.into_iter().all(|right| Grants::everything().allow(right)));
    }

    #[test]
    fn the_role_of_a_reader_is_the_one_that_allows_what_was_done_there() {
        let grants = grants(&["clinician@north", "reader@south"]);
        assert_eq!(grants.role_for(Right::ReadImages, Some("south")), Some(Role::Reader));
        assert_eq!(grants.role_for(Right::GiveVerdicts, Some("south")), None);
        assert_eq!(grants.role_for(Right::GiveVerdicts, Some("north")), Some(Role::Clinician));
    }
}
