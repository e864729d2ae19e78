//! Grants as they are given to a command, and as it prints them.

use lobar_core::access::Grants;
use lobar_core::audit::Action;
use lobar_signin::GrantError;
use serde_json::json;

use super::{Open, port};
use crate::cli::GrantArgs;
use crate::failure::Failure;
use crate::on_record::at;

/// What was granted, once its sites are known; with `--new-site` those that are not are added.
///
/// # Errors
/// Of usage, for a role that is of no use at single sites; for a site that is not known.
pub async fn settled(asked: &GrantArgs, open: &Open) -> Result<Grants, Failure> {
    loop {
        let site = match open.sign_in.settle(&asked.grants).await {
            Ok(grants) => return Ok(grants),
            Err(GrantError::Port(error)) => return Err(port(error)),
            Err(GrantError::UnknownSite { site, .. }) if asked.new_site => site,
            Err(error @ GrantError::Apart { .. }) => return Err(Failure::usage(error)),
            Err(ref error @ GrantError::UnknownSite { ref site, .. }) => {
                return Err(Failure::failed(format!(
                    "{error}. `lobar site add {site}` or --new-site adds it"
                )));
            }
        };
        let added = at(Action::SiteChanged, &site, json!({ "change": "added" }));
        let adds = async { open.sign_in.accounts().add_site(&site).await.map_err(port) };
        open.record.change(added, adds).await?;
    }
}

/// As people read them.
pub fn shown(grants: &Grants) -> String {
    let all = listed(grants);
    if all.is_empty() { "nothing".into() } else { all.join(" ") }
}

/// As programs read them.
pub fn listed(grants: &Grants) -> Vec<String> {
    grants.iter().map(|grant| grant.to_string()).collect()
}
