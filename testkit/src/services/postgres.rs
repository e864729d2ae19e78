//! PostgreSQL: one cluster a test process, one database a test.
//!
//! The cluster keeps nothing for good (`fsync` is off): what a test kills is the server, not the machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};
use tokio::sync::OnceCell;

use super::{Server, free_port, root};
use crate::preload::Disk;
use crate::workspace;

/// How long a server may take to answer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The database that others are copied from: this release's schema, and nothing in it.
const TEMPLATE: &str = "lobar_template";

/// One for all tests of the process; a guard outside ends it.
static SHARED: OnceCell<Arc<Cluster>> = OnceCell::const_new();

/// A PostgreSQL server of its own.
pub struct Cluster {
    server: Server,
    port: u16,
    databases: AtomicU32,
    /// When it is one that can be full.
    disk: Option<Disk>,
}

/// A database of its own, dropped with this value.
pub struct Database {
    cluster: Arc<Cluster>,
    name: String,
}

impl Cluster {
    /// The cluster that the tests of this process share. It is not to be stopped.
    pub async fn shared() -> Arc<Self> {
        SHARED.get_or_init(|| Self::start(&[])).await.clone()
    }

    /// A cluster of one's own, with further settings (`name=value`), that may be stopped, killed and
    /// started again.
    pub async fn start(settings: &[&str]) -> Arc<Self> {
        Self::start_on(settings, |_| None).await
    }

    /// The same on a disk that can be full: see [`Self::fill_disk`].
    pub async fn start_on_a_disk() -> Arc<Self> {
        Self::start_on(&[], |folder| Some(Disk::new(folder))).await
    }

    async fn start_on(settings: &[&str], disk: impl FnOnce(&Path) -> Option<Disk>) -> Arc<Self> {
        let folder =
            tempfile::Builder::new().prefix("lobar-pg-").tempdir().expect("a folder").keep();
        if root() {
            run(Command::new("chown").arg("postgres:postgres").arg(&folder));
        }
        let data = folder.join("data");
        run(as_postgres(&program("initdb")).arg("-D").arg(&data).args([
            "-U",
            "postgres",
            "--auth=trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]));
        let port = free_port();
        let disk = disk(&folder);
        let mut command: Vec<String> = Vec::new();
        if root() {
            command.extend(AS_POSTGRES.map(str::to_owned));
        }
        // Who becomes another user takes no environment along.
        if let Some(disk) = &disk {
            let set = |(name, value): (&str, &Path)| format!("{name}={}", value.display());
            command.push("env".to_owned());
            command.extend(disk.environment().map(set));
        }
        command.push(program("postgres").display().to_string());
        let (data, folder_text) = (data.display().to_string(), folder.display().to_string());
        let port_text = port.to_string();
        let options = ["-D", &data, "-h", "127.0.0.1", "-p", &port_text, "-k", &folder_text];
        command.extend(options.map(str::to_owned));
        for setting in
            ["fsync=off", "full_page_writes=off", "max_connections=300"].iter().chain(settings)
        {
            command.extend(["-c".to_owned(), (*setting).to_owned()]);
        }
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        // INT is the fast way: it does not wait for clients to leave.
        let server = Server::new(folder, &command, &[]).stopped_by("INT");
        server.start();
        let cluster = Arc::new(Self { server, port, databases: AtomicU32::new(0), disk });
        cluster.wait_until_it_answers().await;
        cluster.sql("postgres", &format!("create database {TEMPLATE}"));
        let migrations = Migrator::new(workspace().join("migrations/postgres")).await;
        let mut template = PgConnection::connect(&cluster.url(TEMPLATE)).await.expect("connected");
        let migrations = migrations.expect("migrations");
        // Not `run`: over `Acquire` the compiler cannot tell that this future is `Send`.
        migrations.run_direct(None, &mut template, false).await.expect("the template's schema");
        template.close().await.expect("closed");
        cluster
    }

    /// A database that nobody has used, with this release's schema.
    pub fn database(self: &Arc<Self>) -> Database {
        self.create(&format!(" template {TEMPLATE}"))
    }

    /// A database without anything in it.
    pub fn empty_database(self: &Arc<Self>) -> Database {
        self.create("")
    }

    fn create(self: &Arc<Self>, how: &str) -> Database {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::SeqCst));
        self.sql("postgres", &format!("create database {name}{how}"));
        Database { cluster: self.clone(), name }
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it keeps its files; its log is the file `log`.
    pub fn folder(&self) -> &Path {
        self.server.folder()
    }

    /// Asks it to end; open connections are ended.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// SIGKILL to the server; its processes follow as soon as they notice.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Starts it again on the same data and port, and waits until it answers. After a kill, what is left
    /// of the old one may have to go first.
    pub async fn start_again(&self) {
        let began = Instant::now();
        loop {
            self.server.start();
            if self.answers_within(Duration::from_secs(5)).await {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "PostgreSQL: {}", self.server.log());
            self.server.stop();
        }
    }

    /// Makes the disk full, or gives it room: files get no longer, and can be written over.
    ///
    /// # Panics
    /// When the cluster was not started by [`Self::start_on_a_disk`].
    pub async fn fill_disk(&self, full: bool) {
        self.disk.as_ref().expect("a disk that can be full").fill(full);
        // A server that could not write its log has given up and may not have come back.
        if !full && !self.answers_within(Duration::from_secs(5)).await {
            self.server.stop();
            self.start_again().await;
        }
    }

    /// Runs a statement in a database and answers what `psql` prints of it, without decoration.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let mut psql = Command::new(program("psql"));
        psql.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres"]);
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            database,
            "-c",
            statement,
        ]);
        run(&mut psql)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    async fn wait_until_it_answers(&self) {
        assert!(self.answers_within(PATIENCE).await, "PostgreSQL: {}", self.server.log());
    }

    async fn answers_within(&self, patience: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < patience {
            let asked = Command::new(program("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status();
            if asked.expect("pg_isready runs").success() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        false
    }
}

impl Database {
    /// As settings name it.
    pub fn url(&self) -> String {
        self.cluster.url(&self.name)
    }

    /// As settings name it, behind something that listens on another port of this machine.
    pub fn url_through(&self, port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/{}?sslmode=disable", self.name)
    }

    /// Runs a statement in it: see [`Cluster::sql`].
    pub fn sql(&self, statement: &str) -> String {
        self.cluster.sql(&self.name, statement)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it lives.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let mut psql = Command::new(program("psql"));
        psql.args(["-h", "127.0.0.1", "-p", &self.cluster.port.to_string(), "-U", "postgres"]);
        psql.args(["-X", "-q", "-d", "postgres", "-c"]);
        psql.arg(format!("drop database {} with (force)", self.name));
        // A server that a test has stopped takes it along.
        let _ = psql.output();
    }
}

/// PostgreSQL refuses to run as root.
const AS_POSTGRES: [&str; 5] =
    ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--reset-env"];

fn as_postgres(program: &Path) -> Command {
    if !root() {
        return Command::new(program);
    }
    let mut command = Command::new(AS_POSTGRES[0]);
    command.args(&AS_POSTGRES[1..]).arg(program);
    command
}

/// A program of PostgreSQL's: the distribution's newest, or one on the path.
fn program(name: &str) -> PathBuf {
    let version = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok())
    };
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = folders.map(|folder| folder.path()).collect();
    versions.sort_by_key(version);
    let programs = versions.iter().rev().map(|folder| folder.join("bin").join(name));
    programs.into_iter().find(|path| path.exists()).unwrap_or_else(|| PathBuf::from(name))
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (told, wrong) = (
        String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success(), "{command:?}: {told} {wrong}");
    told
}
