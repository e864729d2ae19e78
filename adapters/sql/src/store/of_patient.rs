//! Pages of the images of one patient or one batch, or of those that a text finds: a few, found by indexes of patients, studies
//! and batches, so all that match are counted.

use lobar_core::access::{SiteName, Sites};
use lobar_core::image::{Image, State};
use lobar_core::store::{Filter, Page, PageKey};
use lobar_core::study::Pattern;

use super::super::{Db, DbError, Driver, Sql};
use super::page::{COLUMNS, newest};
use super::row::ImageRow;

/// Whether a filter names patients, studies or a batch.
pub(in super::super) fn is_meant(filter: &Filter) -> bool {
    filter.patient.is_some() || filter.search.is_some() || filter.batch.is_some()
}

pub(super) async fn list<D: Driver>(
    db: &Db<D>,
    filter: &Filter,
    after: Option<PageKey>,
    limit: usize,
) -> Result<Page, DbError> {
    if filter.sites.is_empty() {
        return Ok(Page { items: Vec::new(), next: None, total: 0 });
    }
    let (total,) = db.fetch_one::<(i64,)>(count(filter)).await?;
    let found: Vec<ImageRow> = db.fetch_all(page(filter, after, limit.saturating_add(1))).await?;
    let mut items: Vec<Image> = found.into_iter().map(|row| row.image(db.unreadable())).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more);
    Ok(Page {
        next: last.map(|image| PageKey { received_at: image.received_at, id: image.id }),
        total: u64::try_from(total).unwrap_or(0),
        items,
    })
}

fn count<D: Driver>(filter: &Filter) -> Sql<D> {
    let mut sql = Sql::<D>::new("select count(*) from image where ");
    matching(&mut sql, filter);
    sql
}

fn page<D: Driver>(filter: &Filter, after: Option<PageKey>, limit: usize) -> Sql<D> {
    let mut sql = Sql::<D>::new("select ");
    sql.push(COLUMNS).push(" from image left join finding on finding.image = image.id where ");
    matching(&mut sql, filter);
    sql.push(" and ");
    newest(&mut sql, after, limit);
    sql
}

/// The images of studies that a condition on `study` finds; ends it by two brackets.
const IMAGES: &str = "image.id in (select instance.image from study
    join series on series.study = study.id join instance on instance.series = series.id where ";

/// The condition on `image`.
fn matching<D: Driver>(sql: &mut Sql<D>, filter: &Filter) {
    of_those(sql, filter);
    if let Sites::Only(sites) = &filter.sites {
        // As many as a caller has; a patient has a handful of images.
        sql.push(" and image.site in (").list(sites.iter().map(SiteName::as_str)).push(")");
    }
    if !filter.states.is_empty() {
        let words = filter.states.iter().copied().map(State::as_str);
        sql.push(" and image.state || '' in (").list(words).push(")");
    }
    if let Some(flagged) = filter.flagged {
        sql.push(" and image.flag || '' = ").arg(if flagged { "yes" } else { "no" });
    }
}

/// The condition on `image` that it is of the patient, of a study and of the batch that are asked for; nothing where none is.
pub(in super::super) fn of_those<D: Driver>(sql: &mut Sql<D>, filter: &Filter) {
    let mut and = "";
    if let Some(batch) = filter.batch {
        sql.push("image.id in (select image from batch_file where batch = ").arg(batch.0);
        sql.push(")");
        and = " and ";
    }
    if let Some(patient) = &filter.patient {
        sql.push(and).push(IMAGES).push("study.patient in (");
        of_id(sql, &patient.0);
        sql.push("))");
        and = " and ";
    }
    if let Some(text) = &filter.search {
        sql.push(and).push(IMAGES);
        // A union reads an index for each; one condition with `or` between them would read the tables.
        sql.push("study.id in (select study.id from study where study.patient in (");
        of_id(sql, text.0.trim());
        for beginning in text.name_beginnings() {
            of_name(sql, &beginning);
        }
        sql.push(") union select study.id from study where study.accession = ");
        sql.arg(text.0.trim()).push("))");
    }
}

/// Patients of an id, or of whom it was merged into.
fn of_id<D: Driver>(sql: &mut Sql<D>, id: &str) {
    sql.push("select id from patient where patient_id = ").arg(id);
    sql.push(" union select patient from patient_alias where patient_id = ").arg(id);
}

/// Adds patients whose name begins so: by a range of the index, and where the name is in another script by any group of it.
fn of_name<D: Driver>(sql: &mut Sql<D>, beginning: &str) {
    sql.push(" union select id from patient where name_key").push(D::BY_BYTES).push(" >= ");
    sql.arg(beginning).push(" and name_key").push(D::BY_BYTES).push(" < ");
    sql.arg(format!("{beginning}\u{10ffff}").as_str());
    if !beginning.is_ascii() {
        // What stands for anything in a pattern stands in no name.
        let group = Pattern::new(format!("*={}*", beginning.replace(['*', '?'], "")));
        sql.push(" union select id from patient where name_key").push(D::GLOB);
        sql.arg(D::glob(&group).as_str());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lobar_core::batch::BatchId;
    use lobar_core::store::{PatientKey, SearchText};
    use lobar_core::time::SystemClock;
    use sqlx::Sqlite;
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_patient_a_text_and_a_batch_are_found_by_indexes() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("lobar.db");
        let db = crate::sqlite::open(&file, Arc::new(SystemClock)).await.expect("a database");
        let patient = Some(PatientKey("7".into()));
        for filter in [
            Filter { patient: patient.clone(), ..Filter::at(Sites::All) },
            Filter { search: Some(SearchText("Doe, Ja".into())), ..Filter::at(Sites::All) },
            Filter { batch: Some(BatchId(Uuid::from_u128(1))), ..Filter::at(Sites::All) },
            Filter { patient, search: Some(SearchText("Doe".into())), ..Filter::at(Sites::All) },
        ] {
            for sql in [count::<Sqlite>(&filter), page(&filter, None, 50)] {
                let plan: Vec<(i64, i64, i64, String)> =
                    db.fetch_all(sql.explained()).await.expect("a plan");
                let scans: Vec<&String> = plan
                    .iter()
                    .map(|(.., line)| line)
                    .filter(|line| line.contains("SCAN"))
                    .collect();
                assert!(scans.is_empty(), "{filter:?}: {plan:?}");
            }
        }
        db.close().await;
    }
}
