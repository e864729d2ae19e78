//! The exposure record: rows that are only added, and read by image or as cases.

mod cases;
mod give;
mod kept;
mod prune;
mod row;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use lobar_core::exposure::{
    Answered, Case, CaseKey, DrawKey, Exposure, Exposures, FirstOpinion, NewOpinion, OpinionError,
};
use lobar_core::failure::PortError;
use lobar_core::finding::Label;
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use uuid::Uuid;

pub(super) use prune::prune;
pub(super) use row::{CaseRow, ExposureRow, OpinionRow};

use super::{Db, Driver};

#[async_trait]
impl<D: Driver> Exposures for Db<D> {
    async fn draw_key(&self) -> Result<DrawKey, PortError> {
        kept::draw_key(self).await.map_err(|fault| fault.during("exposures: key of the draw"))
    }

    async fn met(&self, reader: Uuid, images: &[ImageId]) -> Result<BTreeSet<ImageId>, PortError> {
        kept::met(self, reader, images).await.map_err(|fault| fault.during("exposures: met"))
    }

    async fn answers(&self, images: &[ImageId]) -> Result<BTreeMap<ImageId, Answered>, PortError> {
        kept::answers(self, images).await.map_err(|fault| fault.during("exposures: answers"))
    }

    async fn give(&self, opinion: &NewOpinion) -> Result<FirstOpinion, OpinionError> {
        let done = self.retry_on_conflict(|| give::give(self, opinion)).await;
        done.map_err(|fault| fault.during("exposures: give a first opinion"))?
    }

    async fn opinions(&self, image: ImageId) -> Result<Vec<FirstOpinion>, PortError> {
        kept::opinions(self, image)
            .await
            .map_err(|fault| fault.during("exposures: opinions on an image"))
    }

    async fn expose(&self, exposures: &[Exposure]) -> Result<(), PortError> {
        let done = self.retry_on_conflict(|| kept::expose(self, exposures)).await;
        done.map_err(|fault| fault.during("exposures: expose"))
    }

    async fn of_image(&self, image: ImageId) -> Result<Vec<Exposure>, PortError> {
        kept::of_image(self, image).await.map_err(|fault| fault.during("exposures: of an image"))
    }

    async fn cases(
        &self,
        after: Option<CaseKey>,
        until: Option<Stamp>,
        limit: usize,
    ) -> Result<Vec<Case>, PortError> {
        let page = cases::page(self, after, until, limit).await;
        page.map_err(|fault| fault.during("exposures: cases"))
    }

    async fn labels_by(
        &self,
        name: &str,
        images: &[ImageId],
    ) -> Result<BTreeMap<ImageId, Label>, PortError> {
        let labels = cases::labels_by(self, name, images).await;
        labels.map_err(|fault| fault.during("exposures: labels of a reader"))
    }
}
