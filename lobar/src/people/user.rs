//! `lobar user`.

use lobar_api::rfc3339;
use lobar_core::accounts::{Account, AccountId};
use lobar_core::audit::{Action, NewEntry};
use lobar_core::time::{Clock as _, Stamp, SystemClock};
use lobar_signin::{Secret, SignIn};
use serde_json::{Value, json};

use super::link::Base;
use super::{Answer, Open, grants, not_added, port, refused, shown};
use crate::cli::User;
use crate::failure::Failure;
use crate::on_record::{about, entry};

pub async fn answer(command: &User, open: &Open) -> Result<Answer, Failure> {
    let (sign_in, record) = (&open.sign_in, &open.record);
    match command {
        User::List { .. } => list(sign_in).await,
        User::Add { name, grants, link, .. } => {
            // Nothing is changed when the link cannot be told.
            let base = Base::new(link, &open.settings)?;
            let grants = grants::settled(grants, open).await?;
            let until = until(sign_in);
            let detail = json!({ "change": "added", "grants": grants::listed(&grants) });
            let added = entry(Action::PersonChanged, detail);
            let invites = async { sign_in.invite(name, grants).await.map_err(not_added) };
            // The link is shown only once it is on record.
            let (account, secret) =
                record.adding(added, invites, |(account, _)| Some(account.id.0)).await?;
            let done = format!("{name} is invited: {}.", grants::shown(&account.grants));
            Ok(linked(&account, &done, &base, &secret, until))
        }
        User::Grant { name, grants, .. } => {
            let id = find(sign_in, name).await?.id;
            let grants = grants::settled(grants, open).await?;
            let detail = json!({ "change": "granted", "grants": grants::listed(&grants) });
            let does = async { sign_in.accounts().grant(id, &grants).await.map_err(refused) };
            let account = record.change(changed(id, detail), does).await?;
            let text = format!("{} may now: {}.", account.name, grants::shown(&account.grants));
            Ok(Answer { json: shown::account(&account), text })
        }
        User::Disable { name, .. } => disable(open, name, true).await,
        User::Enable { name, .. } => disable(open, name, false).await,
        User::Reset { name, forget_codes, link, .. } => {
            let base = Base::new(link, &open.settings)?;
            reset(open, name, *forget_codes, &base).await
        }
        User::Sessions { name, .. } => {
            let id = find(sign_in, name).await?.id;
            let idle = sign_in.settings().idle;
            let sessions = sign_in.accounts().sessions(id, idle).await.map_err(port)?;
            let items: Vec<Value> = sessions.iter().map(shown::session).collect();
            Ok(Answer { json: json!({ "items": items }), text: shown::sessions(&sessions) })
        }
        User::SignOut { name, .. } => {
            let account = find(sign_in, name).await?;
            let does =
                async { sign_in.accounts().end_sessions(account.id, None).await.map_err(port) };
            let detail = json!({ "change": "signed out everywhere" });
            let ended = record.change(changed(account.id, detail), does).await?;
            let sessions = if ended == 1 { "session" } else { "sessions" };
            let text = format!("{} is signed out: {ended} {sessions} ended.", account.name);
            Ok(Answer { json: json!({ "ended": ended }), text })
        }
    }
}

fn changed(id: AccountId, detail: Value) -> NewEntry {
    about(Action::PersonChanged, id.0, detail)
}

async fn list(sign_in: &SignIn) -> Result<Answer, Failure> {
    let accounts = sign_in.accounts().accounts().await.map_err(port)?;
    let items: Vec<Value> = accounts.iter().map(shown::account).collect();
    Ok(Answer { json: json!({ "items": items }), text: shown::accounts(&accounts) })
}

async fn disable(open: &Open, name: &str, disabled: bool) -> Result<Answer, Failure> {
    let id = find(&open.sign_in, name).await?.id;
    let detail = json!({ "change": if disabled { "disabled" } else { "enabled" } });
    let does = async { open.sign_in.accounts().disable(id, disabled).await.map_err(refused) };
    let account = open.record.change(changed(id, detail), does).await?;
    let text = match disabled {
        true => format!("{} is disabled and signed out everywhere.", account.name),
        false => format!("{} is enabled.", account.name),
    };
    Ok(Answer { json: shown::account(&account), text })
}

async fn reset(
    open: &Open,
    name: &str,
    forget_codes: bool,
    base: &Base,
) -> Result<Answer, Failure> {
    let sign_in = &open.sign_in;
    let id = find(sign_in, name).await?.id;
    let until = until(sign_in);
    let does = async {
        let secret = sign_in.reset(id).await.map_err(refused)?;
        if forget_codes {
            sign_in.accounts().set_totp(id, None, None).await.map_err(refused)?;
        }
        Ok((secret, again(sign_in, id).await?))
    };
    let change = if forget_codes { "link made, codes removed" } else { "link made" };
    let entry = changed(id, json!({ "change": change }));
    let (secret, account) = open.record.change(entry, does).await?;
    let codes = if forget_codes { " They are asked for no codes any more." } else { "" };
    let done = format!("{} can set another password.{codes}", account.name);
    Ok(linked(&account, &done, base, &secret, until))
}

/// When a link that is made now is of no use any more, at the latest.
fn until(sign_in: &SignIn) -> Stamp {
    SystemClock.now().plus(sign_in.settings().link)
}

fn linked(account: &Account, done: &str, base: &Base, secret: &Secret, until: Stamp) -> Answer {
    let link = base.link(secret);
    let text = format!(
        "{done}\nGive them this link, and nobody else. It sets their password once, until {} UTC, and is not shown \
         again:\n  {link}\n",
        shown::minute(until)
    );
    let json = json!({
        "account": shown::account(account), "link": link, "expires_at": rfc3339(until),
    });
    Answer { json, text }
}

async fn find(sign_in: &SignIn, name: &str) -> Result<Account, Failure> {
    let found = sign_in.accounts().named(name).await.map_err(port)?;
    found.ok_or_else(|| {
        Failure::failed("nobody has an account of that name; `lobar user list` shows who has one")
    })
}

async fn again(sign_in: &SignIn, id: AccountId) -> Result<Account, Failure> {
    let found = sign_in.accounts().account(id).await.map_err(port)?;
    found.ok_or_else(|| Failure::failed("the account is gone"))
}
