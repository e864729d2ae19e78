//! Tokens of machines.

use lobar_core::accounts::{AccountError, NewToken, SecretHash, Token, TokenId, is_name};
use lobar_core::failure::PortError;
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::{Db, DbError, Driver, Sql};
use super::Done;
use super::row::{TokenRow, grants_text, name_key};

/// In microseconds.
const MINUTE: i64 = 60_000_000;

pub(super) async fn add<D: Driver>(db: &Db<D>, new: &NewToken) -> Done<Token> {
    if !is_name(&new.name) {
        let why = "a name has 1 to 64 characters, no control characters and no space at either end";
        return Ok(Err(PortError::permanent("accounts: add token", why).into()));
    }
    let added = db.execute(|now| {
        Sql::<D>::new(
            "insert into token (id, name, name_key, grants, secret, added_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7) on conflict (name_key) do nothing
             returning id, name, grants, added_at, expires_at, revoked_at, used_at",
        )
        .bind(Uuid::now_v7())
        .bind(new.name.as_str())
        .bind(name_key(&new.name).as_str())
        .bind(grants_text(&new.grants).as_str())
        .bind(&new.secret.0[..])
        .bind(now.0)
        .bind(new.expires_at.map(|at| at.0))
    });
    let added: Vec<TokenRow> = added.await?;
    Ok(match added.into_iter().next() {
        Some(row) => Ok(row.token(db.unreadable())),
        None => Err(AccountError::NameTaken),
    })
}

pub(super) async fn all<D: Driver>(db: &Db<D>) -> Result<Vec<Token>, DbError> {
    let all = Sql::<D>::new(
        "select id, name, grants, added_at, expires_at, revoked_at, used_at from token",
    );
    let rows: Vec<TokenRow> = db.fetch_all(all).await?;
    let mut all: Vec<Token> = rows.into_iter().map(|row| row.token(db.unreadable())).collect();
    all.sort_by_cached_key(|token| name_key(&token.name));
    Ok(all)
}

pub(super) async fn find<D: Driver>(
    db: &Db<D>,
    secret: &SecretHash,
) -> Result<Option<Token>, DbError> {
    let one = Sql::<D>::new(
        "select id, name, grants, added_at, expires_at, revoked_at, used_at from token
         where secret = $1 and revoked_at is null and (expires_at is null or expires_at > $2)",
    );
    let Some(token) = found(db, one.bind(&secret.0[..])).await? else { return Ok(None) };
    match note_use(db, &token).await {
        Ok(used_at) => Ok(Some(Token { used_at: Some(used_at), ..token })),
        // A full disk shuts no machine out that only reads; its next use is noted.
        Err(fault) if fault.is_transient() => Ok(Some(token)),
        Err(fault) => Err(fault),
    }
}

pub(super) async fn by_id<D: Driver>(db: &Db<D>, id: TokenId) -> Result<Option<Token>, DbError> {
    let one = Sql::<D>::new(
        "select id, name, grants, added_at, expires_at, revoked_at, used_at from token
         where id = $1 and revoked_at is null and (expires_at is null or expires_at > $2)",
    );
    found(db, one.bind(id.0)).await
}

/// The token that `one` finds, once its second argument is bound to the time.
async fn found<D: Driver>(db: &Db<D>, one: Sql<D>) -> Result<Option<Token>, DbError> {
    let rows: Vec<TokenRow> = db.fetch_all(one.bind(db.now().0)).await?;
    Ok(rows.into_iter().next().map(|row| row.token(db.unreadable())))
}

/// Notes that it was used; in which minute.
pub(super) async fn note_use<D: Driver>(db: &Db<D>, token: &Token) -> Result<Stamp, DbError> {
    let now = db.now();
    let minute = Stamp(now.0 - now.0.rem_euclid(MINUTE));
    if let Some(used) = token.used_at.filter(|used| *used >= minute) {
        return Ok(used);
    }
    let noted = db.relaxed(|_| {
        Sql::<D>::new(
            "update token set used_at = $1
             where id = $2 and (used_at is null or used_at < $1) returning id",
        )
        .bind(minute.0)
        .bind(token.id.0)
    });
    let _: Vec<(Uuid,)> = noted.await?;
    Ok(minute)
}

pub(super) async fn revoke<D: Driver>(db: &Db<D>, id: TokenId) -> Result<bool, DbError> {
    let revoked = db.execute(|now| {
        Sql::<D>::new(
            "update token set revoked_at = $1 where id = $2 and revoked_at is null
               and (expires_at is null or expires_at > $1) returning id",
        )
        .bind(now.0)
        .bind(id.0)
    });
    let revoked: Vec<(Uuid,)> = revoked.await?;
    Ok(!revoked.is_empty())
}
