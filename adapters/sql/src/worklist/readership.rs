//! Who has read images, and who does.

use std::collections::BTreeMap;

use lobar_core::exposure::Visible;
use lobar_core::finding::Label;
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use lobar_core::verdict::{Given, Readers, Readings};
use lobar_core::worklist::Readership;
use uuid::Uuid;

use super::super::column::Column;
use super::super::{BATCH, Db, DbError, Driver, Sql};
use super::claims::ReadingClaimRow;

/// What the local user is called, who has no account: as in [`Who`](lobar_core::access::Who).
const LOCAL: &str = "local";

/// Somebody looked at an image.
#[derive(sqlx::FromRow)]
pub struct LookRow {
    image: Uuid,
    reader: Uuid,
    name: Option<String>,
    at: i64,
}

/// A verdict, as far as it says who has read an image.
#[derive(sqlx::FromRow)]
pub struct ReadingRow {
    image: Uuid,
    reader: String,
    label: Option<Column<String>>,
    at: i64,
    readers_needed: Option<i64>,
}

impl ReadingRow {
    fn given(self) -> Given {
        let label = Column::reading_of(self.label, |word| Label::parse(&word)).read();
        let needed = Readers::of_number(self.readers_needed);
        Given { reader: self.reader, label, at: Stamp(self.at), needed }
    }
}

impl LookRow {
    /// The name of who looked, if it is known, and when.
    fn look(self) -> (Option<String>, Stamp) {
        let local = self.reader.is_nil().then(|| LOCAL.to_owned());
        (self.name.or(local), Stamp(self.at))
    }
}

pub(super) async fn of<D: Driver>(
    db: &Db<D>,
    images: &[ImageId],
) -> Result<BTreeMap<ImageId, Readership>, DbError> {
    let mut all: BTreeMap<ImageId, Readership> = BTreeMap::new();
    let now = db.now();
    for batch in images.chunks(BATCH) {
        let ids = || batch.iter().map(|image| image.0);
        let mut given: BTreeMap<ImageId, Vec<Given>> = BTreeMap::new();
        for row in db.fetch_all::<ReadingRow>(verdicts(ids())).await? {
            given.entry(ImageId(row.image)).or_default().push(row.given());
        }
        for (image, given) in given {
            all.entry(image).or_default().readings = Readings::of(given);
        }
        let mut sql = Sql::<D>::new(
            "select image, reader, name, since, until from reading_claim where until > $1 and image in (",
        )
        .bind(now.0);
        sql.list(ids()).push(")");
        for row in db.fetch_all::<ReadingClaimRow>(sql).await? {
            let image = ImageId(row.image);
            all.entry(image).or_default().claim = Some(row.claim());
        }
        for row in db.fetch_all::<LookRow>(looks(ids())).await? {
            let looked = &mut all.entry(ImageId(row.image)).or_default().looked;
            let look = row.look();
            if looked.as_ref().is_none_or(|(_, at)| *at < look.1) {
                *looked = Some(look);
            }
        }
    }
    Ok(all)
}

/// The verdicts that count on what images show now, oldest first.
fn verdicts<D: Driver>(ids: impl Iterator<Item = Uuid>) -> Sql<D> {
    let mut sql = Sql::<D>::new(
        "select verdict.image, verdict.reader, verdict.label, verdict.at, verdict.readers_needed from image
           join verdict on verdict.image = image.id
         where verdict.at >= image.finished_at
           and not exists (select 1 from verdict_withdrawal where verdict_withdrawal.verdict = verdict.id)
           and image.id in (",
    );
    sql.list(ids).push(") order by verdict.image, verdict.at");
    sql
}

/// Who said first what they see, and on whose screen the result was, each reader's newest of what the image shows now.
fn looks<D: Driver>(ids: impl Iterator<Item = Uuid> + Clone) -> Sql<D> {
    let mut sql = Sql::<D>::new(
        "select first_opinion.image, first_opinion.reader, first_opinion.name, first_opinion.at
         from first_opinion join image on image.id = first_opinion.image
         where first_opinion.at >= image.finished_at and first_opinion.image in (",
    );
    sql.list(ids.clone()).push(
        ") union all
         select look.image, look.reader, account.name, look.at from (
           select exposure.image, exposure.reader, max(exposure.at) as at
           from exposure join image on image.id = exposure.image
           where exposure.at >= image.finished_at and exposure.source = 'painted'
             and exposure.visible in (",
    );
    sql.list((1..16).filter(|bits| Visible::of_bits(*bits).any_of(Visible::WORD)));
    sql.push(") and exposure.image in (").list(ids).push(
        ") group by exposure.image, exposure.reader) as look
         left join account on account.id = look.reader",
    );
    sql
}
