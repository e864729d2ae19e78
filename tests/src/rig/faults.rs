//! Ports with a switch: off, each call fails as if the service were away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lobar_core::event::{Event, Seq};
use lobar_core::failure::PortError;
use lobar_core::image::{Image, Lane, NewImage};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::objects::{FetchError, Objects, Upload};
use lobar_core::queue::{Delivery, Depth, LeaseError, Outgoing, Queue, Receipt, Settlement};
use lobar_core::store::{
    Admission, Claim, Completion, Fence, Filter, Overview, Page, PageKey, Quarantined, Store,
};

use super::line::Line;

/// On at first.
#[derive(Debug, Default)]
pub struct Switch(AtomicBool);

impl Switch {
    /// From now on calls fail.
    pub fn off(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// From now on calls go through.
    pub fn on(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    /// Whether calls fail.
    pub fn is_off(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn pass(&self) -> Result<(), PortError> {
        if self.is_off() { Err(PortError::transient("test", "switched off")) } else { Ok(()) }
    }
}

/// A store with a switch. Keeps a copy of what is quarantined.
pub struct FaultyStore {
    /// The store itself.
    pub inner: Arc<dyn Store>,
    line: Arc<Line>,
    /// Its switch.
    pub switch: Switch,
    /// What was put aside.
    pub quarantined: Mutex<Vec<Quarantined>>,
}

impl FaultyStore {
    pub(super) fn new(inner: Arc<dyn Store>, line: Arc<Line>) -> Self {
        Self { inner, line, switch: Switch::default(), quarantined: Mutex::default() }
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn admit(&self, images: &[NewImage]) -> Result<Vec<Admission>, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.admit(images)).await
    }
    async fn remove(&self, object: &ObjectVersion) -> Result<Vec<ImageId>, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.remove(object)).await
    }
    async fn claim(&self, ids: &[ImageId], max_attempts: u32) -> Result<Vec<Claim>, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.claim(ids, max_attempts)).await
    }
    async fn complete(&self, completions: &[Completion]) -> Result<Vec<bool>, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.complete(completions)).await
    }
    async fn release(&self, work: &[(ImageId, Fence)]) -> Result<(), PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.release(work)).await
    }
    async fn retry(&self, work: &[(ImageId, Fence)]) -> Result<(), PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.retry(work)).await
    }
    async fn sweep(&self, age: Duration, limit: usize) -> Result<Vec<(ImageId, Lane)>, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.sweep(age, limit)).await
    }
    async fn image(&self, id: ImageId) -> Result<Option<Image>, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.image(id)).await
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
    async fn first_event(&self) -> Result<Option<Seq>, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.first_event()).await
    }
    async fn overview(&self) -> Result<Overview, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.overview()).await
    }
    async fn quarantine(&self, message: &Quarantined) -> Result<(), PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.quarantine(message)).await?;
        self.quarantined.lock().expect("nobody panicked").push(message.clone());
        Ok(())
    }
}

/// A queue with two switches.
pub struct FaultyQueue {
    /// The queue itself.
    pub inner: Arc<dyn Queue>,
    line: Arc<Line>,
    /// Off, it is away.
    pub switch: Switch,
    /// Off, only settling fails: what a receiver does before it may be killed.
    pub settling: Switch,
}

impl FaultyQueue {
    pub(super) fn new(inner: Arc<dyn Queue>, line: Arc<Line>) -> Self {
        Self { inner, line, switch: Switch::default(), settling: Switch::default() }
    }
}

#[async_trait]
impl Queue for FaultyQueue {
    async fn send(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PortError>> {
        match self.switch.pass() {
            Ok(()) => self.line.around(self.inner.send(messages)).await,
            Err(_) => messages.iter().map(|_| self.switch.pass()).collect(),
        }
    }
    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        lease: Duration,
    ) -> Result<Vec<Delivery>, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.receive(max, wait, lease)).await
    }
    async fn extend(&self, receipts: &[Receipt], lease: Duration) -> Vec<Result<(), LeaseError>> {
        match self.switch.pass() {
            Ok(()) => self.line.around(self.inner.extend(receipts, lease)).await,
            Err(_) => receipts.iter().map(|_| Ok(self.switch.pass()?)).collect(),
        }
    }
    async fn settle(&self, settlements: Vec<(Receipt, Settlement)>) -> Vec<Result<(), LeaseError>> {
        match self.switch.pass().and(self.settling.pass()) {
            Ok(()) => self.line.around(self.inner.settle(settlements)).await,
            Err(_) => {
                let away = || PortError::transient("test", "switched off");
                settlements.iter().map(|_| Err(away().into())).collect()
            }
        }
    }
    async fn depth(&self) -> Result<Depth, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.depth()).await
    }
}

/// A bucket with switches.
pub struct FaultyObjects {
    /// The bucket itself.
    pub inner: Arc<dyn Objects>,
    line: Arc<Line>,
    /// Off, it is away.
    pub switch: Switch,
    /// Off, fetches wait until it is on again: a slow body.
    pub flowing: Switch,
    /// Off, every object is denied, whether the bucket answers or not.
    pub allowing: Switch,
}

impl FaultyObjects {
    pub(super) fn new(inner: Arc<dyn Objects>, line: Arc<Line>) -> Self {
        let switch = Switch::default;
        Self { inner, line, switch: switch(), flowing: switch(), allowing: switch() }
    }
}

#[async_trait]
impl Objects for FaultyObjects {
    async fn fetch(&self, object: &ObjectVersion, limit: u64) -> Result<Bytes, FetchError> {
        if self.allowing.is_off() {
            return Err(FetchError::Denied);
        }
        self.switch.pass()?;
        while self.flowing.is_off() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.line.around(self.inner.fetch(object, limit)).await
    }
    async fn lane(&self, object: &ObjectVersion) -> Result<Lane, FetchError> {
        self.switch.pass()?;
        self.line.around(self.inner.lane(object)).await
    }
    async fn put(&self, upload: Upload) -> Result<ObjectVersion, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.put(upload)).await
    }
    async fn presign_put(
        &self,
        key: &str,
        lane: Lane,
        valid: Duration,
    ) -> Result<String, PortError> {
        self.inner.presign_put(key, lane, valid).await
    }
    async fn check(&self) -> Result<(), PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.check()).await
    }
}
