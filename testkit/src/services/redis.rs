//! Redis: one server a test process, one database a test.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use super::{Server, free_port};

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);
/// Databases of a server, more than there are tests.
const DATABASES: &str = "4096";

/// A server of its own, for tests that stop it; it keeps nothing over an end.
pub struct RedisServer {
    /// Where it listens, also after a new start.
    pub address: SocketAddr,
    server: Server,
    used: AtomicUsize,
}

impl RedisServer {
    /// Starts one that holds nothing.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with further words on its command line.
    pub async fn start_with(more: &[&str]) -> Self {
        loop {
            let folder = tempfile::Builder::new().prefix("lobar-redis-").tempdir();
            let folder = folder.expect("a folder").keep();
            let port = free_port();
            let (words, dir) = (port.to_string(), folder.display().to_string());
            let mut command = vec!["redis-server", "--port", &words, "--bind", "127.0.0.1"];
            command.extend(["--dir", &dir, "--databases", DATABASES]);
            command.extend(["--save", "", "--appendonly", "no"]);
            command.extend(more);
            let server = Server::new(folder, &command, &[]);
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let redis = Self { address, server, used: AtomicUsize::new(0) };
            redis.server.start();
            if redis.answers().await {
                return redis;
            }
            // Somebody else was quicker to take the port.
            let log = redis.server.log();
            assert!(log.contains("Address already in use"), "no Redis; its log:\n{log}");
        }
    }

    /// The URL of a database that nobody has used.
    pub fn url(&self) -> String {
        let database = self.used.fetch_add(1, Ordering::Relaxed);
        format!("redis://{}/{database}", self.address)
    }

    /// Makes it forget everything.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn flush(&self) {
        let mut stream = TcpStream::connect(self.address).await.expect("connected");
        stream.write_all(b"FLUSHALL\r\n").await.expect("written");
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).await.expect("read");
        assert_eq!(&answer, b"+OK");
    }

    /// Asks it to end; it forgets everything.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// SIGKILL: no goodbye.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Starts it anew on its port; answers when it does.
    pub async fn restart(&self) {
        self.server.start();
        assert!(self.answers().await, "no Redis; its log:\n{}", self.server.log());
    }

    /// Whether it answers before it gives up.
    async fn answers(&self) -> bool {
        let began = Instant::now();
        while began.elapsed() < START {
            if ping(self.address).await {
                return true;
            }
            if self.server.log().contains("Address already in use") {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }
}

/// Whether it answers, be it that it wants a password first.
async fn ping(address: SocketAddr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(b"PING\r\n").await.ok()?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.ok()?;
        Some(&answer == b"+PONG" || &answer == b"-NOAU")
    };
    let answer = tokio::time::timeout(Duration::from_secs(1), asked).await;
    answer.is_ok_and(|answer| answer == Some(true))
}

/// The server that the tests of this process share.
pub async fn shared() -> &'static RedisServer {
    static SHARED: OnceCell<RedisServer> = OnceCell::const_new();
    SHARED.get_or_init(RedisServer::start).await
}
