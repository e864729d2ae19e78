//! Claims of readers: the image's row is locked for the length of each change, so that one at most has it.

use std::time::Duration;

use lobar_core::exposure::Reader;
use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use lobar_core::worklist::{Claimed, Claiming, ReadingClaim};
use uuid::Uuid;

use super::super::store::{Changes, state};
use super::super::tx::Tx;
use super::super::{Db, DbError, Driver, Sql};

/// A row of `reading_claim`.
#[derive(sqlx::FromRow)]
pub struct ReadingClaimRow {
    pub(super) image: Uuid,
    reader: Uuid,
    name: String,
    since: i64,
    until: i64,
}

impl ReadingClaimRow {
    pub(super) fn claim(self) -> ReadingClaim {
        let reader = Reader { id: self.reader, name: self.name };
        ReadingClaim { reader, since: Stamp(self.since), until: Stamp(self.until) }
    }
}

pub(super) async fn claim<D: Driver>(
    db: &Db<D>,
    image: ImageId,
    reader: &Reader,
    claiming: Claiming,
    lease: Duration,
) -> Result<Option<Claimed>, DbError> {
    let mut tx = db.begin().await?;
    let now = db.now();
    let standing = standing(&mut tx, image).await?;
    let Some(state) = standing.filter(|state| !is_gone(*state)) else {
        tx.commit().await?;
        return Ok(None);
    };
    let held = held(&mut tx, image, now).await?;
    let is_own = held.as_ref().is_some_and(|held| held.reader.id == reader.id);
    let (own, other) = if is_own { (held, None) } else { (None, held) };
    if let Some(claim) = other.clone().filter(|_| claiming == Claiming::Open) {
        tx.commit().await?;
        return Ok(Some(Claimed { claim, is_new: false, taken_from: None }));
    }
    let since = own.map_or(now, |own| own.since);
    let claim = ReadingClaim { reader: reader.clone(), since, until: now.plus(lease) };
    keep(&mut tx, image, &claim).await?;
    if !is_own {
        tell(&mut tx, image, state, now).await?;
    }
    tx.commit().await?;
    let taken_from = other.map(|other| other.reader);
    Ok(Some(Claimed { claim, is_new: !is_own, taken_from }))
}

pub(super) async fn release<D: Driver>(
    db: &Db<D>,
    image: ImageId,
    reader: &Reader,
) -> Result<bool, DbError> {
    let mut tx = db.begin().await?;
    let now = db.now();
    let standing = standing(&mut tx, image).await?;
    let held = held(&mut tx, image, now).await?;
    let (Some(state), Some(_)) = (standing, held.filter(|held| held.reader.id == reader.id)) else {
        tx.commit().await?;
        return Ok(false);
    };
    let end = Sql::<D>::new("delete from reading_claim where image = $1");
    end.bind(image.0).run(&mut tx).await?;
    tell(&mut tx, image, state, now).await?;
    tx.commit().await?;
    Ok(true)
}

fn is_gone(state: State) -> bool {
    matches!(state, State::Superseded | State::Removed)
}

/// The state of an image that is locked until the transaction ends.
async fn standing<D: Driver>(tx: &mut Tx<D>, image: ImageId) -> Result<Option<State>, DbError> {
    let mut sql = Sql::<D>::new("select id, state from image where id = $1").bind(image.0);
    sql.push(D::LOCK_ROWS);
    Ok(sql.optional::<(Uuid, String)>(tx).await?.map(|(_, word)| state(&word)))
}

/// The claim on an image, unless it has lapsed.
async fn held<D: Driver>(
    tx: &mut Tx<D>,
    image: ImageId,
    now: Stamp,
) -> Result<Option<ReadingClaim>, DbError> {
    let sql = Sql::<D>::new(
        "select image, reader, name, since, until from reading_claim where image = $1 and until > $2",
    );
    let row: Option<ReadingClaimRow> = sql.bind(image.0).bind(now.0).optional(tx).await?;
    Ok(row.map(ReadingClaimRow::claim))
}

async fn keep<D: Driver>(
    tx: &mut Tx<D>,
    image: ImageId,
    claim: &ReadingClaim,
) -> Result<(), DbError> {
    let sql = Sql::<D>::new(
        "insert into reading_claim (image, reader, name, since, until) values ($1, $2, $3, $4, $5)
         on conflict (image) do update set reader = excluded.reader, name = excluded.name,
           since = excluded.since, until = excluded.until",
    );
    let sql = sql.bind(image.0).bind(claim.reader.id).bind(claim.reader.name.as_str());
    sql.bind(claim.since.0).bind(claim.until.0).run(tx).await.map(drop)
}

/// The last thing that the transaction does: see [`Changes::record`].
async fn tell<D: Driver>(
    tx: &mut Tx<D>,
    image: ImageId,
    state: State,
    now: Stamp,
) -> Result<(), DbError> {
    let mut changes = Changes::default();
    changes.retold(image, state);
    changes.record(tx, now).await
}
