//! Patients, studies, series and instances: written with the outcome of their image, read by image, changed by people.
//!
//! Whoever writes them holds one lock until the transaction ends ([`begin`]), taken before any row of an image is, so that
//! what one statement found is so for the next. Images of which nothing is known are completed without it. Two that lock the
//! same images in another order, as an admission and a completion may, are told apart by the database: one begins again.

mod change;
mod children;
mod forget;
mod instances;
mod keep;
mod person;
mod read;
mod row;
mod search;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use lobar_core::access::{SiteName, Sites};
use lobar_core::audit::NewEntry;
use lobar_core::failure::PortError;
use lobar_core::image::Image;
use lobar_core::object::ImageId;
use lobar_core::study::{
    Changed, Correction, Identity, PatientError, PatientId, Place, Results, Search, SearchError,
    Stored, Studies,
};

pub(super) use forget::forget;
pub(super) use keep::{Kept, Seen, keep};
pub(super) use row::{
    AliasRow, ChildRow, GivenRow, IdentityRow, MovedRow, PatientRow, PlaceRow, SiblingRow,
};
pub(super) use search::SeriesRow;
pub(super) use versions::{Displaced, is_duplicate, twins};

use super::tx::Tx;
use super::{Db, DbError, Driver};

/// The lock, beside those of the groups of keys.
pub(super) const LOCK: u16 = 512;

/// Begins a transaction that alone changes whose images are.
pub(super) async fn begin<D: Driver>(db: &Db<D>) -> Result<Tx<D>, DbError> {
    db.begin_on(&BTreeSet::from([LOCK])).await
}

#[async_trait]
impl<D: Driver> Studies for Db<D> {
    async fn of(&self, images: &[ImageId]) -> Result<BTreeMap<ImageId, Identity>, PortError> {
        read::of(self, images).await.map_err(|fault| fault.during("studies: of images"))
    }

    async fn priors(&self, image: ImageId, limit: usize) -> Result<Vec<Image>, PortError> {
        read::priors(self, image, limit).await.map_err(|fault| fault.during("studies: priors"))
    }

    async fn instances(
        &self,
        sites: &Sites,
        place: &Place,
        limit: usize,
    ) -> Result<Vec<Stored>, PortError> {
        let found = instances::find(self, sites, place, limit).await;
        found.map_err(|fault| fault.during("studies: instances"))
    }

    async fn search(&self, search: &Search) -> Result<Results, SearchError> {
        search::find(self, search).await.map_err(|fault| match fault.is_out_of_time() {
            true => SearchError::TooLong,
            false => fault.during("studies: search").into(),
        })
    }

    async fn merge(
        &self,
        site: &SiteName,
        from: &PatientId,
        into: &PatientId,
        by: &NewEntry,
    ) -> Result<Changed, PatientError> {
        let done = self.retry_on_conflict(|| change::merge(self, site, (from, into), by)).await;
        done.map_err(|fault| fault.during("studies: merge patients"))?
    }

    async fn separate(
        &self,
        site: &SiteName,
        from: &PatientId,
        by: &NewEntry,
    ) -> Result<Changed, PatientError> {
        let done = self.retry_on_conflict(|| change::separate(self, site, from, by)).await;
        done.map_err(|fault| fault.during("studies: separate patients"))?
    }

    async fn correct(
        &self,
        site: &SiteName,
        patient: &PatientId,
        correction: &Correction,
        by: &NewEntry,
    ) -> Result<Changed, PatientError> {
        let done =
            self.retry_on_conflict(|| change::correct(self, site, (patient, correction), by)).await;
        done.map_err(|fault| fault.during("studies: correct a patient"))?
    }

    async fn move_study(
        &self,
        image: ImageId,
        to: &PatientId,
        by: &NewEntry,
    ) -> Result<Changed, PatientError> {
        let done = self.retry_on_conflict(|| change::move_study(self, image, to, by)).await;
        done.map_err(|fault| fault.during("studies: move a study"))?
    }
}
