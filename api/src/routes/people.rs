//! `/v1/people`: accounts, for admins.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use lobar_core::access::{Grant, Grants};
use lobar_core::accounts::{AccountError, AccountId};
use lobar_core::audit::Action;
use lobar_core::failure::PortError;
use lobar_signin::{AddError, GrantError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::parameters::read_limit;
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::json::Json;
use crate::people::PersonItem;
use crate::problem::{Kind, Problem};
use crate::record::on;

pub(super) const DEFAULT_LIMIT: usize = 200;
pub(super) const MAX_LIMIT: usize = 1_000;

/// Which people, and how many at once.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeopleQuery {
    /// The `next` of the page before.
    after: Option<Uuid>,
    /// People a page, 1 to 1,000; 200 when missing.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
}

/// One page of people, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PersonList {
    items: Vec<PersonItem>,
    /// Ask with `?after=` this for the next page; null on the last. It is the id of the last person here: names belong in
    /// no address.
    next: Option<Uuid>,
}

/// A person to invite.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InviteBody {
    /// The name to sign in with: 1 to 64 characters.
    name: String,
    /// Roles at sites: `clinician@north`, `operator@*`.
    grants: Vec<String>,
}

/// What to change of a person; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonChange {
    /// In the place of all that they had.
    grants: Option<Vec<String>>,
    /// Kept out, with every session ended; or let in again.
    disabled: Option<bool>,
}

/// A person with a one-time link, by which they set a password.
#[derive(Serialize, ToSchema)]
pub(crate) struct Invitation {
    person: PersonItem,
    /// Shown this once. The page's address of it is `/#/link/` and this.
    link_secret: String,
}

/// A page of those who have an account.
#[utoipa::path(get, path = "/v1/people", tag = "people", params(PeopleQuery), responses(
    (status = 200, body = PersonList),
    (status = 400, description = "A parameter has no valid value.", content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    _: Allowed<need::ManagePeople>,
    context: Data<Context>,
    query: Query<PeopleQuery>,
) -> Result<Json<PersonList>, Problem> {
    let PeopleQuery { after, limit } = query.into_inner();
    let limit = read_limit(limit.as_deref(), DEFAULT_LIMIT, MAX_LIMIT)?;
    let page = context.ask_port(&context.accounts, move |accounts| async move {
        let Some(id) = after else { return accounts.people(None, limit + 1).await.map(Some) };
        match accounts.account(AccountId(id)).await? {
            Some(last) => accounts.people(Some(&last.name), limit + 1).await.map(Some),
            None => Ok::<_, PortError>(None),
        }
    });
    let not_given = || Problem::new(Kind::BadParameter, "`after` is the `next` of another page.");
    let mut accounts = page.await?.ok_or_else(not_given)?;
    let more = accounts.len() > limit;
    accounts.truncate(limit);
    let next = accounts.last().filter(|_| more).map(|account| account.id.0);
    Ok(Json(PersonList { items: accounts.into_iter().map(PersonItem::from).collect(), next }))
}

/// Adds a person, who sets a password by the link.
#[utoipa::path(post, path = "/v1/people", tag = "people", request_body = InviteBody, responses(
    (status = 201, body = Invitation),
    (status = 400, description = "No name, or no grant.", content_type = "application/problem+json"),
    (status = 409, description = "The name is taken.", content_type = "application/problem+json"),
    (status = 422, description = "`unknown-site`, `useless-grant`: a grant that would give nothing.", content_type = "application/problem+json"),
))]
pub(crate) async fn invite(
    allowed: Allowed<need::ManagePeople>,
    context: Data<Context>,
    body: Json<InviteBody>,
) -> Result<HttpResponse, Problem> {
    let InviteBody { name, grants } = body.into_inner();
    let grants = settle(&context, &grants).await?;
    let sign_in = Arc::clone(&context.sign_in);
    let invited = context.run(async move { sign_in.invite(&name, grants).await });
    let (account, secret) = invited.await??;
    let detail = json!({ "change": "added", "grants": written(&account.grants) });
    context.record(on(&allowed, Action::PersonChanged, account.id.0, detail)).await?;
    let (person, link_secret) = (account.into(), secret.expose());
    Ok(HttpResponse::Created().json(Invitation { person, link_secret }))
}

/// Changes what a person may do, or keeps them out. It holds for their open sessions at once.
#[utoipa::path(put, path = "/v1/people/{id}", tag = "people", request_body = PersonChange,
    params(("id" = Uuid, Path, description = "The account's id.")),
    responses(
        (status = 200, body = PersonItem),
        (status = 404, description = "Not known.", content_type = "application/problem+json"),
        (status = 409, description = "Nobody could manage people any more.", content_type = "application/problem+json"),
        (status = 422, description = "`unknown-site`, `useless-grant`: a grant that would give nothing.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn change(
    allowed: Allowed<need::ManagePeople>,
    context: Data<Context>,
    id: Path<Uuid>,
    body: Json<PersonChange>,
) -> Result<Json<PersonItem>, Problem> {
    let id = AccountId(id.into_inner());
    let PersonChange { grants, disabled } = body.into_inner();
    let grants = match grants {
        Some(grants) => Some(settle(&context, &grants).await?),
        None => None,
    };
    let accounts = &context.accounts;
    let known =
        context.ask_port(accounts, move |accounts| async move { accounts.account(id).await });
    let mut account = known.await?.ok_or(AccountError::Unknown)?;
    if let Some(grants) = grants {
        let granted = context
            .ask_port(accounts, move |accounts| async move { accounts.grant(id, &grants).await });
        account = granted.await?;
        let detail = json!({ "change": "granted", "grants": written(&account.grants) });
        context.record(on(&allowed, Action::PersonChanged, id.0, detail)).await?;
    }
    if let Some(disabled) = disabled {
        let done = context.ask_port(accounts, move |accounts| async move {
            accounts.disable(id, disabled).await
        });
        account = done.await?;
        let detail = json!({ "change": if disabled { "disabled" } else { "enabled" } });
        context.record(on(&allowed, Action::PersonChanged, id.0, detail)).await?;
        context.identity.forget(id.0);
    }
    Ok(Json(account.into()))
}

/// Makes a one-time link for a person who lost their password. The password before stays until it is used.
#[utoipa::path(post, path = "/v1/people/{id}/reset", tag = "people",
    params(("id" = Uuid, Path, description = "The account's id.")),
    responses(
        (status = 200, body = Invitation),
        (status = 404, description = "Not known.", content_type = "application/problem+json"),
        (status = 409, description = "The account is disabled.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn reset(
    allowed: Allowed<need::ManagePeople>,
    context: Data<Context>,
    id: Path<Uuid>,
) -> Result<Json<Invitation>, Problem> {
    let id = AccountId(id.into_inner());
    let (sign_in, accounts) = (Arc::clone(&context.sign_in), Arc::clone(&context.accounts));
    let made = context.run(async move {
        let account = accounts.account(id).await?.ok_or(AccountError::Unknown)?;
        Ok::<_, AccountError>((account, sign_in.reset(id).await?))
    });
    let (account, secret) = made.await??;
    let detail = json!({ "change": "link made" });
    context.record(on(&allowed, Action::PersonChanged, account.id.0, detail)).await?;
    Ok(Json(Invitation { person: account.into(), link_secret: secret.expose() }))
}

/// Signs a person out everywhere.
#[utoipa::path(delete, path = "/v1/people/{id}/sessions", tag = "people",
    params(("id" = Uuid, Path, description = "The account's id.")),
    responses((status = 204, description = "All their sessions are over.")),
)]
pub(crate) async fn end_sessions(
    allowed: Allowed<need::ManagePeople>,
    context: Data<Context>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let id = AccountId(id.into_inner());
    let ended = context.ask_port(&context.accounts, move |accounts| async move {
        accounts.end_sessions(id, None).await
    });
    ended.await?;
    context.identity.forget(id.0);
    let detail = json!({ "change": "signed out everywhere" });
    context.record(on(&allowed, Action::PersonChanged, id.0, detail)).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn written(grants: &Grants) -> Vec<String> {
    grants.iter().map(|grant| grant.to_string()).collect()
}

/// Grants as they are written, when they can be granted.
pub(super) async fn settle(context: &Context, texts: &[String]) -> Result<Grants, Problem> {
    let grants: Result<Vec<Grant>, String> = texts.iter().map(|text| text.parse()).collect();
    let grants =
        grants.map_err(|why| Problem::new(Kind::BadParameter, format!("`grants`: {why}.")))?;
    let sign_in = Arc::clone(&context.sign_in);
    Ok(context.run(async move { sign_in.settle(&grants).await }).await??)
}

impl From<GrantError> for Problem {
    fn from(error: GrantError) -> Self {
        let kind = match error {
            GrantError::Port(error) => return error.into(),
            GrantError::Apart { .. } => Kind::UselessGrant,
            GrantError::UnknownSite { .. } => Kind::UnknownSite,
        };
        Self::new(kind, format!("`grants`: {error}."))
    }
}

impl From<AddError> for Problem {
    fn from(error: AddError) -> Self {
        match error {
            AddError::Name => Self::new(Kind::BadParameter, format!("`name`: {error}.")),
            AddError::Account(error) => error.into(),
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let kind = match error {
            AccountError::Port(error) => return error.into(),
            AccountError::NameTaken => Kind::NameTaken,
            AccountError::Unknown => Kind::UnknownPerson,
            AccountError::External => Kind::ExternalAccount,
            AccountError::Disabled => Kind::AccountDisabled,
            AccountError::Replaced => Kind::WrongCredentials,
            AccountError::LastAdmin => Kind::LastAdmin,
        };
        Self::new(kind, format!("{error}."))
    }
}
