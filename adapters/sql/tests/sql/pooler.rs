//! PgBouncer between us and the server (`apt-get install pgbouncer`).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lobar_core::diagnostic::Severity;
use lobar_core::queue::{Outgoing, Queue};
use lobar_core::time::SystemClock;
use lobar_sql::postgres::{self, PgQueue};
use lobar_testkit::services::postgres::{Cluster, Database};
use lobar_testkit::services::{free_port, root};
use sqlx::{Connection, PgConnection};

const PATIENCE: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_secs(60);

/// A PgBouncer in front of a database. Ended when dropped.
struct PgBouncer {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl PgBouncer {
    async fn before(cluster: &Cluster, database: &Database, mode: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (port, server) = (free_port(), cluster.port());
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = {mode}\ndefault_pool_size = 50\n\
             ignore_startup_parameters = extra_float_digits\n"
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).expect("written");
        let mut command = Command::new("pgbouncer");
        if root() {
            // It refuses to run as root.
            open_to_all(folder.path());
            command.args(["--user", "nobody"]);
        }
        let child = command.arg("--quiet").arg(&file).stderr(Stdio::null()).spawn();
        let child = child.expect("pgbouncer is on the path");
        let bouncer = Self { child, url: database.url_through(port), _folder: folder };
        let began = Instant::now();
        while PgConnection::connect(&bouncer.url).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "PgBouncer does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bouncer
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("set");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs pgbouncer on the path"]
async fn a_pooler_that_gives_each_transaction_to_another_server_is_refused_by_name() {
    let cluster = Cluster::shared().await;
    let database = cluster.database();
    for mode in ["transaction", "statement"] {
        let bouncer = PgBouncer::before(&cluster, &database, mode).await;
        let refused = postgres::open(&bouncer.url, Arc::new(SystemClock)).await;
        let refused = refused.err().expect("refused");
        assert!(!refused.is_transient(), "it would be waited for: {refused}");
        let told = lobar_core::failure::chain(&refused);
        assert!(told.contains("pool_mode = session"), "{told}");
        let found = postgres::examine("store", &bouncer.url).await;
        let fault = found.iter().find(|one| one.what == "store: a pooler in between");
        assert_eq!(fault.expect("told").verdict, Severity::Fault, "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs pgbouncer on the path"]
async fn a_pooler_of_sessions_serves_as_the_server_itself() {
    let cluster = Cluster::shared().await;
    let database = cluster.database();
    let bouncer = PgBouncer::before(&cluster, &database, "session").await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let opened = postgres::open(&bouncer.url, Arc::new(SystemClock)).await;
        open.push(Arc::new(opened.expect("opens")));
    }
    let queues: Vec<_> = open.iter().map(|db| PgQueue::new(db.clone(), "jobs")).collect();
    for n in 0..50 {
        queues[0].send(vec![Outgoing::now(n.to_string())]).await.remove(0).expect("sent");
        let taken = queues[1].receive(1, PATIENCE, LEASE).await.expect("received");
        assert_eq!(taken.len(), 1);
    }
    let found = postgres::examine("store", &bouncer.url).await;
    assert!(found.iter().all(|one| one.verdict != Severity::Fault), "{found:?}");
    for db in open {
        db.close().await;
    }
}

#[tokio::test]
async fn a_server_itself_is_taken_for_no_pooler() {
    let database = Cluster::shared().await.database();
    let found = postgres::examine("store", &database.url()).await;
    assert!(found.iter().all(|one| one.verdict != Severity::Fault), "{found:?}");
    assert!(found.iter().any(|one| one.what == "store: schema"), "{found:?}");
}
