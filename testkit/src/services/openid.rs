//! OpenID providers, private to a test: `oidc-provider` of npm, and one that lies as it is told.

use std::time::{Duration, Instant};

use super::Server;
use crate::{node_packages, workspace};

const START: Duration = Duration::from_secs(60);

/// A provider under `http://localhost:PORT`: another site than `http://127.0.0.1`, as browsers count. Ended when dropped.
pub struct OpenidProvider {
    server: Server,
    port: u16,
}

impl OpenidProvider {
    /// The real one, whose client `lobar` is at this address. It is not started.
    pub fn new(port: u16, client: &str) -> Self {
        Self::of("provider.mjs", port, &format!(r#"{{"port":{port},"client":"{client}"}}"#))
    }

    /// The one that lies. It is not started.
    pub fn forger(port: u16) -> Self {
        Self::of("forger.mjs", port, &format!(r#"{{"port":{port}}}"#))
    }

    fn of(program: &str, port: u16, settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let packages = node_packages(".provider");
        let node = packages.join("bin/node").display().to_string();
        let program = workspace().join("tests/provider").join(program).display().to_string();
        let packages = packages.display().to_string();
        let command = [node.as_str(), &program, &packages, settings];
        Self { server: Server::new(folder, &command, &[]), port }
    }

    /// Starts it, and waits until it answers.
    pub async fn start(&self) {
        self.server.start();
        let began = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            assert!(began.elapsed() < START, "no provider; its log:\n{}", self.server.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stops it. It can be started again, and has another key then.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// What it said.
    pub fn log(&self) -> String {
        self.server.log()
    }
}
