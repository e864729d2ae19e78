//! `lobar token`.

use lobar_core::accounts::{KeyOwner, S3Keys};
use lobar_core::audit::Action;
use lobar_core::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::{Answer, Open, grants, not_added, port, shown};
use crate::cli::Token;
use crate::failure::Failure;
use crate::on_record::{about, entry};
use crate::service::s3_key_file;
use crate::settings::Settings;

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
        Token::Add { name, grants, expires, s3, .. } => {
            let keys = s3.then(|| s3_keys(&open.settings)).transpose()?;
            let grants = grants::settled(grants, open).await?;
            let expires_at = expires.time().map(|time| now.plus(time));
            let detail = json!({ "change": "added", "grants": grants::listed(&grants), "s3": s3 });
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
            let mut text = format!(
                "Token {name}: {may}.\nGive it to the machine, which sends it as `Authorization: Bearer TOKEN`. It is \
                 good {until}, and not shown again:\n  {secret}\n"
            );
            let mut json = json!({ "token": shown::token(&token, now), "secret": secret });
            if let Some(pair) = keys.map(|keys| keys.pair(KeyOwner::Machine(token.id))) {
                json["s3"] = json!({
                    "access_key_id": pair.access_key,
                    "secret_access_key": pair.secret_key,
                });
                text += &format!(
                    "S3 clients sign with this key pair at the embedded endpoint, bucket {}. It is not shown again \
                     either:\n  [default]\n  aws_access_key_id = {}\n  aws_secret_access_key = {}\n",
                    open.settings.bucket, pair.access_key, pair.secret_key
                );
            }
            Ok(Answer { json, text })
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

/// What makes S3 key pairs for the embedded endpoint.
fn s3_keys(settings: &Settings) -> Result<S3Keys, Failure> {
    if settings.s3_endpoint.is_some() {
        return Err(Failure::usage(
            "--s3 is for the embedded endpoint, and the settings name another one (s3_endpoint): make key pairs there",
        ));
    }
    let operator = s3_key_file::own(settings)?;
    S3Keys::of_operator(&operator.secret_key).ok_or_else(|| {
        Failure::failed(
            "the operator's S3 secret key (AWS_SECRET_ACCESS_KEY, or secret_key_file in the settings) has fewer than 32 \
             characters, so that others could guess it from a key pair that is made of it: take a longer random one",
        )
    })
}
