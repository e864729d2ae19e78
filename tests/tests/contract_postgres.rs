//! The contracts of the store, of the queue, of the model registry and of verdicts, on PostgreSQL.
#![allow(clippy::disallowed_methods)] // the tasks that a test spawns end before it does
#![allow(clippy::print_stdout)] // the figure is to be read

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lobar_adapters::opener::Opener;
use lobar_core::queue::{Outgoing, Queue};
use lobar_core::registry::Registry;
use lobar_core::store::Store;
use lobar_core::time::{ManualClock, Stamp};
use lobar_core::verdict::Verdicts;
use lobar_tests::contract::queue::QueueHarness;
use lobar_tests::contract::registry::RegistryHarness;
use lobar_tests::contract::store::StoreHarness;
use lobar_tests::contract::verdict::VerdictHarness;
use lobar_tests::services::postgres::{Cluster, Database};
use tokio::sync::Mutex;

/// A database, opened several times as several processes would.
struct Opened {
    database: Database,
    clock: ManualClock,
    openers: Mutex<Vec<Opener>>,
}

impl Opened {
    async fn new() -> Self {
        Self {
            database: Cluster::shared().await.database(),
            clock: ManualClock::new(Stamp(1_700_000_000_000_000)),
            openers: Mutex::default(),
        }
    }

    async fn store(&self) -> Arc<dyn Store> {
        let opener = Opener::new(Arc::new(self.clock.clone()));
        let store = opener.store("store", &self.database.url()).await.expect("a store");
        self.openers.lock().await.push(opener);
        store
    }

    async fn registry(&self) -> Arc<dyn Registry> {
        let opener = Opener::new(Arc::new(self.clock.clone()));
        let registry = opener.registry("store", &self.database.url()).await.expect("a registry");
        self.openers.lock().await.push(opener);
        registry
    }

    async fn verdicts(&self) -> Arc<dyn Verdicts> {
        let opener = Opener::new(Arc::new(self.clock.clone()));
        let verdicts = opener.verdicts("store", &self.database.url()).await.expect("verdicts");
        self.openers.lock().await.push(opener);
        verdicts
    }

    async fn queue(&self, name: &str) -> Arc<dyn Queue> {
        let opener = Opener::new(Arc::new(self.clock.clone()));
        let queue = opener.queue("uploads", &self.database.url(), name).await.expect("a queue");
        self.openers.lock().await.push(opener);
        queue
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
        for opener in self.openers.lock().await.drain(..) {
            opener.close().await;
        }
    }
}

struct PgStore(Opened);

#[async_trait]
impl StoreHarness for PgStore {
    async fn start() -> Self {
        Self(Opened::new().await)
    }

    async fn open(&self) -> Arc<dyn Store> {
        self.0.store().await
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
}

struct PgRegistry(Opened);

#[async_trait]
impl RegistryHarness for PgRegistry {
    async fn start() -> Self {
        Self(Opened::new().await)
    }

    async fn open(&self) -> Arc<dyn Registry> {
        self.0.registry().await
    }

    async fn reopen(&self) -> Arc<dyn Registry> {
        self.0.close().await;
        self.open().await
    }

    async fn images(&self) -> (Arc<dyn Store>, Arc<dyn Verdicts>) {
        (self.0.store().await, self.0.verdicts().await)
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    async fn damage(&self, statement: &str) {
        self.0.damage(statement);
    }
}

struct PgVerdicts(Opened);

#[async_trait]
impl VerdictHarness for PgVerdicts {
    async fn start() -> Self {
        Self(Opened::new().await)
    }

    async fn open(&self) -> (Arc<dyn Store>, Arc<dyn Verdicts>) {
        (self.0.store().await, self.0.verdicts().await)
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

/// A queue beside another queue with messages.
struct PgQueue(Opened);

#[async_trait]
impl QueueHarness for PgQueue {
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
}

mod store {
    lobar_tests::store_contract!(super::PgStore);
    lobar_tests::store_model!(super::PgStore);
}

mod registry {
    lobar_tests::registry_contract!(super::PgRegistry);
}

mod verdicts {
    lobar_tests::verdict_contract!(super::PgVerdicts);
}

mod queue {
    lobar_tests::queue_contract!(super::PgQueue);
    lobar_tests::queue_model!(super::PgQueue);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_in_another_process_hears_of_a_message_at_once() {
    const ROUNDS: usize = 20;
    let opened = Opened::new().await;
    let (here, there) = (opened.queue("uploads").await, opened.queue("uploads").await);
    let mut waits = Vec::new();
    // The first rounds may come before the listener is connected.
    while waits.len() < ROUNDS + 5 {
        let receiving = {
            let there = there.clone();
            tokio::spawn(async move {
                let lease = Duration::from_secs(30);
                there.receive(1, Duration::from_secs(30), lease).await.expect("received").len()
            })
        };
        // It waits by now, or it will find the message when it looks: both are quick.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let sent = Instant::now();
        here.send(vec![Outgoing::now("a")]).await.remove(0).expect("sent");
        assert_eq!(receiving.await.expect("ended"), 1);
        waits.push(sent.elapsed());
    }
    let mut waits = waits.split_off(5);
    waits.sort();
    println!(
        "another process hears after: median {:?}, worst {:?}",
        waits[ROUNDS / 2],
        waits[ROUNDS - 1]
    );
    // By looking alone it would be a tenth of a second on average.
    assert!(waits[ROUNDS / 2] < Duration::from_millis(80), "{waits:?}");
    opened.close().await;
}

#[tokio::test]
async fn an_error_never_shows_the_password() {
    let cluster = Cluster::shared().await;
    let opener = Opener::new(Arc::new(ManualClock::new(Stamp(0))));
    for url in [
        format!("postgres://lobar:secret@127.0.0.1:{}/nowhere", cluster.port()),
        "postgres://lobar:secret@127.0.0.1:1/nowhere".to_owned(),
        "postgres://lobar:secret@127.0.0.1:many/nowhere".to_owned(),
        "postgresql://lobar:secret@127.0.0.1:1/nowhere?sslmode=secret".to_owned(),
    ] {
        let refused = opener.store("store", &url).await.err().expect("refused");
        let text = format!("{refused} {refused:?}");
        assert!(text.contains("store") && !text.contains("secret"), "{text}");
    }
}
