//! Grants as they are given to a command.

use lobar_core::access::{Grants, Right, Role, SiteName, Sites};
use lobar_core::accounts::Accounts;

use super::port;
use crate::cli::GrantArgs;
use crate::failure::Failure;

/// What was granted, once its sites are known.
///
/// # Errors
/// Of usage, for a role that is of no use at single sites; for a site that is not known.
pub async fn settled(asked: &GrantArgs, accounts: &dyn Accounts) -> Result<Grants, Failure> {
    for grant in &asked.grants {
        if grant.sites != Sites::All && !is_of_a_site(grant.role) {
            let (role, sites) = (grant.role, &grant.sites);
            return Err(Failure::usage(format!(
                "the role {role} is about all of Lobar and allows nothing at {sites} alone: grant `{role}@*`"
            )));
        }
    }
    let grants: Grants = asked.grants.iter().cloned().collect();
    let known: Vec<SiteName> =
        accounts.sites().await.map_err(port)?.into_iter().map(|site| site.name).collect();
    let named = grants.iter().filter_map(|grant| match grant.sites {
        Sites::All => None,
        Sites::Only(sites) => Some(sites),
    });
    let mut new: Vec<SiteName> = named.flatten().filter(|site| !known.contains(site)).collect();
    new.sort_unstable();
    new.dedup();
    if let (Some(site), false) = (new.first(), asked.new_site) {
        return Err(Failure::failed(unknown(site, &known)));
    }
    for site in &new {
        accounts.add_site(site).await.map_err(port)?;
    }
    Ok(grants)
}

/// Whether a role allows anything that belongs to one site.
fn is_of_a_site(role: Role) -> bool {
    Right::ALL.into_iter().any(|right| right.is_of_a_site() && role.allows(right))
}

fn unknown(site: &SiteName, known: &[SiteName]) -> String {
    let known = match known {
        [] => "none is known yet".to_owned(),
        known => {
            let names: Vec<_> = known.iter().map(SiteName::as_str).collect();
            format!("known are {}", names.join(", "))
        }
    };
    format!("there is no site {site}; {known}. `lobar site add {site}` or --new-site adds it")
}

/// As people read them.
pub fn shown(grants: &Grants) -> String {
    let all: Vec<_> = grants.iter().map(|grant| grant.to_string()).collect();
    if all.is_empty() { "nothing".into() } else { all.join(" ") }
}

/// As programs read them.
pub fn listed(grants: &Grants) -> Vec<String> {
    grants.iter().map(|grant| grant.to_string()).collect()
}
