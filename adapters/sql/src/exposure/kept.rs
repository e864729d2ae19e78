//! The key of the draw, exposures as they come, and what one image or one reader has of them.

use std::collections::{BTreeMap, BTreeSet};

use lobar_core::exposure::{Answer, Answered, DrawKey, Exposure, FirstOpinion, Visible};
use lobar_core::image::State;
use lobar_core::object::ImageId;
use uuid::Uuid;

use super::super::store::images as images_of;
use super::super::{BATCH, Db, DbError, Driver, Sql};
use super::row::{ExposureRow, OpinionRow};

/// Rows of exposures in one statement: ten arguments each.
const ROWS: usize = 200;

pub(super) async fn draw_key<D: Driver>(db: &Db<D>) -> Result<DrawKey, DbError> {
    // 244 random bits.
    let mut fresh = [0; 32];
    fresh[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    fresh[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    loop {
        let kept = Sql::<D>::new("select only_row, key from opinion_key");
        let kept: Option<(i64, Vec<u8>)> = db.fetch_all(kept).await?.into_iter().next();
        if let Some(key) = kept.and_then(|(_, key)| key.try_into().ok()) {
            return Ok(DrawKey(key));
        }
        db.execute::<(i64,)>(|_| {
            let sql =
                "insert into opinion_key (only_row, key) values (1, $1) on conflict do nothing";
            Sql::new(sql).bind(fresh.as_slice())
        })
        .await?;
    }
}

pub(super) async fn met<D: Driver>(
    db: &Db<D>,
    reader: Uuid,
    images: &[ImageId],
) -> Result<BTreeSet<ImageId>, DbError> {
    let mut met = BTreeSet::new();
    for batch in images.chunks(BATCH) {
        let mut sql =
            Sql::<D>::new("select image from first_opinion where reader = $1 and image in (")
                .bind(reader);
        sql.list(batch.iter().map(|image| image.0));
        sql.push(") union select image from exposure where source = 'sent' and reader = ");
        sql.arg(reader).push(" and image in (");
        sql.list(batch.iter().map(|image| image.0)).push(")");
        met.extend(db.fetch_all::<(Uuid,)>(sql).await?.into_iter().map(|(id,)| ImageId(id)));
    }
    Ok(met)
}

pub(super) async fn answers<D: Driver>(
    db: &Db<D>,
    images: &[ImageId],
) -> Result<BTreeMap<ImageId, Answered>, DbError> {
    let images = images_of(db, images).await?.into_iter();
    let answered = images.filter(|image| image.state != State::Removed).filter_map(|image| {
        let answer = Answer::from(image.finding.as_ref()?);
        Some((image.id, Answered { site: image.object.site().map(str::to_owned), answer }))
    });
    Ok(answered.collect())
}

pub(super) async fn expose<D: Driver>(db: &Db<D>, all: &[Exposure]) -> Result<(), DbError> {
    // What shows nothing is no exposure.
    let all = all.iter().filter(|exposure| exposure.visible != Visible::NOTHING);
    let all: Vec<&Exposure> = all.collect();
    for batch in all.chunks(ROWS) {
        let images: BTreeSet<Uuid> = batch.iter().map(|exposure| exposure.image.0).collect();
        let mut tx = db.begin().await?;
        // Held to the end of the transaction: what removes or erases an image finds what was kept of it, or comes first.
        let mut sql = Sql::<D>::new("select id from image where id in (");
        sql.list(images).push(") and state <> 'removed'").push(D::LOCK_ROWS);
        let there = sql.all::<(Uuid,)>(&mut tx).await?;
        let there: BTreeSet<Uuid> = there.into_iter().map(|(id,)| id).collect();
        let rows = batch.iter().filter(|exposure| there.contains(&exposure.image.0));
        let rows: Vec<_> = rows
            .map(|exposure| {
                (
                    exposure.id,
                    exposure.image.0,
                    exposure.reader,
                    exposure.session,
                    exposure.source.as_str(),
                    exposure.visible.bits(),
                    exposure.answer.model_version.as_str(),
                    exposure.answer.model_sha256.as_str(),
                    exposure.at.0,
                    i64::try_from(exposure.millis).unwrap_or(i64::MAX),
                )
            })
            .collect();
        if !rows.is_empty() {
            let mut sql = Sql::<D>::new(
                "insert into exposure
                   (id, image, reader, session, source, visible, model_version, model_sha256, at, millis)
                 values ",
            );
            sql.rows(rows).push(" on conflict do nothing");
            sql.run(&mut tx).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

pub(super) async fn of_image<D: Driver>(
    db: &Db<D>,
    image: ImageId,
) -> Result<Vec<Exposure>, DbError> {
    let all = Sql::<D>::new(
        "select id, image, reader, session, source, visible, model_version, model_sha256, at, millis
         from exposure where image = $1 order by at, id",
    );
    let rows: Vec<ExposureRow> = db.fetch_all(all.bind(image.0)).await?;
    Ok(rows.into_iter().filter_map(ExposureRow::exposure).collect())
}

pub(super) async fn opinions<D: Driver>(
    db: &Db<D>,
    image: ImageId,
) -> Result<Vec<FirstOpinion>, DbError> {
    let all = Sql::<D>::new(
        "select id, image, reader, name, role, session, label, rendering, model_version, model_sha256,
           found, at
         from first_opinion where image = $1 order by at, id",
    );
    let rows: Vec<OpinionRow> = db.fetch_all(all.bind(image.0)).await?;
    Ok(rows.into_iter().filter_map(OpinionRow::opinion).collect())
}
