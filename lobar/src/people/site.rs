//! `lobar site`.

use lobar_core::accounts::Accounts;
use serde_json::{Value, json};

use super::{Answer, port, shown};
use crate::cli::Site;
use crate::failure::Failure;

pub async fn answer(command: &Site, accounts: &dyn Accounts) -> Result<Answer, Failure> {
    match command {
        Site::List { .. } => {
            let sites = accounts.sites().await.map_err(port)?;
            let items: Vec<Value> = sites.iter().map(shown::site).collect();
            Ok(Answer { json: json!({ "items": items }), text: shown::sites(&sites) })
        }
        Site::Add { name, .. } => {
            let added = accounts.add_site(name).await.map_err(port)?;
            let text = match added {
                true => format!("Site {name} is added. Its uploads go to incoming/{name}/."),
                false => format!("Site {name} was there already."),
            };
            Ok(Answer { json: json!({ "name": name.as_str(), "added": added }), text })
        }
        Site::Remove { name, .. } => {
            if !accounts.remove_site(name).await.map_err(port)? {
                let error = format!("there is no site {name}; `lobar site list` shows all");
                return Err(Failure::failed(error));
            }
            let text = format!(
                "Site {name} is off the list. Its images stay, and so do grants to it: `lobar user list` and `lobar \
                 token list` show whose."
            );
            Ok(Answer { json: json!({ "name": name.as_str(), "removed": true }), text })
        }
    }
}
