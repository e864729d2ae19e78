//! The contracts of the store, of the queue, of the model registry, of verdicts, of the quarantine, of accounts and of
//! the audit record, on SQLite.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::accounts::Accounts;
use lobar_core::audit::Audit;
use lobar_core::event::Seq;
use lobar_core::model_registry::ModelRegistry;
use lobar_core::quarantine::Quarantine;
use lobar_core::queue::Queue;
use lobar_core::reading::UnreadableCounts;
use lobar_core::store::Store;
use lobar_core::time::{Clock, ManualClock, Stamp};
use lobar_core::verdict::Verdicts;
use lobar_sql::sqlite::{self, SqliteQueue, SqliteStore};
use lobar_testkit::contract::accounts::AccountsHarness;
use lobar_testkit::contract::audit::AuditHarness;
use lobar_testkit::contract::batches::{BatchesHarness, Uploads};
use lobar_testkit::contract::commitments::{CommitmentsHarness, Handles};
use lobar_testkit::contract::erasure::{ErasureHarness, Kept};
use lobar_testkit::contract::exposure::{ExposureHarness, Ports};
use lobar_testkit::contract::quarantine::QuarantineHarness;
use lobar_testkit::contract::queue::QueueHarness;
use lobar_testkit::contract::registry::ModelRegistryHarness;
use lobar_testkit::contract::store::StoreHarness;
use lobar_testkit::contract::verdict::VerdictHarness;
use lobar_testkit::contract::worklist::{Kept as OnWorklist, WorklistHarness};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::Mutex;

/// A folder with database files, opened several times as several processes would.
struct Files {
    folder: TempDir,
    clock: ManualClock,
    open: Mutex<Vec<Arc<SqliteStore>>>,
}

impl Files {
    fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a temporary folder"),
            clock: ManualClock::new(Stamp(1_700_000_000_000_000)),
            open: Mutex::default(),
        }
    }

    /// As another process would.
    async fn database(&self, file: &str) -> Arc<SqliteStore> {
        let (path, clock) = (self.folder.path().join(file), Arc::new(self.clock.clone()));
        let database = Arc::new(sqlite::open(&path, clock).await.expect("opens"));
        self.open.lock().await.push(database.clone());
        database
    }

    async fn queue(&self, file: &str, name: &str) -> Arc<dyn Queue> {
        Arc::new(SqliteQueue::new(self.database(file).await, name))
    }

    async fn dead_trace(&self, file: &str) -> Option<String> {
        let url = format!("sqlite:{}", self.folder.path().join(file).display());
        let mut file = SqliteConnection::connect(&url).await.expect("opens");
        let kept = sqlx::query_scalar("select trace from message where dead_reason is not null");
        let trace = kept.fetch_one(&mut file).await.expect("one dead message");
        file.close().await.expect("closes");
        trace
    }

    /// Runs a statement beside the adapter, without its checks.
    async fn damage(&self, file: &str, statement: &str) {
        let url = format!("sqlite:{}", self.folder.path().join(file).display());
        let mut file = SqliteConnection::connect(&url).await.expect("opens");
        for sql in ["pragma ignore_check_constraints = on", statement] {
            let sql = AssertSqlSafe(sql.to_owned());
            sqlx::raw_sql(sql).execute(&mut file).await.expect("damaged");
        }
        file.close().await.expect("closes");
    }

    async fn close(&self) {
        for database in self.open.lock().await.drain(..) {
            database.close().await;
        }
    }
}

struct StoreFile(Files);

#[async_trait]
impl StoreHarness for StoreFile {
    async fn start() -> Self {
        Self(Files::new())
    }

    async fn open(&self) -> Arc<dyn Store> {
        self.0.database("lobar.db").await
    }

    async fn reopen(&self) -> Arc<dyn Store> {
        self.0.close().await;
        self.open().await
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    async fn damage(&self, statement: &str) {
        self.0.damage("lobar.db", statement).await;
    }

    async fn lose_events(&self, after: Seq) {
        let lost = format!(
            "delete from event where seq > {0}; update sqlite_sequence set seq = {0} where name = 'event'",
            after.0
        );
        self.0.damage("lobar.db", &lost).await;
    }
}

struct RegistryFile(Files);

#[async_trait]
impl ModelRegistryHarness for RegistryFile {
    async fn start() -> Self {
        Self(Files::new())
    }

    async fn open(&self) -> Arc<dyn ModelRegistry> {
        self.0.database("lobar.db").await
    }

    async fn reopen(&self) -> Arc<dyn ModelRegistry> {
        self.0.close().await;
        self.open().await
    }

    async fn images(&self) -> (Arc<dyn Store>, Arc<dyn Verdicts>) {
        (self.0.database("lobar.db").await, self.0.database("lobar.db").await)
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    async fn damage(&self, statement: &str) {
        self.0.damage("lobar.db", statement).await;
    }
}

struct VerdictFile(Files);

#[async_trait]
impl VerdictHarness for VerdictFile {
    async fn start() -> Self {
        Self(Files::new())
    }

    async fn open(&self) -> (Arc<dyn Store>, Arc<dyn Verdicts>) {
        (self.0.database("lobar.db").await, self.0.database("lobar.db").await)
    }

    async fn reopen(&self) -> (Arc<dyn Store>, Arc<dyn Verdicts>) {
        self.0.close().await;
        self.open().await
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    async fn damage(&self, statement: &str) {
        self.0.damage("lobar.db", statement).await;
    }
}

struct ExposureFile(Files);

#[async_trait]
impl ExposureHarness for ExposureFile {
    async fn start() -> Self {
        Self(Files::new())
    }

    async fn open(&self) -> Ports {
        let database = self.0.database("lobar.db").await;
        (database.clone(), database.clone(), database)
    }

    async fn reopen(&self) -> Ports {
        self.0.close().await;
        self.open().await
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    fn now(&self) -> Stamp {
        self.0.clock.now()
    }
}

struct WorklistFile(Files);

#[async_trait]
impl WorklistHarness for WorklistFile {
    async fn start() -> Self {
        Self(Files::new())
    }

    async fn open(&self) -> OnWorklist {
        let database = self.0.database("lobar.db").await;
        OnWorklist {
            store: database.clone(),
            verdicts: database.clone(),
            exposures: database.clone(),
            worklist: database,
        }
    }

    async fn reopen(&self) -> OnWorklist {
        self.0.close().await;
        self.open().await
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    fn now(&self) -> Stamp {
        self.0.clock.now()
    }

    async fn damage(&self, statement: &str) {
        self.0.damage("lobar.db", statement).await;
    }
}

struct QuarantineFile(Files);

#[async_trait]
impl QuarantineHarness for QuarantineFile {
    async fn start() -> Self {
        Self(Files::new())
    }

    async fn open(&self) -> (Arc<dyn Store>, Arc<dyn Quarantine>) {
        (self.0.database("lobar.db").await, self.0.database("lobar.db").await)
    }

    async fn reopen(&self) -> (Arc<dyn Store>, Arc<dyn Quarantine>) {
        self.0.close().await;
        self.open().await
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    async fn damage(&self, statement: &str) {
        self.0.damage("lobar.db", statement).await;
    }
}

struct AccountsFile(Files);

#[async_trait]
impl AccountsHarness for AccountsFile {
    async fn start() -> Self {
        Self(Files::new())
    }

    async fn open(&self) -> (Arc<dyn Accounts>, Arc<dyn UnreadableCounts>) {
        let database = self.0.database("lobar.db").await;
        (database.clone(), database)
    }

    async fn reopen(&self) -> Arc<dyn Accounts> {
        self.0.close().await;
        self.0.database("lobar.db").await
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.0.clock.clone())
    }

    fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    fn set_back(&self, by: Duration) {
        self.0.clock.set_back(by);
    }

    async fn damage(&self, statement: &str) {
        self.0.damage("lobar.db", statement).await;
    }
}

/// A queue in a file of its own.
struct OwnFile(Files);

/// A queue in the store's file, beside another queue with messages.
struct SharedFile(Files);

macro_rules! queue_harness {
    ($harness:ident, $start:expr, $file:literal) => {
        #[async_trait]
        impl QueueHarness for $harness {
            const LEASE: Duration = Duration::from_secs(30);

            async fn start() -> Self {
                let files = Files::new();
                $start(&files).await;
                Self(files)
            }

            async fn open(&self) -> Arc<dyn Queue> {
                self.0.queue($file, "uploads").await
            }

            async fn reopen(&self) -> Arc<dyn Queue> {
                self.0.close().await;
                self.open().await
            }

            async fn advance(&self, by: Duration) {
                self.0.clock.advance(by);
            }

            async fn dead_trace(&self) -> Option<String> {
                self.0.dead_trace($file).await
            }
        }
    };
}

async fn nothing_else(_: &Files) {}

async fn with_neighbours(files: &Files) {
    files.database("lobar.db").await;
    let neighbour = files.queue("lobar.db", "jobs-stat").await;
    let messages = (0..10).map(|n| lobar_core::queue::Outgoing::now(n.to_string())).collect();
    assert!(neighbour.send(messages).await.iter().all(Result::is_ok));
}

queue_harness!(OwnFile, nothing_else, "queues.db");
queue_harness!(SharedFile, with_neighbours, "lobar.db");

struct AuditFile(Files);

#[async_trait]
impl AuditHarness for AuditFile {
    async fn start() -> Self {
        Self(Files::new())
    }

    async fn open(&self) -> (Arc<dyn Store>, Arc<dyn Audit>) {
        (self.0.database("lobar.db").await, self.0.database("lobar.db").await)
    }

    async fn reopen(&self) -> (Arc<dyn Store>, Arc<dyn Audit>) {
        self.0.close().await;
        self.open().await
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    async fn refusal(&self, statement: &str) -> Option<String> {
        let url = format!("sqlite:{}", self.0.folder.path().join("lobar.db").display());
        let mut file = SqliteConnection::connect(&url).await.expect("opens");
        let answer = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut file).await;
        file.close().await.expect("closes");
        answer.err().map(|error| error.to_string())
    }

    async fn tamper(&self, statement: &str) {
        let unguarded =
            "drop trigger if exists audit_unchanged; drop trigger if exists audit_kept; ";
        self.0.damage("lobar.db", &(unguarded.to_owned() + statement)).await;
    }
}

struct ErasureFile(Files);

#[async_trait]
impl ErasureHarness for ErasureFile {
    async fn start() -> Self {
        Self(Files::new())
    }

    async fn open(&self) -> Kept {
        let database = self.0.database("lobar.db").await;
        Kept {
            store: database.clone(),
            erasures: database.clone(),
            verdicts: database.clone(),
            quarantine: database.clone(),
            audit: database.clone(),
            models: database.clone(),
            studies: database,
        }
    }

    async fn reopen(&self) -> Kept {
        self.0.close().await;
        self.open().await
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }
}

struct CommitmentsFile(Files);

#[async_trait]
impl CommitmentsHarness for CommitmentsFile {
    async fn start() -> Self {
        Self(Files::new())
    }

    async fn open(&self) -> Handles {
        let database = self.0.database("lobar.db").await;
        Handles { commitments: database.clone(), erasures: database.clone(), store: database }
    }

    async fn reopen(&self) -> Handles {
        self.0.close().await;
        self.open().await
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    async fn damage(&self, statement: &str) {
        self.0.damage("lobar.db", statement).await;
    }
}

struct BatchesFile(Files);

#[async_trait]
impl BatchesHarness for BatchesFile {
    async fn start() -> Self {
        Self(Files::new())
    }

    async fn open(&self) -> Uploads {
        let database = self.0.database("lobar.db").await;
        Uploads {
            batches: database.clone(),
            store: database.clone(),
            worklist: database.clone(),
            erasures: database,
        }
    }

    async fn reopen(&self) -> Uploads {
        self.0.close().await;
        self.open().await
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    fn now(&self) -> Stamp {
        self.0.clock.now()
    }

    async fn damage(&self, statement: &str) {
        self.0.damage("lobar.db", statement).await;
    }
}

mod batches {
    lobar_testkit::batches_contract!(super::BatchesFile);
}

mod commitments {
    lobar_testkit::commitments_contract!(super::CommitmentsFile);
}

mod erasure {
    lobar_testkit::erasure_contract!(super::ErasureFile);
}

mod studies {
    lobar_testkit::studies_contract!(super::ErasureFile);
}

mod audit {
    lobar_testkit::audit_contract!(super::AuditFile);
}

mod store {
    lobar_testkit::store_contract!(super::StoreFile);
    lobar_testkit::store_model!(super::StoreFile);
}

mod registry {
    lobar_testkit::registry_contract!(super::RegistryFile);
}

mod verdicts {
    lobar_testkit::verdict_contract!(super::VerdictFile);
}

mod worklist {
    lobar_testkit::worklist_contract!(super::WorklistFile);
}

mod exposures {
    lobar_testkit::exposure_contract!(super::ExposureFile);
}

mod quarantine {
    lobar_testkit::quarantine_contract!(super::QuarantineFile);
}

mod accounts {
    lobar_testkit::accounts_contract!(super::AccountsFile);
}

mod queue_in_its_own_file {
    lobar_testkit::queue_contract!(super::OwnFile);
    lobar_testkit::queue_model!(super::OwnFile);
    lobar_testkit::queue_turns!(super::OwnFile);
}

mod queue_in_the_store_s_file {
    lobar_testkit::queue_contract!(super::SharedFile);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_create_the_same_file_at_once_all_succeed() {
    let files = Arc::new(Files::new());
    let opening: Vec<_> = (0..6)
        .map(|_| {
            let files = files.clone();
            tokio::spawn(async move { files.database("lobar.db").await.overview().await.is_ok() })
        })
        .collect();
    for opening in opening {
        assert!(opening.await.expect("opened"));
    }
}

#[tokio::test]
async fn a_file_that_another_process_is_creating_is_waited_for() {
    let files = Arc::new(Files::new());
    let url = format!("sqlite:{}?mode=rwc", files.folder.path().join("lobar.db").display());
    let mut creating = SqliteConnection::connect(&url).await.expect("opens");
    let begin = sqlx::raw_sql("begin immediate; create table other (id integer)");
    begin.execute(&mut creating).await.expect("begins");
    let opening = tokio::spawn({
        let files = files.clone();
        async move { files.database("lobar.db").await.overview().await.is_ok() }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!opening.is_finished(), "opened, or gave up");
    sqlx::raw_sql("commit").execute(&mut creating).await.expect("commits");
    assert!(opening.await.expect("opened"));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let files = Files::new();
    let path = files.folder.path().join("notes.db");
    let notes = "these are notes, not a database ".repeat(100);
    std::fs::write(&path, &notes).expect("written");
    let open = |path| sqlite::open(path, Arc::new(files.clock.clone()));
    let text = open(&path).await.err().expect("refused").to_string();
    assert!(text.contains("not a database"), "{text}");
    assert_eq!(std::fs::read_to_string(&path).expect("there"), notes);
    assert!(open(Path::new("/nowhere/at/all/lobar.db")).await.is_err());
}
