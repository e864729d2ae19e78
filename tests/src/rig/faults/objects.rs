//! The bucket.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lobar_core::accounts::S3KeyPair;
use lobar_core::failure::PortError;
use lobar_core::image::{Lane, NewImage};
use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{
    Asked, Created, FetchError, Fetched, ObjectMetadata, ObjectStore, Upload,
};

use super::Switch;
use crate::rig::inject::{Injector, Kind};
use crate::rig::line::Line;

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
    pub(in crate::rig) fn new(
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
    async fn fetch(&self, object: &ObjectVersion, limit: u64) -> Result<Fetched, FetchError> {
        if self.allowing.is_off() {
            return Err(FetchError::Denied);
        }
        self.switch.pass()?;
        self.flowing.wait().await;
        match self.inject("objects.fetch", Some(object)) {
            Some(Kind::Unreadable) => {
                let bytes = Bytes::from_static(b"no picture");
                return Ok(Fetched { bytes, metadata: ObjectMetadata::default() });
            }
            Some(kind) => return Err(kind.error().into()),
            None => {}
        }
        self.line.around(self.inner.fetch(object, limit)).await
    }
    async fn asked(&self, object: &ObjectVersion) -> Result<Asked, FetchError> {
        self.switch.pass()?;
        self.answering.wait().await;
        if let Some(kind) = self.inject("objects.asked", Some(object)) {
            return Err(kind.error().into());
        }
        self.line.around(self.inner.asked(object)).await
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
    async fn put_new(&self, upload: Upload) -> Result<Created, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.put_new(upload)).await
    }
    async fn presign_put(
        &self,
        key: &str,
        lane: Lane,
        metadata: &ObjectMetadata,
        valid: Duration,
        pair: Option<&S3KeyPair>,
    ) -> Result<String, PortError> {
        self.inner.presign_put(key, lane, metadata, valid, pair).await
    }
    async fn check(&self) -> Result<(), PortError> {
        self.switch.pass()?;
        if let Some(kind) = self.inject("objects.check", None) {
            return Err(kind.error());
        }
        self.line.around(self.inner.check()).await
    }
}
