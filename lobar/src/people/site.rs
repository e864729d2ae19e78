//! `lobar site`.

use lobar_core::audit::Action;
use serde_json::{Value, json};

use super::{Answer, Open, port, shown};
use crate::cli::Site;
use crate::failure::Failure;
use crate::on_record::at;

pub async fn answer(command: &Site, open: &Open) -> Result<Answer, Failure> {
    let accounts = &**open.sign_in.accounts();
    let changed = |name, what| at(Action::SiteChanged, name, json!({ "change": what }));
    match command {
        Site::List { .. } => {
            let sites = accounts.sites().await.map_err(port)?;
            let items: Vec<Value> = sites.iter().map(shown::site).collect();
            Ok(Answer { json: json!({ "items": items }), text: shown::sites(&sites) })
        }
        Site::Add { name, .. } => {
            let adds = async { accounts.add_site(name).await.map_err(port) };
            let added = open.record.change(changed(name, "added"), adds).await?;
            let text = match added {
                true => format!("Site {name} is added. Its uploads go to incoming/{name}/."),
                false => format!("Site {name} was there already."),
            };
            Ok(Answer { json: json!({ "name": name.as_str(), "added": added }), text })
        }
        Site::Remove { name, .. } => {
            let removes = async {
                match accounts.remove_site(name).await.map_err(port)? {
                    true => Ok(()),
                    false => Err(Failure::failed(format!(
                        "there is no site {name}; `lobar site list` shows all"
                    ))),
                }
            };
            open.record.change(changed(name, "removed"), removes).await?;
            let text = format!(
                "Site {name} is off the list. Its images stay, and so do grants to it: `lobar user list` and `lobar \
                 token list` show whose."
            );
            Ok(Answer { json: json!({ "name": name.as_str(), "removed": true }), text })
        }
    }
}
