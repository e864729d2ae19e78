//! Images of which nothing is known, where they match: their UIDs, when they were received, and what is made of them are all that
//! they have.

use std::collections::BTreeSet;
use std::time::Duration;

use lobar_core::access::{SiteName, Sites};
use lobar_core::object::ImageId;
use lobar_core::study::{Condition, Level, OTHER_MODALITY, SECONDARY_CAPTURE, Search, Uids};
use uuid::Uuid;

use super::super::super::store::rows;
use super::super::super::{Db, DbError, Driver, Sql};
use super::uids;

/// Which of them match.
pub(super) struct Unknown {
    /// Only these.
    images: Option<BTreeSet<ImageId>>,
    /// Received from then on, and before then.
    received: Vec<(i64, i64)>,
    /// At these seconds of a day.
    times: Vec<(i64, i64)>,
}

impl Unknown {
    /// `None` where none can match.
    pub(super) fn of(search: &Search) -> Option<Self> {
        let mut unknown = Self { images: None, received: Vec::new(), times: Vec::new() };
        for condition in &search.conditions {
            match condition {
                Condition::Uids(..) => {}
                Condition::Made(from, before) => unknown.received.push((from.0, before.0)),
                Condition::TimeOfDay(from, to) => {
                    unknown.times.push((i64::from(*from), i64::from(*to)));
                }
                Condition::Modality(patterns) | Condition::ModalityInStudy(patterns) => {
                    patterns.iter().find(|pattern| pattern.matches(OTHER_MODALITY))?;
                }
                Condition::Classes(classes) => {
                    classes.iter().find(|class| class.as_str() == SECONDARY_CAPTURE)?;
                }
                Condition::Text(..)
                | Condition::Name(..)
                | Condition::Born(..)
                | Condition::Number(..) => return None,
            }
        }
        for level in [Level::Study, Level::Series, Level::Instance] {
            for uids in uids(search, level) {
                let own = |image: &ImageId, uid| {
                    let Uids { study, series, instance } = Uids::of_image(*image);
                    uid == &match level {
                        Level::Study => study,
                        Level::Series => series,
                        Level::Instance => instance,
                    }
                };
                // A number with zeros before it is another UID.
                let image = |uid| Uids::image_by(level, uid).filter(|image| own(image, uid));
                let images: BTreeSet<ImageId> = uids.iter().filter_map(image).collect();
                unknown.images = Some(match unknown.images {
                    Some(others) => others.intersection(&images).copied().collect(),
                    None => images,
                });
            }
        }
        Some(unknown)
            .filter(|unknown| unknown.images.as_ref().is_none_or(|images| !images.is_empty()))
    }

    /// The newest of them, with when they were received.
    pub(super) async fn find<D: Driver>(
        &self,
        db: &Db<D>,
        within: Duration,
        sites: &Sites,
        limit: usize,
    ) -> Result<Vec<(i64, Uuid)>, DbError> {
        let found: Vec<(Uuid, i64)> =
            db.fetch_all_within(within, self.statement(sites, limit)).await?;
        Ok(found.into_iter().map(|(image, received_at)| (received_at, image)).collect())
    }

    pub(super) fn statement<D: Driver>(&self, sites: &Sites, limit: usize) -> Sql<D> {
        let mut sql = Sql::<D>::new("select id, received_at from image");
        if self.images.is_none() {
            sql.by_index(match sites {
                Sites::All => "image_unidentified",
                Sites::Only(_) => "image_unidentified_by_site",
            });
        }
        // In the words of the partial indexes.
        sql.push(
            " where identified = 0 and state in ('ready', 'needs_human')
               and not exists (select 1 from instance where instance.image = image.id)",
        );
        if let Some(images) = &self.images {
            sql.push(" and id in (").list(images.iter().map(|image| image.0)).push(")");
        }
        if let Sites::Only(sites) = sites {
            sql.push(" and site in (").list(sites.iter().map(SiteName::as_str)).push(")");
        }
        for (from, before) in &self.received {
            sql.push(" and received_at >= ").arg(*from).push(" and received_at < ").arg(*before);
        }
        for (from, to) in &self.times {
            sql.push(" and (received_at / 1000000) % 86400 between ")
                .arg(*from)
                .push(" and ")
                .arg(*to);
        }
        sql.push(" order by received_at desc, id desc limit ").arg(rows(limit));
        sql
    }
}
