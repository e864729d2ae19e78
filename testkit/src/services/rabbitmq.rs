//! RabbitMQ: one broker a test process, names of its own a test; and brokers that a test may stop, kill
//! and starve.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use lapin::{Channel, Connection, ConnectionProperties};
use tokio::sync::OnceCell;

use super::{Server, free_port};

/// Where the package keeps the scripts themselves; the ones on the path switch user and drop the
/// environment.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";
/// How long one handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Long enough for a start on a busy machine.
const START: Duration = Duration::from_secs(120);

static SHARED: OnceCell<RabbitMq> = OnceCell::const_new();

/// A broker of this process's own.
pub struct RabbitMq {
    server: Server,
    port: u16,
    environment: Vec<(&'static str, String)>,
}

impl RabbitMq {
    /// The one that all tests of this process share.
    pub async fn shared() -> &'static RabbitMq {
        SHARED.get_or_init(Self::start).await
    }

    /// A new one, for tests that stop it.
    pub async fn start() -> Self {
        let (folder, port, environment) = prepare();
        let command = format!("{SCRIPTS}/rabbitmq-server");
        let borrowed: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let epmd = borrowed.iter().find(|(name, _)| *name == "ERL_EPMD_PORT").expect("set").1;
        let server = Server::new(folder, &[&command], &borrowed)
            .then(format!("epmd -port {epmd} -kill >/dev/null 2>&1"));
        server.start();
        let broker = Self { server, port, environment };
        broker.answers().await;
        broker
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.url_through(self.address())
    }

    /// Its URL through a proxy.
    pub fn url_through(&self, address: SocketAddr) -> String {
        format!("amqp://guest:guest@{address}/%2f")
    }

    /// A prefix of queue names that no other test has.
    pub fn prefix(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// A connection of the test's own, and a channel on it.
    pub async fn channel(&self) -> (Connection, Channel) {
        let connection = Connection::connect(&self.url(), ConnectionProperties::default())
            .await
            .expect("connected");
        let channel = connection.create_channel().await.expect("a channel");
        (connection, channel)
    }

    /// Stops it in order.
    pub async fn stop(&self) {
        tokio::task::block_in_place(|| self.server.stop());
    }

    /// Stops it without a goodbye.
    pub async fn kill(&self) {
        tokio::task::block_in_place(|| self.server.kill());
    }

    /// Starts it again on the same port with what it kept.
    pub async fn start_again(&self) {
        self.server.start();
        self.answers().await;
    }

    /// Runs `rabbitmqctl` and returns what it printed.
    pub async fn ctl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(format!("{SCRIPTS}/rabbitmqctl"));
        command.args(arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        let output = tokio::task::block_in_place(|| command.output()).expect("rabbitmqctl runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "rabbitmqctl {arguments:?}: {text}{error}");
        text
    }

    /// Raises the memory alarm, or takes it back: publishers are blocked, consumers are not.
    pub async fn starve(&self, starved: bool) {
        let watermark = if starved { "0" } else { "0.6" };
        self.ctl(&["set_vm_memory_high_watermark", watermark]).await;
    }

    /// Raises the disk alarm, or takes it back: publishers are blocked as by a full disk, consumers are not.
    pub async fn fill_disk(&self, full: bool) {
        self.ctl(&["set_disk_free_limit", if full { "900000GB" } else { "50MB" }]).await;
    }

    /// A handshake that a broker which is only just starting breaks off may never come to an end.
    async fn connect(&self) -> Result<Connection, String> {
        let url = self.url();
        let connecting = Connection::connect(&url, ConnectionProperties::default());
        match tokio::time::timeout(HANDSHAKE, connecting).await {
            Ok(connected) => connected.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no handshake within {HANDSHAKE:?}")),
        }
    }

    async fn answers(&self) {
        let started = Instant::now();
        while let Err(error) = self.connect().await {
            let waited = started.elapsed();
            assert!(
                waited < START,
                "RabbitMQ does not answer after {waited:?}: {error}\n{}",
                self.server.log()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A folder with its settings, its port and its environment.
fn prepare() -> (PathBuf, u16, Vec<(&'static str, String)>) {
    assert!(
        Path::new(SCRIPTS).join("rabbitmq-server").exists(),
        "rabbitmq-server is missing: `apt-get install rabbitmq-server`, or let `make test` do it"
    );
    let folder =
        tempfile::Builder::new().prefix("lobar-rabbitmq-").tempdir().expect("a folder").keep();
    let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
    let (port, distribution, epmd) = (ports[0], ports[1], ports[2]);
    let path = |name: &str| folder.join(name).display().to_string();
    let settings = format!(
        "listeners.tcp.1 = 127.0.0.1:{port}\n\
         loopback_users = none\n\
         disk_free_limit.absolute = 50MB\n\
         vm_memory_high_watermark.relative = 0.6\n\
         log.console = true\n\
         log.console.level = warning\n"
    );
    std::fs::write(folder.join("rabbitmq.conf"), settings).expect("settings");
    std::fs::write(folder.join("plugins"), "[].").expect("no plugins");
    let cookie = folder.join(".erlang.cookie");
    std::fs::write(&cookie, format!("LOBAR{port}")).expect("a cookie");
    std::fs::set_permissions(&cookie, std::fs::Permissions::from_mode(0o400)).expect("its mode");
    let environment = vec![
        ("HOME", folder.display().to_string()),
        ("RABBITMQ_NODENAME", format!("t{port}@localhost")),
        ("RABBITMQ_DIST_PORT", distribution.to_string()),
        ("ERL_EPMD_PORT", epmd.to_string()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
        ("RABBITMQ_MNESIA_BASE", path("mnesia")),
        ("RABBITMQ_LOG_BASE", path("logs")),
        ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins")),
        ("RABBITMQ_CONF_ENV_FILE", "/dev/null".into()),
        ("ERL_CRASH_DUMP", path("erl_crash.dump")),
        // Idle schedulers would otherwise spin on cores that the tests need.
        (
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
                .into(),
        ),
    ];
    (folder, port, environment)
}
