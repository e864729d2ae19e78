//! Stub object store and engine that take no time: what is measured is queues and store.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lobar_core::accounts::S3KeyPair;
use lobar_core::engine::{
    Engine, EngineError, EngineInfo, NetworkInput, NoveltyPolicy, Prediction,
};
use lobar_core::failure::PortError;
use lobar_core::finding::ModelRef;
use lobar_core::image::{Lane, NewImage};
use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{
    Asked, Created, FetchError, Fetched, ObjectMetadata, ObjectStore, Upload,
};
use lobar_core::population::Population;

use crate::failure::Failure;

/// Holds one picture under every key.
pub struct OnePicture(Bytes);

impl OnePicture {
    /// A slope of greys, as small as an image may be: reading it takes a fraction of a millisecond.
    pub fn draw() -> Result<Self, Failure> {
        let side = NetworkInput::SIDE;
        let pixels: Vec<u8> = (0..side * side).map(|at| (at % side) as u8).collect();
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, side as u32, side as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let written =
            encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
        written.map_err(Failure::failed)?;
        Ok(Self(bytes.into()))
    }
}

#[async_trait]
impl ObjectStore for OnePicture {
    async fn fetch(&self, _: &ObjectVersion, _: u64) -> Result<Fetched, FetchError> {
        Ok(Fetched { bytes: self.0.clone(), metadata: ObjectMetadata::default() })
    }

    async fn asked(&self, _: &ObjectVersion) -> Result<Asked, FetchError> {
        Ok(Asked::default())
    }

    async fn current(&self, _: &ObjectVersion) -> Result<Option<NewImage>, FetchError> {
        Ok(None)
    }

    async fn put(&self, _: Upload) -> Result<ObjectVersion, PortError> {
        Err(PortError::permanent("bench: put", "nothing is stored here"))
    }

    async fn put_new(&self, _: Upload) -> Result<Created, PortError> {
        Err(PortError::permanent("bench: put", "nothing is stored here"))
    }

    async fn presign_put(
        &self,
        _: &str,
        _: Lane,
        _: &ObjectMetadata,
        _: Duration,
        _: Option<&S3KeyPair>,
    ) -> Result<String, PortError> {
        Err(PortError::permanent("bench: presign", "nothing is stored here"))
    }

    async fn check(&self) -> Result<(), PortError> {
        Ok(())
    }
}

/// Answers at once, and the same on everything.
pub struct NullEngine(EngineInfo);

impl NullEngine {
    /// A network without weights.
    pub fn new(max_batch: usize) -> Self {
        let model = ModelRef {
            version: "bench-null".into(),
            sha256: "0".repeat(64),
            preprocessing: "none".into(),
        };
        let device = "none".into();
        Self(EngineInfo {
            model,
            threshold: 0.5,
            max_batch,
            replicas: 1,
            device,
            tolerance: 0.0,
            novelty_policy: NoveltyPolicy::NoDetector,
            population: Population::default(),
        })
    }
}

impl Engine for NullEngine {
    fn info(&self) -> &EngineInfo {
        &self.0
    }

    fn infer(
        &mut self,
        batch: &[NetworkInput],
    ) -> Result<Vec<Result<Prediction, String>>, EngineError> {
        let answer =
            || Prediction { probability: 0.25, bacterial: None, heatmap: None, novelty: None };
        Ok(batch.iter().map(|_| Ok(answer())).collect())
    }
}

/// The notification that S3 sends of one new object
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>).
pub fn notification(bucket: &str, key: &str, number: usize) -> String {
    let object = serde_json::json!({
        "key": key,
        "size": 1_000_000,
        "eTag": format!("{number:032x}"),
        "sequencer": format!("{number:016X}"),
    });
    let record = BTreeMap::from([
        ("eventVersion", "2.1".into()),
        ("eventSource", "aws:s3".into()),
        ("eventName", "ObjectCreated:Put".into()),
        ("s3", serde_json::json!({ "bucket": { "name": bucket }, "object": object })),
    ]);
    serde_json::json!({ "Records": [record] }).to_string()
}
