//! The contracts of the store, of the queue, of the model registry, of verdicts, of the quarantine, of accounts and of
//! the audit record, on PostgreSQL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lobar_core::access::Grants;
use lobar_core::accounts::{Accounts, NewToken, SecretHash};
use lobar_core::audit::Audit;
use lobar_core::event::Seq;
use lobar_core::model_registry::ModelRegistry;
use lobar_core::quarantine::Quarantine;
use lobar_core::queue::{Outgoing, Queue};
use lobar_core::reading::UnreadableCounts;
use lobar_core::store::Store;
use lobar_core::time::{Clock, ManualClock, Stamp};
use lobar_core::verdict::Verdicts;
use lobar_sql::postgres::{self, PgStore};
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
use lobar_testkit::services::postgres::{Cluster, Database};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::Mutex;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database, opened several times as several processes would.
struct Opened {
    database: Database,
    clock: ManualClock,
    open: Mutex<Vec<Arc<PgStore>>>,
}

impl Opened {
    async fn new() -> Self {
        Self {
            database: Cluster::shared().await.database(),
            clock: ManualClock::new(Stamp(1_700_000_000_000_000)),
            open: Mutex::default(),
        }
    }

    /// As another process would.
    async fn database(&self) -> Arc<PgStore> {
        let clock = Arc::new(self.clock.clone());
        let database = Arc::new(postgres::open(&self.database.url(), clock).await.expect("opens"));
        self.open.lock().await.push(database.clone());
        database
    }

    async fn queue(&self, name: &str) -> Arc<dyn Queue> {
        Arc::new(postgres::PgQueue::new(self.database().await, name))
    }

    /// Runs a statement beside the adapter, without the schema's checks.
    fn damage(&self, statement: &str) {
        const UNCHECKED: &str = "do $$ declare one record; begin
            for one in select conrelid::regclass as its, conname from pg_constraint
              where contype = 'c' and connamespace = 'public'::regnamespace loop
              execute format('alter table %s drop constraint %I', one.its, one.conname);
            end loop; end $$; ";
        self.database.sql(&(UNCHECKED.to_owned() + statement));
    }

    async fn close(&self) {
        for database in self.open.lock().await.drain(..) {
            database.close().await;
        }
    }
}

struct OwnStore(Opened);

#[async_trait]
impl StoreHarness for OwnStore {
    async fn start() -> Self {
        Self(Opened::new().await)
    }

    async fn open(&self) -> Arc<dyn Store> {
        self.0.database().await
    }

    async fn reopen(&self) -> Arc<dyn Store> {
        self.0.close().await;
        self.open().await
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    async fn damage(&self, statement: &str) {
        self.0.damage(statement);
    }

    async fn lose_events(&self, after: Seq) {
        let lost = format!(
            "delete from event where seq > {0}; select setval('event_seq_seq', {0})",
            after.0
        );
        self.0.database.sql(&lost);
    }
}

struct OwnRegistry(Opened);

#[async_trait]
impl ModelRegistryHarness for OwnRegistry {
    async fn start() -> Self {
        Self(Opened::new().await)
    }

    async fn open(&self) -> Arc<dyn ModelRegistry> {
        self.0.database().await
    }

    async fn reopen(&self) -> Arc<dyn ModelRegistry> {
        self.0.close().await;
        self.open().await
    }

    async fn images(&self) -> (Arc<dyn Store>, Arc<dyn Verdicts>) {
        (self.0.database().await, self.0.database().await)
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    async fn damage(&self, statement: &str) {
        self.0.damage(statement);
    }
}

struct OwnVerdicts(Opened);

#[async_trait]
impl VerdictHarness for OwnVerdicts {
    async fn start() -> Self {
        Self(Opened::new().await)
    }

    async fn open(&self) -> (Arc<dyn Store>, Arc<dyn Verdicts>) {
        (self.0.database().await, self.0.database().await)
    }

    async fn reopen(&self) -> (Arc<dyn Store>, Arc<dyn Verdicts>) {
        self.0.close().await;
        self.open().await
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    async fn damage(&self, statement: &str) {
        self.0.damage(statement);
    }
}

struct OwnExposures(Opened);

#[async_trait]
impl ExposureHarness for OwnExposures {
    async fn start() -> Self {
        Self(Opened::new().await)
    }

    async fn open(&self) -> Ports {
        let database = self.0.database().await;
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

struct OwnWorklist(Opened);

#[async_trait]
impl WorklistHarness for OwnWorklist {
    async fn start() -> Self {
        Self(Opened::new().await)
    }

    async fn open(&self) -> OnWorklist {
        let database = self.0.database().await;
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
        self.0.damage(statement);
    }
}

struct OwnQuarantine(Opened);

#[async_trait]
impl QuarantineHarness for OwnQuarantine {
    async fn start() -> Self {
        Self(Opened::new().await)
    }

    async fn open(&self) -> (Arc<dyn Store>, Arc<dyn Quarantine>) {
        (self.0.database().await, self.0.database().await)
    }

    async fn reopen(&self) -> (Arc<dyn Store>, Arc<dyn Quarantine>) {
        self.0.close().await;
        self.open().await
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    async fn damage(&self, statement: &str) {
        self.0.damage(statement);
    }
}

struct OwnAccounts(Opened);

#[async_trait]
impl AccountsHarness for OwnAccounts {
    async fn start() -> Self {
        Self(Opened::new().await)
    }

    async fn open(&self) -> (Arc<dyn Accounts>, Arc<dyn UnreadableCounts>) {
        let database = self.0.database().await;
        (database.clone(), database)
    }

    async fn reopen(&self) -> Arc<dyn Accounts> {
        self.0.close().await;
        self.0.database().await
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
        self.0.damage(statement);
    }
}

/// A queue beside another queue with messages.
struct SharedQueue(Opened);

#[async_trait]
impl QueueHarness for SharedQueue {
    const LEASE: Duration = Duration::from_secs(30);

    async fn start() -> Self {
        let opened = Opened::new().await;
        let neighbour = opened.queue("jobs-stat").await;
        let messages = (0..10).map(|n| Outgoing::now(n.to_string())).collect();
        assert!(neighbour.send(messages).await.iter().all(Result::is_ok));
        Self(opened)
    }

    async fn open(&self) -> Arc<dyn Queue> {
        self.0.queue("uploads").await
    }

    async fn reopen(&self) -> Arc<dyn Queue> {
        self.0.close().await;
        self.open().await
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    async fn dead_trace(&self) -> Option<String> {
        let kept = "select trace from message where dead_reason is not null";
        let trace = self.0.database.sql(kept).trim().to_owned();
        (!trace.is_empty()).then_some(trace)
    }
}

struct OwnAudit(Opened);

#[async_trait]
impl AuditHarness for OwnAudit {
    async fn start() -> Self {
        Self(Opened::new().await)
    }

    async fn open(&self) -> (Arc<dyn Store>, Arc<dyn Audit>) {
        (self.0.database().await, self.0.database().await)
    }

    async fn reopen(&self) -> (Arc<dyn Store>, Arc<dyn Audit>) {
        self.0.close().await;
        self.open().await
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    async fn refusal(&self, statement: &str) -> Option<String> {
        let mut connection = PgConnection::connect(&self.0.database.url()).await.expect("connects");
        let answer = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        let answer = answer.execute(&mut connection).await;
        connection.close().await.expect("closes");
        answer.err().map(|error| error.to_string())
    }

    async fn tamper(&self, statement: &str) {
        let unguarded = "alter table audit disable trigger user; ";
        self.0.damage(&(unguarded.to_owned() + statement));
    }
}

struct OwnErasure(Opened);

#[async_trait]
impl ErasureHarness for OwnErasure {
    async fn start() -> Self {
        Self(Opened::new().await)
    }

    async fn open(&self) -> Kept {
        let database = self.0.database().await;
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

struct OwnCommitments(Opened);

#[async_trait]
impl CommitmentsHarness for OwnCommitments {
    async fn start() -> Self {
        Self(Opened::new().await)
    }

    async fn open(&self) -> Handles {
        let database = self.0.database().await;
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
        self.0.damage(statement);
    }
}

struct OwnBatches(Opened);

#[async_trait]
impl BatchesHarness for OwnBatches {
    async fn start() -> Self {
        Self(Opened::new().await)
    }

    async fn open(&self) -> Uploads {
        let database = self.0.database().await;
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
        self.0.damage(statement);
    }
}

mod batches {
    lobar_testkit::batches_contract!(super::OwnBatches);
}

mod commitments {
    lobar_testkit::commitments_contract!(super::OwnCommitments);
}

mod erasure {
    lobar_testkit::erasure_contract!(super::OwnErasure);
}

mod studies {
    lobar_testkit::studies_contract!(super::OwnErasure);
}

mod audit {
    lobar_testkit::audit_contract!(super::OwnAudit);
}

mod store {
    lobar_testkit::store_contract!(super::OwnStore);
    lobar_testkit::store_model!(super::OwnStore);
}

mod registry {
    lobar_testkit::registry_contract!(super::OwnRegistry);
}

mod verdicts {
    lobar_testkit::verdict_contract!(super::OwnVerdicts);
}

mod worklist {
    lobar_testkit::worklist_contract!(super::OwnWorklist);
}

mod exposures {
    lobar_testkit::exposure_contract!(super::OwnExposures);
}

mod quarantine {
    lobar_testkit::quarantine_contract!(super::OwnQuarantine);
}

mod accounts {
    lobar_testkit::accounts_contract!(super::OwnAccounts);
}

mod queue {
    lobar_testkit::queue_contract!(super::SharedQueue);
    lobar_testkit::queue_model!(super::SharedQueue);
    lobar_testkit::queue_turns!(super::SharedQueue);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_in_another_process_is_told_of_a_message() {
    const ROUNDS: usize = 20;
    let opened = Opened::new().await;
    let here = opened.queue("uploads").await;
    // By looking alone it would hear of nothing.
    let there = postgres::PgQueue::new(opened.database().await, "uploads");
    let there = Arc::new(there.looking_every(PATIENCE * 2));
    for round in 0..ROUNDS {
        let receiving = {
            let there = there.clone();
            tokio::spawn(async move {
                let lease = Duration::from_secs(30);
                there.receive(1, PATIENCE, lease).await.expect("received").len()
            })
        };
        // It waits by now, or it will find the message when it looks: both are quick.
        tokio::time::sleep(Duration::from_millis(20)).await;
        here.send(vec![Outgoing::now("a")]).await.remove(0).expect("sent");
        assert_eq!(receiving.await.expect("ended"), 1, "round {round}");
    }
    opened.close().await;
}

/// A server that was made read-only, as one is whose disk runs full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_read_only_takes_no_changes_and_shuts_no_machine_out() {
    const ONLY_READ: &str = "do $$ begin execute format('alter database %I set
        default_transaction_read_only = on', current_database()); end $$";
    const BEGIN_ANEW: &str = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()";
    let opened = Opened::new().await;
    let store = opened.database().await;
    store.check().await.expect("it takes changes");
    let secret = SecretHash([7; 32]);
    let token =
        NewToken { name: "viewer".into(), grants: Grants::default(), secret, expires_at: None };
    let token = store.add_token(&token).await.expect("added");
    opened.database.sql(ONLY_READ);
    opened.database.sql(BEGIN_ANEW);
    // The first to ask may meet connections that have ended.
    let began = Instant::now();
    loop {
        let refused = store.check().await.expect_err("it takes no changes");
        if format!("{refused:?}").contains("25006") {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{refused:?}");
    }
    // The first to ask may meet a connection that has ended, here too. Its use is not noted.
    let found = loop {
        match store.token(&secret).await {
            Ok(found) => break found,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error:?}"),
        }
    };
    assert_eq!(found, Some(token));
    opened.close().await;
}

#[tokio::test]
async fn an_error_never_shows_the_password() {
    let cluster = Cluster::shared().await;
    for url in [
        format!("postgres://lobar:secret@127.0.0.1:{}/nowhere", cluster.port()),
        "postgres://lobar:secret@127.0.0.1:1/nowhere".to_owned(),
        "postgres://lobar:secret@127.0.0.1:many/nowhere".to_owned(),
        "postgresql://lobar:secret@127.0.0.1:1/nowhere?sslmode=secret".to_owned(),
    ] {
        let refused = postgres::open(&url, Arc::new(ManualClock::new(Stamp(0))))
            .await
            .err()
            .expect("refused");
        let text = format!("{refused} {refused:?}");
        assert!(!text.contains("secret"), "{text}");
    }
}
