//! Pages of one patient's images: a few, found by the patient's id, so all that match are counted.

use lobar_core::access::{SiteName, Sites};
use lobar_core::image::{Image, State};
use lobar_core::store::{Filter, Page, PageKey, PatientKey};

use super::super::{Db, DbError, Driver, Sql};
use super::page::{COLUMNS, newest};
use super::row::ImageRow;

pub(super) async fn list<D: Driver>(
    db: &Db<D>,
    filter: &Filter,
    patient: &PatientKey,
    after: Option<PageKey>,
    limit: usize,
) -> Result<Page, DbError> {
    if filter.sites.is_empty() {
        return Ok(Page { items: Vec::new(), next: None, total: 0 });
    }
    let mut sql = Sql::<D>::new("select count(*) from image where ");
    matching(&mut sql, filter, patient);
    let (total,) = db.fetch_one::<(i64,)>(sql).await?;
    let mut sql = Sql::<D>::new("select ");
    sql.push(COLUMNS).push(" from image left join finding on finding.image = image.id where ");
    matching(&mut sql, filter, patient);
    sql.push(" and ");
    newest(&mut sql, after, limit.saturating_add(1));
    let found: Vec<ImageRow> = db.fetch_all(sql).await?;
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

/// The condition on `image`.
fn matching<D: Driver>(sql: &mut Sql<D>, filter: &Filter, patient: &PatientKey) {
    sql.push(
        "image.id in (select instance.image from study
           join series on series.study = study.id join instance on instance.series = series.id
         where study.patient in (select id from patient where patient_id = ",
    );
    sql.arg(patient.0.as_str());
    sql.push(" union select patient from patient_alias where patient_id = ");
    sql.arg(patient.0.as_str()).push("))");
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
