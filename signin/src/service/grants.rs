//! What may be granted: the one rule for the API and the commands.

use lobar_core::access::{Grant, Grants, Role, SiteName, Sites};
use lobar_core::failure::PortError;

use super::SignIn;

/// Why something was not granted.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The role is about all of Lobar.
    #[error(
        "the role {role} is about all of Lobar and allows nothing at {sites} alone: grant `{role}@*`"
    )]
    Apart {
        /// Which.
        role: Role,
        /// Where it was to be held.
        sites: Sites,
    },
    /// A site that is not on the list: a slip of the pen would give nothing, or too much once a site is called so.
    #[error("there is no site {site}; {}", listed(known))]
    UnknownSite {
        /// Its name.
        site: SiteName,
        /// Those that are on the list.
        known: Vec<SiteName>,
    },
    /// The store could not be asked.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl SignIn {
    /// What was asked for, when it can be granted.
    ///
    /// # Errors
    /// See [`GrantError`].
    pub async fn settle(&self, asked: &[Grant]) -> Result<Grants, GrantError> {
        let apart = |grant: &&Grant| grant.sites != Sites::All && !grant.role.is_of_a_site();
        if let Some(Grant { role, sites }) = asked.iter().find(apart) {
            return Err(GrantError::Apart { role: *role, sites: sites.clone() });
        }
        let known: Vec<SiteName> =
            self.accounts.sites().await?.into_iter().map(|site| site.name).collect();
        for grant in asked {
            if let Sites::Only(sites) = &grant.sites
                && let Some(site) = sites.iter().find(|site| !known.contains(site))
            {
                return Err(GrantError::UnknownSite { site: site.clone(), known });
            }
        }
        Ok(asked.iter().cloned().collect())
    }
}

fn listed(known: &[SiteName]) -> String {
    if known.is_empty() {
        return "none is known yet".into();
    }
    let names: Vec<_> = known.iter().map(SiteName::as_str).collect();
    format!("known are {}", names.join(", "))
}
