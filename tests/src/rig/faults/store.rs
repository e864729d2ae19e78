//! The store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::event::{Event, Seq};
use lobar_core::failure::PortError;
use lobar_core::image::{Image, Lane, NewImage, State};
use lobar_core::job::Job;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::position::Position;
use lobar_core::queue::{Outgoing, Queue};
use lobar_core::store::{
    Admission, Claim, Completion, Filter, Held, Overview, Page, PageKey, Quarantined, Resumed,
    Retained, Store,
};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::Switch;
use crate::rig::inject::{Fault, Injector, Kind};
use crate::rig::line::Line;

/// A store with a switch. Keeps a copy of what is quarantined.
pub struct FaultyStore {
    /// The store itself.
    pub inner: Arc<dyn Store>,
    line: Arc<Line>,
    injector: Arc<Injector>,
    /// Where a rival puts the job of an image that it took and gave back.
    rival: Arc<dyn Queue>,
    /// Its switch.
    pub switch: Switch,
    /// Off, claims wait.
    pub claiming: Switch,
    /// What was put aside.
    pub quarantined: Mutex<Vec<Quarantined>>,
}

impl FaultyStore {
    pub(in crate::rig) fn new(
        inner: Arc<dyn Store>,
        line: Arc<Line>,
        injector: Arc<Injector>,
        rival: Arc<dyn Queue>,
    ) -> Self {
        let (switch, claiming) = (Switch::default(), Switch::default());
        Self { inner, line, injector, rival, switch, claiming, quarantined: Mutex::default() }
    }

    /// An error where one is due; the store's own conflicts are made by `rival` instead.
    fn inject(&self, call: &str, about_victim: Option<bool>) -> Result<bool, PortError> {
        match self.injector.call(call, about_victim) {
            None => Ok(false),
            Some(Fault { kind: Kind::Conflict, .. }) => Ok(true),
            Some(fault) => Err(fault.kind.error()),
        }
    }

    /// Another worker takes these images with a job of its own, and gives both back.
    async fn take_and_give_back(&self, images: &[ImageId]) -> Result<(), PortError> {
        let granted = self.inner.claim(images, u32::MAX).await?.into_iter();
        let held = granted.filter_map(|claim| match claim {
            Claim::Granted(claimed) => Some(claimed),
            Claim::Settled(_) | Claim::Unknown => None,
        });
        let held: Vec<Held> = held.map(|claimed| claimed.held()).collect();
        self.inner.release(&held).await?;
        let jobs = held.iter().map(|one| Outgoing::now(Job { image: one.id }.encode()));
        for sent in self.rival.send(jobs.collect()).await {
            sent?;
        }
        Ok(())
    }

    fn names_victim(&self, mut images: impl Iterator<Item = ImageId>) -> Option<bool> {
        Some(images.any(|image| self.injector.is_victim(image)))
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn admit(&self, images: &[NewImage]) -> Result<Vec<Admission>, PortError> {
        self.switch.pass()?;
        if self.inject(
            "store.admit",
            Some(images.iter().any(|image| self.injector.is_victim(image.object.id()))),
        )? {
            self.inner.admit(images).await?;
        }
        self.line.around(self.inner.admit(images)).await
    }
    async fn remove(&self, object: &ObjectVersion) -> Result<Vec<ImageId>, PortError> {
        self.switch.pass()?;
        if self.inject("store.remove", Some(true))? {
            self.inner.remove(object).await?;
        }
        self.line.around(self.inner.remove(object)).await
    }
    async fn claim(&self, ids: &[ImageId], max_attempts: u32) -> Result<Vec<Claim>, PortError> {
        self.switch.pass()?;
        self.claiming.wait().await;
        if self.inject("store.claim", self.names_victim(ids.iter().copied()))? {
            self.take_and_give_back(ids).await?;
        }
        self.line.around(self.inner.claim(ids, max_attempts)).await
    }
    async fn complete(&self, completions: &[Completion]) -> Result<Vec<bool>, PortError> {
        self.switch.pass()?;
        if self.inject("store.complete", self.names_victim(completions.iter().map(|one| one.id)))? {
            let images: Vec<_> = completions.iter().map(|one| one.id).collect();
            self.take_and_give_back(&images).await?;
        }
        self.line.around(self.inner.complete(completions)).await
    }
    async fn count_attempts(&self, held: &[Held]) -> Result<Vec<bool>, PortError> {
        self.switch.pass()?;
        let about = self.names_victim(held.iter().map(|one| one.id));
        if self.inject("store.count_attempts", about)? {
            let images: Vec<_> = held.iter().map(|one| one.id).collect();
            self.take_and_give_back(&images).await?;
        }
        self.line.around(self.inner.count_attempts(held)).await
    }
    async fn release(&self, held: &[Held]) -> Result<(), PortError> {
        self.switch.pass()?;
        if self.inject("store.release", self.names_victim(held.iter().map(|one| one.id)))? {
            let images: Vec<_> = held.iter().map(|one| one.id).collect();
            self.take_and_give_back(&images).await?;
        }
        self.line.around(self.inner.release(held)).await
    }
    async fn retry(&self, held: &[Held]) -> Result<(), PortError> {
        self.switch.pass()?;
        if self.inject("store.retry", self.names_victim(held.iter().map(|one| one.id)))? {
            let images: Vec<_> = held.iter().map(|one| one.id).collect();
            self.take_and_give_back(&images).await?;
        }
        self.line.around(self.inner.retry(held)).await
    }
    async fn sweep(&self, age: Duration, limit: usize) -> Result<Vec<(ImageId, Lane)>, PortError> {
        self.switch.pass()?;
        if self.inject("store.sweep", None)? {
            self.inner.sweep(age, limit).await?;
        }
        self.line.around(self.inner.sweep(age, limit)).await
    }
    async fn image(&self, id: ImageId) -> Result<Option<Image>, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.image(id)).await
    }
    async fn states(&self, ids: &[ImageId]) -> Result<Vec<Option<State>>, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.states(ids)).await
    }
    async fn list(
        &self,
        filter: &Filter,
        after: Option<PageKey>,
        limit: usize,
    ) -> Result<Page, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.list(filter, after, limit)).await
    }
    async fn events(&self, after: Seq, limit: usize) -> Result<Vec<Event>, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.events(after, limit)).await
    }
    async fn image_events(&self, id: ImageId, limit: usize) -> Result<Vec<Event>, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.image_events(id, limit)).await
    }
    async fn resume(&self, position: Position, limit: usize) -> Result<Resumed, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.resume(position, limit)).await
    }
    async fn newest_position(&self) -> Result<Position, PortError> {
        self.switch.pass()?;
        if self.inject("store.newest_position", None)? {
            return Err(Kind::Conflict.error());
        }
        self.line.around(self.inner.newest_position()).await
    }
    async fn overview(&self) -> Result<Overview, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.overview()).await
    }
    async fn prune(
        &self,
        what: Retained,
        older_than: Duration,
        limit: usize,
    ) -> Result<usize, PortError> {
        self.switch.pass()?;
        if self.inject("store.prune", None)? {
            return Err(Kind::Conflict.error());
        }
        self.line.around(self.inner.prune(what, older_than, limit)).await
    }
    async fn quarantine(&self, message: &Quarantined) -> Result<(), PortError> {
        self.switch.pass()?;
        if self.inject("store.quarantine", Some(true))? {
            return Err(Kind::Conflict.error());
        }
        self.line.around(self.inner.quarantine(message)).await?;
        self.quarantined.lock().expect("nobody panicked").push(message.clone());
        Ok(())
    }
    async fn check(&self) -> Result<(), PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.check()).await
    }
    async fn restore(&self, object: &ObjectVersion, since: Stamp) -> Result<bool, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.restore(object, since)).await
    }
    async fn note_probe(&self, probe: Uuid) -> Result<(), PortError> {
        self.switch.pass()?;
        if self.inject("store.note_probe", None)? {
            return Err(Kind::Conflict.error());
        }
        self.line.around(self.inner.note_probe(probe)).await
    }
    async fn take_probe(&self, probe: Uuid) -> Result<bool, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.take_probe(probe)).await
    }
    async fn hold_resend(
        &self,
        image: ImageId,
        lease: Duration,
    ) -> Result<Option<Stamp>, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.hold_resend(image, lease)).await
    }
    async fn release_resend(&self, image: ImageId, held: Stamp) -> Result<(), PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.release_resend(image, held)).await
    }
}
