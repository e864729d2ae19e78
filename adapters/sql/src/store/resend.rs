//! Which dead images are being stored once more.

use std::time::Duration;

use lobar_core::object::ImageId;
use lobar_core::time::Stamp;

use super::super::{Db, DbError, Driver, Sql};

pub(super) async fn hold<D: Driver>(
    db: &Db<D>,
    image: ImageId,
    lease: Duration,
) -> Result<Option<Stamp>, DbError> {
    // Left over by those that ended.
    let forget = |now: Stamp| {
        let forget = Sql::<D>::new(
            "delete from resend where held_until <= $1 and image <> $2 returning held_until",
        );
        forget.bind(now.0).bind(image.0)
    };
    db.execute::<(i64,)>(forget).await?;
    let hold = |now: Stamp| {
        Sql::<D>::new(
            "insert into resend (image, held_until) values ($1, $2)
             on conflict (image) do update set held_until = excluded.held_until
             where resend.held_until <= $3 returning held_until",
        )
        .bind(image.0)
        .bind(now.plus(lease).0)
        .bind(now.0)
    };
    let held = db.execute::<(i64,)>(hold).await?;
    Ok(held.first().map(|(until,)| Stamp(*until)))
}

pub(super) async fn release<D: Driver>(
    db: &Db<D>,
    image: ImageId,
    held: Stamp,
) -> Result<(), DbError> {
    let release = |_: Stamp| {
        let release = Sql::<D>::new(
            "delete from resend where image = $1 and held_until = $2 returning held_until",
        );
        release.bind(image.0).bind(held.0)
    };
    db.execute::<(i64,)>(release).await.map(drop)
}
