//! API servers on one store and one Redis, each behind a proxy of its own, as processes on several
//! machines are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lobar_api::{Api, ApiPorts, ApiSettings, Readiness};
use lobar_core::finding::{Finding, Label, ModelRef};
use lobar_core::image::{Lane, NewImage};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::signal::Signal;
use lobar_core::store::{Basis, Claim, Completion, Outcome, Store};
use lobar_core::time::SystemClock;
use lobar_opener::Opener;
use lobar_testkit::services::proxy::Proxy;
use lobar_tests::rig::Rig;
use prometheus::Registry;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running API server.
pub struct Page {
    pub base: String,
    pub proxy: Proxy,
    http: reqwest::Client,
    stop: CancellationToken,
}

impl Page {
    /// Opens one on the store of `rig` and on database 0 of `redis`.
    pub async fn open(rig: &Rig, redis: SocketAddr) -> Self {
        let proxy = Proxy::open(redis).await;
        let url = format!("redis://{}/0", proxy.address).parse().expect("a URL");
        let opener = Opener::new(Arc::new(SystemClock));
        let parts = ApiPorts {
            store: rig.store.clone(),
            models: rig.registry.clone(),
            verdicts: rig.verdicts.clone(),
            quarantine: rig.quarantine.clone(),
            accounts: rig.accounts.clone(),
            exposures: rig.exposures.clone(),
            worklist: rig.worklist.clone(),
            batches: rig.batches.clone(),
            studies: rig.studies.clone(),
            audit: rig.audit.clone(),
            objects: rig.objects.clone(),
            erasure: rig.erasure.clone(),
            signal: opener.signal("signal", &url).expect("a signal"),
            jobs: rig.ports(),
            clock: Arc::new(SystemClock),
            registry: Registry::new(),
            readiness: Readiness::default(),
            uploads: Some(rig.uploads.clone()),
            cache: opener.cache("signal", &url).expect("opens"),
            presence: opener.presence("signal", &url).expect("opens"),
        };
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = ApiSettings { listen, ..ApiSettings::default() };
        let api = Api::build(parts, settings).await.expect("a server");
        let base = format!("http://{}", api.local_addr());
        let stop = CancellationToken::new();
        tokio::spawn(api.run(stop.clone()));
        // Another test of this process may have chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { base, proxy, http: reqwest::Client::new(), stop }
    }

    /// GET, as JSON.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await.expect("answers");
        assert!(answer.status().is_success(), "GET {path}: {}", answer.status());
        answer.json().await.expect("JSON")
    }

    /// One image's state.
    pub async fn status(&self, id: &str) -> String {
        let item = self.get(&format!("/v1/images/{id}")).await;
        item["status"].as_str().expect("a word").to_owned()
    }

    /// How many lookups of the cache came to this.
    pub async fn lookups(&self, outcome: &str) -> u64 {
        let url = format!("{}/metrics", self.base);
        let text = self.http.get(url).send().await.expect("answers").text().await.expect("text");
        let name = format!("lobar_api_cache_lookups_total{{outcome=\"{outcome}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        value.expect("a series").parse().expect("a number")
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The signal of another process, behind `address`.
pub fn signal(address: SocketAddr) -> Arc<dyn Signal> {
    let opener = Opener::new(Arc::new(SystemClock));
    let url = format!("redis://{address}/0").parse().expect("a URL");
    opener.signal("signal", &url).expect("a signal")
}

/// One version of a key.
pub fn version(key: &str, number: u64) -> NewImage {
    let object = ObjectVersion {
        bucket: "xrays".into(),
        key: key.into(),
        version: Some(format!("v{number}")),
        etag: None,
        sequencer: Some(format!("{number:016X}")),
        size: Some(1),
    };
    NewImage { object, lane: Lane::Routine }
}

/// Admits one image and finishes it, as ingest and a worker do, but tells nobody.
pub async fn finish(store: &dyn Store, image: NewImage) -> ImageId {
    let id = store.admit(&[image]).await.expect("admitted")[0].id();
    let claims = store.claim(&[id], 5).await.expect("claimed");
    let Claim::Granted(claimed) = &claims[0] else { panic!("not granted: {claims:?}") };
    let done = Completion {
        id,
        fence: claimed.fence,
        outcome: ready(),
        trace: None,
        basis: Basis::default(),
    };
    assert_eq!(store.complete(&[done]).await.expect("completed"), [true]);
    id
}

fn ready() -> Outcome {
    Outcome::Ready(Box::new(Finding {
        model: ModelRef { version: "1".into(), sha256: "ab".into(), preprocessing: "p".into() },
        probability: 0.25,
        threshold: 0.5,
        flagged: false,
        label: Label::Normal,
        subtype: None,
        heatmap: None,
        warnings: Vec::new(),
        timings_ms: Default::default(),
    }))
}

/// Asks again until it is so.
pub async fn until(what: &str, ask: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !ask().await {
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
