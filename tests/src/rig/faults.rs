//! Ports with a switch: off, each call fails as if the service were away. Each call can also be answered
//! with an error of another kind; see [`inject`](super::inject).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use lobar_core::event::{Event, Seq};
use lobar_core::failure::PortError;
use lobar_core::image::{Image, Lane, NewImage, State};
use lobar_core::job::Job;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::object_store::{FetchError, ObjectStore, Upload};
use lobar_core::position::Position;
use lobar_core::queue::{Delivery, Depth, LeaseError, Outgoing, Queue, Receipt, Settlement};
use lobar_core::signal::Signal;
use lobar_core::store::{
    Admission, Claim, Completion, Filter, Held, Overview, Page, PageKey, Quarantined, Resumed,
    Retained, Store,
};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::inject::{Fault, Injector, Kind};
use super::line::Line;

/// On at first.
#[derive(Debug, Default)]
pub struct Switch {
    off: AtomicBool,
    refused: AtomicU64,
}

impl Switch {
    /// From now on calls fail.
    pub fn off(&self) {
        self.off.store(true, Ordering::SeqCst);
    }

    /// From now on calls go through.
    pub fn on(&self) {
        self.off.store(false, Ordering::SeqCst);
    }

    /// Whether calls fail.
    pub fn is_off(&self) -> bool {
        self.off.load(Ordering::SeqCst)
    }

    /// How many calls failed so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    async fn wait(&self) {
        while self.is_off() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn pass(&self) -> Result<(), PortError> {
        if !self.is_off() {
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::SeqCst);
        Err(PortError::transient("test", "switched off"))
    }
}

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
    /// What was put aside.
    pub quarantined: Mutex<Vec<Quarantined>>,
}

impl FaultyStore {
    pub(super) fn new(
        inner: Arc<dyn Store>,
        line: Arc<Line>,
        injector: Arc<Injector>,
        rival: Arc<dyn Queue>,
    ) -> Self {
        let (switch, quarantined) = (Switch::default(), Mutex::default());
        Self { inner, line, injector, rival, switch, quarantined }
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
        self.line.around(self.inner.note_probe(probe)).await
    }
    async fn take_probe(&self, probe: Uuid) -> Result<bool, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.take_probe(probe)).await
    }
}

/// A queue with two switches. Keeps what is put aside.
pub struct FaultyQueue {
    /// The queue itself.
    pub inner: Arc<dyn Queue>,
    name: &'static str,
    line: Arc<Line>,
    injector: Arc<Injector>,
    /// Off, it is away.
    pub switch: Switch,
    /// Off, only settling fails: what a receiver does before it may be killed.
    pub settling: Switch,
    /// Dead letters: reasons and messages.
    pub dead: Mutex<Vec<(String, Bytes)>>,
    /// The messages that were received, by receipt.
    received: Mutex<HashMap<Receipt, Bytes>>,
}

impl FaultyQueue {
    pub(super) fn new(
        inner: Arc<dyn Queue>,
        name: &'static str,
        line: Arc<Line>,
        injector: Arc<Injector>,
    ) -> Self {
        let (switch, settling) = (Switch::default(), Switch::default());
        let (dead, received) = Default::default();
        Self { inner, name, line, injector, switch, settling, dead, received }
    }

    fn inject(&self, verb: &str, about_victim: Option<bool>) -> Option<Fault> {
        self.injector.call(&format!("{}.{verb}", self.name), about_victim)
    }

    fn is_victims(&self, receipt: &Receipt) -> bool {
        let received = self.received.lock().expect("nobody panicked");
        received.get(receipt).is_some_and(|body| self.injector.is_victims(body))
    }

    /// The error of each item about which one is due.
    fn about(&self, verb: &str, victims: &[bool]) -> Vec<Option<Kind>> {
        let any = victims.iter().any(|victim| *victim);
        let Some(fault) = self.inject(verb, Some(any)) else { return vec![None; victims.len()] };
        victims.iter().map(|victim| (*victim || !fault.only_victim).then_some(fault.kind)).collect()
    }

    /// Somebody else gets the message: its lease is lost to us.
    async fn lose(&self, receipt: &Receipt) {
        self.inner.settle(vec![(receipt.clone(), Settlement::Release)]).await;
    }

    /// The errors of items about which one is due. A conflict loses the lease and is the queue's own.
    async fn leases(&self, verb: &str, receipts: &[Receipt]) -> Vec<Option<LeaseError>> {
        let victims: Vec<bool> = receipts.iter().map(|one| self.is_victims(one)).collect();
        let mut errors = Vec::new();
        for (receipt, kind) in receipts.iter().zip(self.about(verb, &victims)) {
            errors.push(match kind {
                None => None,
                Some(Kind::Conflict) => {
                    self.lose(receipt).await;
                    None
                }
                Some(kind) => Some(kind.error().into()),
            });
        }
        errors
    }
}

/// Puts errors where they are due, and the queue's own answers everywhere else.
fn merge<E>(errors: Vec<Option<E>>, answers: Vec<Result<(), E>>) -> Vec<Result<(), E>> {
    let mut answers = answers.into_iter();
    let merged = errors.into_iter().map(|error| match error {
        Some(error) => Err(error),
        None => answers.next().expect("one answer an item"),
    });
    merged.collect()
}

#[async_trait]
impl Queue for FaultyQueue {
    async fn send(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PortError>> {
        if self.switch.is_off() {
            return messages.iter().map(|_| self.switch.pass()).collect();
        }
        let victims: Vec<bool> =
            messages.iter().map(|one| self.injector.is_victims(&one.body)).collect();
        let errors: Vec<_> =
            self.about("send", &victims).into_iter().map(|kind| kind.map(Kind::error)).collect();
        let rest = messages.into_iter().zip(&errors).filter(|(_, error)| error.is_none());
        let rest = rest.map(|(message, _)| message).collect();
        merge(errors, self.line.around(self.inner.send(rest)).await)
    }
    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        lease: Duration,
    ) -> Result<Vec<Delivery>, PortError> {
        self.switch.pass()?;
        if let Some(fault) = self.inject("receive", None) {
            return Err(fault.kind.error());
        }
        let mut taken = self.line.around(self.inner.receive(max, wait, lease)).await?;
        let mut received = self.received.lock().expect("nobody panicked");
        let call = format!("{}.receive", self.name);
        for one in &mut taken {
            received.insert(one.receipt.clone(), one.body.clone());
            if self.injector.garbles(&call, &one.body) {
                one.body = Bytes::from_static(b"\xff garbage");
            }
        }
        drop(received);
        Ok(taken)
    }
    async fn extend(&self, receipts: &[Receipt], lease: Duration) -> Vec<Result<(), LeaseError>> {
        if self.switch.is_off() {
            return receipts.iter().map(|_| Ok(self.switch.pass()?)).collect();
        }
        let errors = self.leases("extend", receipts).await;
        let rest = receipts.iter().zip(&errors).filter(|(_, error)| error.is_none());
        let rest: Vec<Receipt> = rest.map(|(receipt, _)| receipt.clone()).collect();
        merge(errors, self.line.around(self.inner.extend(&rest, lease)).await)
    }
    async fn settle(&self, settlements: Vec<(Receipt, Settlement)>) -> Vec<Result<(), LeaseError>> {
        if self.switch.pass().and(self.settling.pass()).is_err() {
            let away = || PortError::transient("test", "switched off");
            return settlements.iter().map(|_| Err(away().into())).collect();
        }
        let receipts: Vec<Receipt> =
            settlements.iter().map(|(receipt, _)| receipt.clone()).collect();
        let errors = self.leases("settle", &receipts).await;
        let rest = settlements.into_iter().zip(&errors).filter(|(_, error)| error.is_none());
        let rest: Vec<_> = rest.map(|(settlement, _)| settlement).collect();
        let dead = rest.iter().map(|(receipt, settlement)| match settlement {
            Settlement::Dead { reason } => Some((receipt.clone(), reason.clone())),
            _ => None,
        });
        let dead: Vec<_> = dead.collect();
        let answers = self.line.around(self.inner.settle(rest)).await;
        for (dead, answer) in dead.into_iter().zip(&answers) {
            if let (Some((receipt, reason)), Ok(())) = (dead, answer) {
                let body = self.received.lock().expect("nobody panicked").get(&receipt).cloned();
                let letter = (reason, body.unwrap_or_default());
                self.dead.lock().expect("nobody panicked").push(letter);
            }
        }
        merge(errors, answers)
    }
    async fn depth(&self) -> Result<Depth, PortError> {
        self.switch.pass()?;
        match self.inject("depth", None) {
            Some(fault) => Err(fault.kind.error()),
            None => self.line.around(self.inner.depth()).await,
        }
    }
}

/// A bucket with switches.
pub struct FaultyObjects {
    /// The bucket itself.
    pub inner: Arc<dyn ObjectStore>,
    line: Arc<Line>,
    injector: Arc<Injector>,
    /// Off, it is away.
    pub switch: Switch,
    /// Off, fetches wait until it is on again: a slow body.
    pub flowing: Switch,
    /// Off, questions about metadata wait until it is on again.
    pub answering: Switch,
    /// Off, every object is denied, whether the bucket answers or not.
    pub allowing: Switch,
}

impl FaultyObjects {
    pub(super) fn new(
        inner: Arc<dyn ObjectStore>,
        line: Arc<Line>,
        injector: Arc<Injector>,
    ) -> Self {
        let switch = Switch::default;
        let (flowing, answering, allowing) = (switch(), switch(), switch());
        Self { inner, line, injector, switch: switch(), flowing, answering, allowing }
    }

    fn inject(&self, call: &str, object: Option<&ObjectVersion>) -> Option<Kind> {
        let about_victim = object.map(|object| self.injector.is_victim(object.id()));
        self.injector.call(call, about_victim).map(|fault| fault.kind)
    }
}

#[async_trait]
impl ObjectStore for FaultyObjects {
    async fn fetch(&self, object: &ObjectVersion, limit: u64) -> Result<Bytes, FetchError> {
        if self.allowing.is_off() {
            return Err(FetchError::Denied);
        }
        self.switch.pass()?;
        self.flowing.wait().await;
        match self.inject("objects.fetch", Some(object)) {
            Some(Kind::Unreadable) => return Ok(Bytes::from_static(b"no picture")),
            Some(kind) => return Err(kind.error().into()),
            None => {}
        }
        self.line.around(self.inner.fetch(object, limit)).await
    }
    async fn lane(&self, object: &ObjectVersion) -> Result<Lane, FetchError> {
        self.switch.pass()?;
        self.answering.wait().await;
        if let Some(kind) = self.inject("objects.lane", Some(object)) {
            return Err(kind.error().into());
        }
        self.line.around(self.inner.lane(object)).await
    }
    async fn current(&self, object: &ObjectVersion) -> Result<Option<NewImage>, FetchError> {
        if self.allowing.is_off() {
            return Err(FetchError::Denied);
        }
        self.switch.pass()?;
        self.answering.wait().await;
        if let Some(kind) = self.inject("objects.current", Some(object)) {
            return Err(kind.error().into());
        }
        self.line.around(self.inner.current(object)).await
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
        if let Some(kind) = self.inject("objects.check", None) {
            return Err(kind.error());
        }
        self.line.around(self.inner.check()).await
    }
}

/// A signal whose publishing may fail.
pub struct FaultySignal {
    inner: Arc<dyn Signal>,
    injector: Arc<Injector>,
}

impl FaultySignal {
    pub(super) fn new(inner: Arc<dyn Signal>, injector: Arc<Injector>) -> Self {
        Self { inner, injector }
    }
}

#[async_trait]
impl Signal for FaultySignal {
    async fn publish(&self) -> Result<(), PortError> {
        match self.injector.call("signal.publish", None) {
            Some(fault) => Err(fault.kind.error()),
            None => self.inner.publish().await,
        }
    }
    async fn subscribe(&self) -> Result<BoxStream<'static, ()>, PortError> {
        self.inner.subscribe().await
    }
}
