//! `lobar token`.

use lobar_core::audit::Action;
use lobar_core::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::{Answer, Open, grants, not_added, port, shown};
use crate::cli::Token;
use crate::failure::Failure;
use crate::on_record::{about, entry};

pub async fn answer(command: &Token, open: &Open) -> Result<Answer, Failure> {
    let sign_in = &open.sign_in;
    let accounts = &**sign_in.accounts();
    let now = SystemClock.now();
    match command {
        Token::List { .. } => {
            let tokens = accounts.tokens().await.map_err(port)?;
            let items: Vec<Value> = tokens.iter().map(|token| shown::token(token, now)).collect();
            Ok(Answer { json: json!({ "items": items }), text: shown::tokens(&tokens, now) })
        }
        Token::Add { name, grants, expires, .. } => {
            let grants = grants::settled(grants, open).await?;
            let expires_at = expires.time().map(|time| now.plus(time));
            let detail = json!({ "change": "added", "grants": grants::listed(&grants) });
            let adds =
                async { sign_in.add_token(name, grants, expires_at).await.map_err(not_added) };
            let added = entry(Action::TokenChanged, detail);
            // Shown only once it is on record.
            let (token, secret) =
                open.record.adding(added, adds, |(token, _)| Some(token.id.0)).await?;
            let until = token.expires_at.map_or("until it is revoked".into(), |at| {
                format!("until {} UTC", shown::minute(at))
            });
            let (may, secret) = (grants::shown(&token.grants), secret.expose());
            let text = format!(
                "Token {name}: {may}.\nGive it to the machine, which sends it as `Authorization: Bearer TOKEN`. It is \
                 good {until}, and not shown again:\n  {secret}\n"
            );
            Ok(Answer {
                json: json!({ "token": shown::token(&token, now), "secret": secret }),
                text,
            })
        }
        Token::Revoke { name, .. } => {
            let tokens = accounts.tokens().await.map_err(port)?;
            let Some(token) = tokens.into_iter().find(|token| token.name == *name) else {
                return Err(Failure::failed(
                    "there is no token of that name; `lobar token list` shows all",
                ));
            };
            let revokes = async { accounts.revoke_token(token.id).await.map_err(port) };
            let changed = about(Action::TokenChanged, token.id.0, json!({ "change": "revoked" }));
            let revoked = open.record.change(changed, revokes).await?;
            let text = match revoked {
                true => format!("Token {name} is revoked."),
                false => format!("Token {name} was over already."),
            };
            Ok(Answer { json: json!({ "revoked": revoked }), text })
        }
    }
}
