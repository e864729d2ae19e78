//! A server with everything behind it, for one test.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lobar_api::{Api, ApiPorts, ApiSettings, Readiness};
use lobar_core::access::Grants;
use lobar_core::accounts::{AccountId, Accounts};
use lobar_core::audit::Audit;
use lobar_core::batch::Batches;
use lobar_core::erasure::ErasurePorts;
use lobar_core::event::{Event, Seq};
use lobar_core::exposure::Exposures;
use lobar_core::finding::{Finding, Heatmap, Label, ModelRef};
use lobar_core::image::{Lane, Lanes, NewImage, Reason};
use lobar_core::model_registry::ModelRegistry;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::object_store::ObjectStore;
use lobar_core::presence::Presence;
use lobar_core::quarantine::Quarantine;
use lobar_core::queue::{JobQueues, Queue};
use lobar_core::signal::Signal;
use lobar_core::store::{Basis, Claim, Completion, Outcome, Store};
use lobar_core::study::Attributes;
use lobar_core::time::{Clock, SystemClock};
use lobar_core::verdict::Verdicts;
use lobar_core::worklist::Worklist;
use lobar_endpoint::{Endpoint, EndpointOptions};
use lobar_ingest::{Ingest, IngestMetrics, IngestPorts, IngestSettings};
use lobar_opener::Opener;
use lobar_opener::url::{QueueUrl, SignalUrl, SqliteFile, StoreUrl};
use lobar_s3::S3ObjectStore;
use lobar_signin::{SignIn, SignInSettings};
use lobar_tests::aws::{s3_options, server_key_pair};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::sse::Stream;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Everybody's password.
pub const PASSWORD: &str = "a long enough sentence";

fn read(grants: &str) -> Grants {
    grants.split_whitespace().map(|grant| grant.parse().expect("a grant")).collect()
}

/// A running server and the ports behind it.
pub struct Fixture {
    pub store: Arc<dyn Store>,
    pub models: Arc<dyn ModelRegistry>,
    pub verdicts: Arc<dyn Verdicts>,
    pub quarantine: Arc<dyn Quarantine>,
    pub accounts: Arc<dyn Accounts>,
    pub audit: Arc<dyn Audit>,
    pub exposures: Arc<dyn Exposures>,
    pub worklist: Arc<dyn Worklist>,
    pub batches: Arc<dyn Batches>,
    pub jobs: JobQueues,
    pub uploads: Arc<dyn Queue>,
    pub objects: Arc<dyn ObjectStore>,
    pub erasure: ErasurePorts,
    pub signal: Arc<dyn Signal>,
    pub presence: Option<Arc<dyn Presence>>,
    pub http: reqwest::Client,
    pub base: String,
    /// The S3 endpoint's address.
    pub s3: String,
    stop: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
    opener: Opener,
    folder: TempDir,
}

impl Fixture {
    /// With settings as they are.
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// With settings of the test's.
    pub async fn open_with(set: impl FnOnce(&mut ApiSettings)) -> Self {
        Self::build(set, true, "memory:").await
    }

    /// Without ingest: uploads stay in their queue.
    pub async fn open_without_ingest() -> Self {
        Self::build(|_| {}, false, "memory:").await
    }

    /// Without a cache and without a presence service.
    pub async fn open_without_cache() -> Self {
        Self::build(|_| {}, true, "poll:").await
    }

    async fn build(set: impl FnOnce(&mut ApiSettings), with_ingest: bool, beside: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let opener = Opener::new(clock.clone());
        let file = SqliteFile::at(folder.path().join("lobar.db"));
        let url = StoreUrl::Sqlite(file.clone());
        let store = opener.database("store", &url).await.expect("a database");
        let (models, verdicts, quarantine) = (store.clone(), store.clone(), store.clone());
        let accounts = store.clone();
        let (audit, exposures) = (store.clone(), store.clone());
        let url = QueueUrl::Sqlite(file);
        let uploads = opener.queue("uploads", &url, "uploads").await.expect("a queue");
        let jobs = Lanes {
            stat: opener.queue("jobs", &url, "jobs-stat").await.expect("a queue"),
            routine: opener.queue("jobs", &url, "jobs-routine").await.expect("a queue"),
        };
        let signal = opener.signal("signal", &SignalUrl::Memory).expect("a signal");
        let beside = beside.parse().expect("a signal's URL");
        let presence = opener.presence("signal", &beside).expect("opens");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let data = folder.path().join("objects");
        let options = EndpointOptions::new(data, any, server_key_pair(), uploads.clone());
        let endpoint = Endpoint::open(options).await.expect("an S3 endpoint");
        let s3 = format!("http://{}", endpoint.local_addr());
        let options = s3_options("xrays", s3.clone());
        let bucket = Arc::new(S3ObjectStore::connect(options).await);
        let objects: Arc<dyn ObjectStore> = bucket.clone();
        let stop = CancellationToken::new();
        tokio::spawn(endpoint.run(stop.clone()));
        if with_ingest {
            let parts = IngestPorts {
                uploads: uploads.clone(),
                jobs: jobs.clone(),
                store: store.clone(),
                batches: store.clone(),
                objects: objects.clone(),
                listing: None,
                erasure: None,
                signal: signal.clone(),
                clock: clock.clone(),
                metrics: IngestMetrics::register(&prometheus::Registry::new()).expect("metrics"),
            };
            let ingest = Ingest::new(parts, IngestSettings::new("xrays"));
            let stop = lobar_ingest::Stop { receiving: stop.clone(), abort: stop.clone() };
            tokio::spawn(ingest.run(stop));
        }
        let mut settings = ApiSettings { listen: any, ..ApiSettings::default() };
        settings.limits.max_bytes = 200_000;
        settings.drain = Duration::from_secs(2);
        set(&mut settings);
        let erasure = ErasurePorts { erasures: store.clone(), objects: bucket };
        let parts = ApiPorts {
            store: store.clone(),
            models: models.clone(),
            verdicts: verdicts.clone(),
            quarantine: quarantine.clone(),
            accounts: accounts.clone(),
            audit: audit.clone(),
            exposures: exposures.clone(),
            worklist: store.clone(),
            batches: store.clone(),
            studies: store.clone(),
            objects: objects.clone(),
            erasure: erasure.clone(),
            signal: signal.clone(),
            jobs: jobs.clone(),
            clock,
            registry: prometheus::Registry::new(),
            readiness: Readiness::default(),
            uploads: Some(uploads.clone()),
            cache: opener.cache("signal", &beside).expect("opens"),
            presence: presence.clone(),
        };
        let api = Api::build(parts, settings).await.expect("a server");
        let base = format!("http://{}", api.local_addr());
        let server = tokio::spawn(api.run(stop.clone()));
        // Another test of this process may have chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::new();
        Self {
            worklist: store.clone(),
            batches: store.clone(),
            jobs,
            store,
            models,
            verdicts,
            quarantine,
            accounts,
            audit,
            exposures,
            uploads,
            objects,
            erasure,
            signal,
            presence,
            http,
            base,
            s3,
            stop,
            server,
            opener,
            folder,
        }
    }

    /// The server's address with a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The database's file.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("lobar.db")
    }

    /// Everything that the database holds, table by table, and the names of the stored objects' files.
    pub async fn contents(&self) -> BTreeMap<String, String> {
        let url = format!("sqlite:{}", self.database().display());
        let mut database = SqliteConnection::connect(&url).await.expect("opens");
        let tables =
            "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'";
        let tables: Vec<String> =
            sqlx::query_scalar(tables).fetch_all(&mut database).await.expect("tables");
        let mut contents = BTreeMap::new();
        for table in tables {
            let columns = "select group_concat('quote(\"' || name || '\")', ' || '' '' || ') from pragma_table_info(?)";
            let columns = sqlx::query_scalar(columns).bind(&table);
            let columns: String = columns.fetch_one(&mut database).await.expect("columns");
            let rows = AssertSqlSafe(format!("select {columns} from {table} order by 1"));
            let rows: Vec<String> =
                sqlx::query_scalar(rows).fetch_all(&mut database).await.expect("rows");
            contents.insert(table, rows.join("\n"));
        }
        database.close().await.expect("closes");
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().join("objects")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path.display().to_string());
                }
            }
        }
        files.sort_unstable();
        contents.insert("files of objects".into(), files.join("\n"));
        contents
    }

    /// Runs a statement on the database beside the server, with the schema's checks put aside.
    pub async fn damage(&self, statement: &str) {
        let url = format!("sqlite:{}", self.database().display());
        let mut database = SqliteConnection::connect(&url).await.expect("opens");
        for sql in ["pragma ignore_check_constraints = on", statement] {
            let sql = AssertSqlSafe(sql.to_owned());
            sqlx::raw_sql(sql).execute(&mut database).await.expect("damaged");
        }
        database.close().await.expect("closes");
    }

    /// Closes the store under the server's feet.
    pub async fn close_store(&self) {
        self.opener.close().await;
    }

    /// GET, as JSON with its status.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.http.get(self.url(path)).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// The metrics as a scraper gets them.
    pub async fn metrics(&self) -> String {
        let ask = || self.http.get(self.url("/metrics"));
        let mut answer = ask().send().await.expect("an answer");
        if answer.status() == 401 {
            let token = self.token("operator@*").await;
            answer = ask().bearer_auth(token).send().await.expect("an answer");
        }
        assert_eq!(answer.status(), 200);
        answer.text().await.expect("text")
    }

    /// A person with a password, [`PASSWORD`].
    pub async fn person(&self, name: &str, grants: &str) -> AccountId {
        let sign_in = self.sign_in();
        let (account, link) = sign_in.invite(name, read(grants)).await.expect("invited");
        sign_in.redeem(&link.expose(), PASSWORD).await.expect("redeemed");
        account.id
    }

    /// Puts sites on the list that grants may name.
    pub async fn sites(&self, names: &[&str]) {
        for name in names {
            self.accounts.add_site(&name.parse().expect("a name")).await.expect("added");
        }
    }

    /// The secret of a machine's token.
    pub async fn token(&self, grants: &str) -> String {
        let name = Uuid::new_v4().to_string();
        let added = self.sign_in().add_token(&name, read(grants), None).await;
        added.expect("added").1.expose()
    }

    fn sign_in(&self) -> SignIn {
        SignIn::new(self.accounts.clone(), Arc::new(SystemClock), SignInSettings::default())
    }

    /// The event stream at a position, for the bearer of a token.
    pub async fn events_of(&self, query: &str, token: &str) -> Stream {
        let request = self.http.get(self.url("/v1/events") + query).bearer_auth(token);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        Stream::new(answer)
    }

    /// The event stream at a position.
    pub async fn events(&self, query: &str) -> Stream {
        let answer = self.http.get(self.url("/v1/events") + query).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        Stream::new(answer)
    }

    /// Admits images of these keys, as ingest does.
    pub async fn admit(&self, keys: impl IntoIterator<Item = String>) -> Vec<ImageId> {
        let images: Vec<_> = keys.into_iter().map(|key| new_image(&key)).collect();
        let admitted = self.store.admit(&images).await.expect("admitted");
        self.signal.publish().await.expect("published");
        admitted.into_iter().map(|admission| admission.id()).collect()
    }

    /// Finishes images, as the worker does.
    pub async fn finish(&self, ids: &[ImageId], outcome: &Outcome) {
        self.finish_known(ids, outcome, None).await;
    }

    /// Finishes images of which this is known.
    pub async fn finish_known(
        &self,
        ids: &[ImageId],
        outcome: &Outcome,
        known: Option<&Attributes>,
    ) {
        let claims = self.store.claim(ids, 5).await.expect("claimed");
        let completions: Vec<_> = claims
            .into_iter()
            .map(|claim| match claim {
                Claim::Granted(claimed) => {
                    let (id, fence) = (claimed.id, claimed.fence);
                    Completion {
                        id,
                        fence,
                        outcome: outcome.clone(),
                        trace: None,
                        basis: Basis { identity: known.cloned().map(Box::new), ..Basis::default() },
                    }
                }
                other => panic!("not granted: {other:?}"),
            })
            .collect();
        let accepted = self.store.complete(&completions).await.expect("completed");
        assert!(accepted.into_iter().all(|accepted| accepted));
        self.signal.publish().await.expect("published");
    }

    /// Everything in the store's event table.
    pub async fn stored_events(&self) -> Vec<Event> {
        self.store.events(Seq(0), 1_000_000).await.expect("events")
    }

    /// Finishes every image as soon as ingest has admitted it, until the test ends.
    pub fn play_worker(self: &Arc<Self>, outcome: Outcome) {
        let fixture = Arc::clone(self);
        tokio::spawn(async move { fixture.work(fixture.events("?after=0").await, outcome).await });
    }

    /// The same, where somebody has an account: from now on, as the bearer of a token.
    pub async fn play_worker_as(self: &Arc<Self>, outcome: Outcome, grants: &str) {
        let token = self.token(grants).await;
        let (fixture, events) = (Arc::clone(self), self.events_of("", &token).await);
        tokio::spawn(async move { fixture.work(events, outcome).await });
    }

    async fn work(&self, mut events: Stream, outcome: Outcome) {
        loop {
            let image = events.image().await;
            if image.status == "queued" {
                self.finish(&[image.id.parse().expect("an id")], &outcome).await;
            }
        }
    }

    /// Tells the server to stop and waits until it has.
    pub async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.server).await.expect("it stops");
        ended.expect("no panic").expect("no error");
    }

    /// Only tells it.
    pub fn tell_to_stop(&self) {
        self.stop.cancel();
    }
}

/// Asks again until there is an answer.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let began = tokio::time::Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An image under a key, as an event would name it.
pub fn new_image(key: &str) -> NewImage {
    let object = ObjectVersion {
        bucket: "xrays".into(),
        key: key.into(),
        version: Some("v1".into()),
        etag: None,
        sequencer: None,
        size: Some(1),
    };
    NewImage { object, lane: Lane::Routine }
}

/// An assessment with this probability; with a heatmap when flagged.
pub fn ready(probability: f64) -> Outcome {
    let flagged = probability >= 0.4;
    let heatmap = flagged.then(|| Heatmap { width: 2, height: 2, cells: vec![0.0, 1.0, 0.5, 0.2] });
    Outcome::Ready(Box::new(Finding {
        model: ModelRef {
            version: "test-1".into(),
            sha256: "ab".repeat(32),
            preprocessing: "p1".into(),
        },
        probability,
        threshold: 0.4,
        flagged,
        label: if flagged { Label::Pneumonia } else { Label::Normal },
        subtype: None,
        heatmap,
        warnings: vec!["Turned upright.".into()],
        timings_ms: BTreeMap::from([("infer".to_owned(), 12.5)]),
    }))
}

/// Not assessed.
pub fn blank() -> Outcome {
    Outcome::NeedsHuman { reason: Reason::Blank, detail: "Every pixel is 7.".into() }
}
