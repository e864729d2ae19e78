//! People, sessions, tokens and sites as clients see them.

use std::collections::BTreeMap;

use lobar_core::access::{Caller, Grants, Right, Sites, Who};
use lobar_core::accounts::{Account, Session, SessionId, Site, Token};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::timestamp::rfc3339;

/// Who is signed in, and what they may.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionBody {
    /// The account's or token's id; all zeros for the local user.
    id: Uuid,
    /// What records call them; `local` for the local user.
    name: String,
    /// `person`, `machine` or `local`.
    #[schema(value_type = String, example = "person")]
    kind: &'static str,
    /// Roles at sites: `clinician@north`, `operator@*`.
    grants: Vec<String>,
    /// The sites at which each right is held; null for all of them. Rights that are not held are left out.
    rights: BTreeMap<&'static str, Option<Vec<String>>>,
    /// To be sent as `Lobar-CSRF` with every request that changes something; null where no cookie signs in.
    csrf_token: Option<String>,
    /// RFC 3339, UTC: when the session ends however much it is used; null for machines and the local user.
    expires_at: Option<String>,
    /// Seconds without use after which it ends; null for machines and the local user.
    idle_seconds: Option<u64>,
    /// Whether a one-time code is asked for at sign-in; null for machines and the local user.
    codes: Option<bool>,
    /// Whether the caller's own opinion on some images is asked for before their results are shown: lists cannot be filtered
    /// by flag then.
    opinion_first: bool,
    /// Whether another provider signs them in: they have no password here.
    external: bool,
}

impl SessionBody {
    /// Of a caller who is no person with a session.
    pub(crate) fn of(caller: &Caller) -> Self {
        let kind = match caller.who {
            Who::Person { .. } => "person",
            Who::Machine { .. } => "machine",
            Who::Local => "local",
        };
        Self {
            id: caller.who.id(),
            name: caller.who.name().to_owned(),
            kind,
            grants: words(&caller.grants),
            rights: rights(&caller.grants),
            csrf_token: None,
            expires_at: None,
            idle_seconds: None,
            codes: None,
            opinion_first: false,
            external: false,
        }
    }

    /// With whether the caller's own opinion may be asked for first.
    pub(crate) fn asked_first(self, opinion_first: bool) -> Self {
        Self { opinion_first, ..self }
    }

    /// Of a person in a session.
    pub(crate) fn in_session(
        session: &Session,
        account: Account,
        idle_seconds: u64,
        csrf_token: String,
    ) -> Self {
        let (codes, external) = (account.totp.is_some(), account.external.is_some());
        let who = Who::Person { id: account.id.0, name: account.name };
        Self {
            csrf_token: Some(csrf_token),
            expires_at: Some(rfc3339(session.expires_at)),
            idle_seconds: Some(idle_seconds),
            codes: Some(codes),
            external,
            ..Self::of(&Caller { who, grants: account.grants })
        }
    }
}

/// Grants as they are written.
pub(crate) fn words(grants: &Grants) -> Vec<String> {
    grants.iter().map(|grant| grant.to_string()).collect()
}

fn rights(grants: &Grants) -> BTreeMap<&'static str, Option<Vec<String>>> {
    let held = Right::ALL.into_iter().filter(|right| grants.allow(*right));
    let sites = |right| match grants.reach(right) {
        Sites::All => None,
        Sites::Only(sites) => Some(sites.iter().map(|site| site.as_str().to_owned()).collect()),
    };
    held.map(|right| (right.as_str(), sites(right))).collect()
}

/// One of a person's own sessions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionItem {
    /// Ends it; opens nothing.
    id: Uuid,
    /// What it was opened with: `Firefox on Linux`.
    client: String,
    /// RFC 3339, UTC.
    opened_at: String,
    /// RFC 3339, UTC: the last use by the person, to the minute.
    used_at: String,
    /// RFC 3339, UTC.
    expires_at: String,
    /// Whether it is the one that asks.
    current: bool,
}

impl SessionItem {
    /// As seen from the session `current`.
    pub(crate) fn new(session: Session, current: Option<SessionId>) -> Self {
        Self {
            id: session.id.0,
            opened_at: rfc3339(session.opened_at),
            used_at: rfc3339(session.used_at),
            expires_at: rfc3339(session.expires_at),
            current: Some(session.id) == current,
            client: session.client,
        }
    }
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PersonItem {
    id: Uuid,
    name: String,
    /// Roles at sites: `clinician@north`, `operator@*`.
    grants: Vec<String>,
    disabled: bool,
    /// Whether they have set a password.
    password: bool,
    /// Whether they are asked for a one-time code too.
    totp: bool,
    /// Whether another issuer signs them in.
    external: bool,
    /// RFC 3339, UTC.
    added_at: String,
}

impl From<Account> for PersonItem {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.0,
            grants: words(&account.grants),
            disabled: account.disabled,
            password: account.password.is_some(),
            totp: account.totp.is_some(),
            external: account.external.is_some(),
            added_at: rfc3339(account.added_at),
            name: account.name,
        }
    }
}

/// A machine's token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenItem {
    id: Uuid,
    name: String,
    /// Roles at sites: `uploader@north`, `reader@north`.
    grants: Vec<String>,
    /// RFC 3339, UTC.
    added_at: String,
    /// RFC 3339, UTC; null for never.
    expires_at: Option<String>,
    /// RFC 3339, UTC; null for not.
    revoked_at: Option<String>,
    /// RFC 3339, UTC, to the minute; null for never.
    used_at: Option<String>,
}

impl From<Token> for TokenItem {
    fn from(token: Token) -> Self {
        Self {
            id: token.id.0,
            grants: words(&token.grants),
            added_at: rfc3339(token.added_at),
            expires_at: token.expires_at.map(rfc3339),
            revoked_at: token.revoked_at.map(rfc3339),
            used_at: token.used_at.map(rfc3339),
            name: token.name,
        }
    }
}

/// A site.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SiteItem {
    name: String,
    /// RFC 3339, UTC.
    added_at: String,
}

impl From<Site> for SiteItem {
    fn from(site: Site) -> Self {
        Self { name: site.name.to_string(), added_at: rfc3339(site.added_at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_tell_where_they_are_held() {
        let grants =
            ["clinician@north,south", "operator@*"].map(|text| text.parse().expect("a grant"));
        let rights = rights(&grants.into_iter().collect());
        assert_eq!(rights["read_images"], Some(vec!["north".to_owned(), "south".to_owned()]));
        assert_eq!(rights["read_queues"], None);
        assert!(!rights.contains_key("manage_people"));
    }
}
