//! People, tokens and sites as they are printed. No secret and no hash is in any of them.

use lobar_api::rfc3339;
use lobar_core::accounts::{Account, Session, Site, Token};
use lobar_core::time::Stamp;
use serde_json::{Value, json};

use super::grants::{listed, shown};
use crate::columns::{columns, minutes};

/// `2026-03-01 09:05`, UTC.
pub fn minute(stamp: Stamp) -> String {
    minutes(&rfc3339(stamp))
}

fn minute_or_dash(stamp: Option<Stamp>) -> String {
    stamp.map_or("-".into(), minute)
}

fn state(account: &Account) -> &'static str {
    match account {
        Account { disabled: true, .. } => "disabled",
        Account { external: Some(_), .. } => "external",
        Account { password: None, .. } => "invited",
        _ => "active",
    }
}

/// One person, for programs.
pub fn account(account: &Account) -> Value {
    json!({
        "id": account.id.to_string(),
        "name": account.name,
        "state": state(account),
        "grants": listed(&account.grants),
        "codes": account.totp.is_some(),
        "issuer": account.external.as_ref().map(|external| &external.issuer),
        "added_at": rfc3339(account.added_at),
        "failures": account.failures,
        "failed_at": account.failed_at.map(rfc3339),
    })
}

/// Everybody in a line.
pub fn accounts(all: &[Account]) -> String {
    if all.is_empty() {
        return "Nobody has an account. `lobar user add NAME --grant ROLE@SITES` invites somebody."
            .into();
    }
    let lines = all.iter().map(|one| {
        let codes = if one.totp.is_some() { "yes" } else { "no" };
        let (state, grants) = (state(one).to_owned(), shown(&one.grants));
        vec![one.name.clone(), state, codes.into(), minute(one.added_at), grants]
    });
    columns(&["NAME", "STATE", "CODES", "ADDED (UTC)", "GRANTS"], lines)
}

/// One session, for programs.
pub fn session(session: &Session) -> Value {
    json!({
        "id": session.id.0.to_string(),
        "client": session.client,
        "opened_at": rfc3339(session.opened_at),
        "used_at": rfc3339(session.used_at),
        "expires_at": rfc3339(session.expires_at),
    })
}

/// Every session in a line.
pub fn sessions(all: &[Session]) -> String {
    if all.is_empty() {
        return "They are signed in nowhere.".into();
    }
    let lines = all.iter().map(|one| {
        let times = [one.opened_at, one.used_at, one.expires_at].map(minute);
        times.into_iter().chain([one.client.clone()]).collect()
    });
    columns(&["OPENED (UTC)", "USED", "ENDS BY", "CLIENT"], lines)
}

fn token_state(token: &Token, now: Stamp) -> &'static str {
    match token {
        Token { revoked_at: Some(_), .. } => "revoked",
        Token { expires_at: Some(at), .. } if *at <= now => "expired",
        _ => "active",
    }
}

/// One token, for programs.
pub fn token(token: &Token, now: Stamp) -> Value {
    json!({
        "id": token.id.0.to_string(),
        "name": token.name,
        "state": token_state(token, now),
        "grants": listed(&token.grants),
        "added_at": rfc3339(token.added_at),
        "expires_at": token.expires_at.map(rfc3339),
        "revoked_at": token.revoked_at.map(rfc3339),
        "used_at": token.used_at.map(rfc3339),
    })
}

/// Every token in a line.
pub fn tokens(all: &[Token], now: Stamp) -> String {
    if all.is_empty() {
        return "There is no token. `lobar token add NAME --grant ROLE@SITES` makes one.".into();
    }
    let lines = all.iter().map(|one| {
        let state = token_state(one, now).to_owned();
        let (expires, used) = (minute_or_dash(one.expires_at), minute_or_dash(one.used_at));
        vec![one.name.clone(), state, expires, used, shown(&one.grants)]
    });
    columns(&["NAME", "STATE", "EXPIRES (UTC)", "USED", "GRANTS"], lines)
}

/// One site, for programs.
pub fn site(site: &Site) -> Value {
    json!({ "name": site.name.as_str(), "added_at": rfc3339(site.added_at) })
}

/// Every site in a line.
pub fn sites(all: &[Site]) -> String {
    if all.is_empty() {
        return "No site is known. `lobar site add NAME` adds one.".into();
    }
    let lines = all.iter().map(|one| vec![one.name.to_string(), minute(one.added_at)]);
    columns(&["NAME", "ADDED (UTC)"], lines)
}
