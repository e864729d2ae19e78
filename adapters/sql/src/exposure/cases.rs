//! Cases: first opinions with the verdicts after them, and what was met before and between.

use std::collections::{BTreeMap, HashMap};

use lobar_core::exposure::{Case, CaseKey, Exposure, FirstOpinion, Last, Source, Visible};
use lobar_core::finding::Label;
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::{BATCH, Db, DbError, Driver, Sql};
use super::row::{CaseRow, ExposureRow};

pub(super) async fn page<D: Driver>(
    db: &Db<D>,
    after: Option<CaseKey>,
    until: Option<Stamp>,
    limit: usize,
) -> Result<Vec<Case>, DbError> {
    let after = after.unwrap_or(CaseKey { at: Stamp(i64::MIN), id: Uuid::nil() });
    let mut sql = Sql::<D>::new(
        "select first.*, image.site, verdict.label as last_label, verdict.at as last_at
         from (
           select first_opinion.*, (
             select max(verdict.at) from verdict
             where verdict.image = first_opinion.image and verdict.reader = first_opinion.name
               and verdict.at >= first_opinion.at and not exists (
                 select 1 from verdict_withdrawal where verdict_withdrawal.verdict = verdict.id)) as newest
           from first_opinion where (first_opinion.at, first_opinion.id) > ",
    );
    sql.rows([(after.at.0, after.id)]);
    sql.push(" and first_opinion.at < ").arg(until.map_or(i64::MAX, |until| until.0));
    sql.push(" order by first_opinion.at, first_opinion.id limit ");
    sql.arg(i64::try_from(limit).unwrap_or(i64::MAX));
    sql.push(
        ") as first
         join image on image.id = first.image
         left join verdict on verdict.image = first.image and verdict.at = first.newest
         order by first.at, first.id",
    );
    let rows: Vec<CaseRow> = db.fetch_all(sql).await?;
    let parts: Vec<_> = rows.into_iter().filter_map(CaseRow::parts).collect();
    let met = exposures(db, parts.iter().map(|(first, ..)| first.opinion.image)).await?;
    let case = |(first, site, last): (FirstOpinion, _, Option<Last>)| {
        let of_reader = |exposure: &&Exposure| exposure.reader == first.opinion.reader.id;
        let all: Vec<&Exposure> = met
            .get(&first.opinion.image)
            .map(|all| all.iter().filter(of_reader).collect())
            .unwrap_or_default();
        let met_in = |wanted: &dyn Fn(&Exposure) -> bool| {
            let those = all.iter().filter(|exposure| wanted(exposure));
            those.fold(Visible::NOTHING, |seen, exposure| seen | exposure.visible)
        };
        let before = met_in(&|exposure| exposure.at < first.at);
        let end = last.as_ref().map_or(Stamp(i64::MAX), |last| last.at);
        let between = met_in(&|exposure| {
            exposure.source == Source::Painted
                && exposure.answer.model_sha256 == first.answer.model_sha256
                && exposure.at >= first.at
                && exposure.at <= end
        });
        Case { site, last, before, between, first }
    };
    Ok(parts.into_iter().map(case).collect())
}

async fn exposures<D: Driver>(
    db: &Db<D>,
    images: impl Iterator<Item = ImageId>,
) -> Result<HashMap<ImageId, Vec<Exposure>>, DbError> {
    let mut images: Vec<ImageId> = images.collect();
    images.sort_unstable();
    images.dedup();
    let mut met: HashMap<ImageId, Vec<Exposure>> = HashMap::new();
    for batch in images.chunks(BATCH) {
        let mut sql = Sql::<D>::new(
            "select id, image, reader, session, source, visible, model_version, model_sha256, at,
               millis
             from exposure where image in (",
        );
        sql.list(batch.iter().map(|image| image.0)).push(")");
        let rows: Vec<ExposureRow> = db.fetch_all(sql).await?;
        for exposure in rows.into_iter().filter_map(ExposureRow::exposure) {
            met.entry(exposure.image).or_default().push(exposure);
        }
    }
    Ok(met)
}

pub(super) async fn labels_by<D: Driver>(
    db: &Db<D>,
    name: &str,
    images: &[ImageId],
) -> Result<BTreeMap<ImageId, Label>, DbError> {
    let mut labels = BTreeMap::new();
    for batch in images.chunks(BATCH) {
        let mut sql = Sql::<D>::new(
            "select image, label from verdict where reader = $1 and not exists (
               select 1 from verdict_withdrawal where verdict_withdrawal.verdict = verdict.id)
             and image in (",
        )
        .bind(name);
        sql.list(batch.iter().map(|image| image.0)).push(") order by at");
        for (image, word) in db.fetch_all::<(Uuid, Option<String>)>(sql).await? {
            // The newest counts, also where it takes the label back.
            match word.as_deref().and_then(Label::parse) {
                Some(label) => labels.insert(ImageId(image), label),
                None => labels.remove(&ImageId(image)),
            };
        }
    }
    Ok(labels)
}
