//! What members of the provider's groups may do here.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use lobar_core::access::{Grant, Grants, Sites};

/// Groups with their grants: `radiology=clinician@north,south; it=operator@* admin@*`. A group's name may have spaces and
/// `=` in it, as distinguished names do, and no `;`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRoles(BTreeMap<String, Grants>);

impl GroupRoles {
    /// What members of all these groups may do; nothing when none of them is named here.
    pub fn grants<'a>(&self, groups: impl IntoIterator<Item = &'a str>) -> Grants {
        let named = groups.into_iter().filter_map(|group| self.0.get(group));
        named.flat_map(|grants| grants.iter()).collect()
    }
}

impl FromStr for GroupRoles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut roles = BTreeMap::new();
        let entries = text.split([';', '\n']).map(str::trim).filter(|entry| !entry.is_empty());
        for entry in entries {
            let form = "a group and its grants are written GROUP=ROLE@SITES, and several with `;` between them";
            let (group, grants) = entry.rsplit_once('=').ok_or(form)?;
            let grants = grants.split_whitespace().map(Grant::from_str);
            let grants: Grants = grants.collect::<Result<_, _>>()?;
            // The rule of `lobar user grant`.
            let apart = |grant: &Grant| grant.sites != Sites::All && !grant.role.is_of_a_site();
            if let Some(grant) = grants.iter().find(apart) {
                let role = grant.role;
                return Err(format!(
                    "the role {role} is about all of Lobar and allows nothing at {} alone: grant `{role}@*`",
                    grant.sites
                ));
            }
            let group = group.trim();
            if group.is_empty() || grants.is_empty() {
                return Err(form.into());
            }
            if roles.insert(group.to_owned(), grants).is_some() {
                return Err(format!("the group {group:?} is named twice"));
            }
        }
        match roles.is_empty() {
            true => Err("it names no group, so nobody could sign in".into()),
            false => Ok(Self(roles)),
        }
    }
}

impl fmt::Display for GroupRoles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (group, grants)) in self.0.iter().enumerate() {
            let grants: Vec<_> = grants.iter().map(|grant| grant.to_string()).collect();
            let between = if place == 0 { "" } else { "; " };
            write!(f, "{between}{group}={}", grants.join(" "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_of_several_groups_add_up_and_unknown_groups_give_nothing() {
        let text =
            "CN=radiology,OU=x=clinician@north; it=operator@* admin@*;\n south = clinician@south ;";
        let roles: GroupRoles = text.parse().expect("roles");
        let written = |groups: &[&str]| {
            let grants = roles.grants(groups.iter().copied());
            grants.iter().map(|grant| grant.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(written(&["CN=radiology,OU=x", "south"]), ["clinician@north,south"]);
        assert_eq!(written(&["it", "others"]), ["operator@*", "admin@*"]);
        assert!(written(&["others", "IT", ""]).is_empty(), "names are told apart by their case");
        assert_eq!(roles.to_string().parse(), Ok(roles));
    }

    #[test]
    fn what_is_no_mapping_is_refused() {
        for bad in [
            "",
            ";",
            "a",
            "a=",
            "=clinician@north",
            "a=clinician",
            "a=root@*",
            "a=reader@Doe, Jane",
            "it=admin@north",
            "it=reader@north operator@north,south",
        ] {
            assert!(bad.parse::<GroupRoles>().is_err(), "{bad}");
        }
        assert!("a=reader@*; a=reader@north".parse::<GroupRoles>().is_err(), "twice");
    }
}
