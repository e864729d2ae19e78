//! The executable, started as its user would start it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use lobar_aws::Credentials;

/// How long a start may take: loading and proving the network on a busy machine.
const START: Duration = Duration::from_secs(120);

/// The executable under test: `LOBAR_BIN`, or the debug build of this workspace.
pub fn executable() -> PathBuf {
    let built = || {
        // tests run from target/debug/deps
        let test = std::env::current_exe().expect("the test's own path");
        test.ancestors().nth(2).expect("target/debug").join("lobar")
    };
    let path = std::env::var_os("LOBAR_BIN").map_or_else(built, PathBuf::from);
    assert!(path.is_file(), "{} is missing: run `make test`, which builds it", path.display());
    path
}

/// The executable without libtorch: `LOBAR_NODE_BIN`, or `lobar-node` beside the other.
pub fn node_executable() -> PathBuf {
    let beside = || executable().with_file_name("lobar-node");
    let path = std::env::var_os("LOBAR_NODE_BIN").map_or_else(beside, PathBuf::from);
    assert!(path.is_file(), "{} is missing: run `make test`, which builds it", path.display());
    path
}

/// `lobar up` on free ports with data in a folder of the test's. Killed when dropped.
pub struct Lobar {
    child: Child,
    /// The page's address: `http://127.0.0.1:PORT`.
    pub page: String,
    /// The S3 endpoint's address.
    pub s3: String,
    /// The address of the DICOM role: `127.0.0.1:PORT`.
    pub dicom: String,
    /// The file of the S3 endpoint's key pair, as AWS's clients read it.
    pub credentials: PathBuf,
    /// What it said at its start, line by line.
    pub said: Vec<String>,
}

impl Lobar {
    /// Starts it and returns when it says that it is ready.
    pub fn up(data: &Path) -> Self {
        Self::start(&executable(), &["up"], data)
    }

    /// Starts `executable` with `arguments` on free ports and returns when it says that it is ready.
    pub fn start(executable: &Path, arguments: &[&str], data: &Path) -> Self {
        Self::start_with(executable, arguments, data, &[])
    }

    /// The same with settings in the environment.
    pub fn start_with(
        executable: &Path,
        arguments: &[&str],
        data: &Path,
        environment: &[(String, String)],
    ) -> Self {
        let log = data.with_extension("log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log);
        let log = log.expect("a log file");
        let mut command = Command::new(executable);
        command.args(arguments).arg("--data").arg(data);
        let mut listens = vec!["--listen", "--s3-listen"];
        // An older release knows no DICOM.
        let has_dicom = arguments.iter().any(|word| *word == "up" || word.contains("dicom"));
        listens.extend(has_dicom.then_some("--dicom-listen"));
        for listen in listens {
            if !arguments.contains(&listen) {
                command.args([listen, "127.0.0.1:0"]);
            }
        }
        let mut child = command
            .env("LOBAR_LOG", "info")
            // As on two cores, whatever the machine has: nothing is measured at the start.
            .env("LOBAR_REPLICAS", "2")
            // Drawn pictures are unlike X-rays, and shall be answered.
            .env("LOBAR_UNLIKE", "warn")
            // The key pair is the data folder's own, also for another process that works on it.
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY")
            .env("AWS_SHARED_CREDENTIALS_FILE", credentials(data))
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the executable starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (lines, told) = mpsc::sync_channel(64);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        let credentials = credentials(data);
        let (page, s3, dicom) = (String::new(), String::new(), String::new());
        let mut lobar = Self { child, page, s3, dicom, credentials, said: Vec::new() };
        loop {
            let line = told.recv_timeout(START).unwrap_or_else(|_| {
                let text = std::fs::read_to_string(data.with_extension("log")).unwrap_or_default();
                panic!("it did not become ready; its log ends:\n{}", tail(&text, 3000))
            });
            if let Ok(started) = serde_json::from_str::<serde_json::Value>(&line) {
                // With JSON chosen for the log it is one line.
                let told = |name: &str| started[name].as_str().unwrap_or_default().to_owned();
                (lobar.page, lobar.s3) = (told("page"), told("s3"));
                lobar.dicom = told("dicom").rsplit('@').next().unwrap_or_default().to_owned();
                lobar.said.push(line);
                return lobar;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["S3", url, ..] => lobar.s3 = url.to_owned(),
                ["DICOM", who] => {
                    lobar.dicom = who.rsplit('@').next().unwrap_or_default().to_owned();
                }
                ["page", url, ..] => lobar.page = url.to_owned(),
                // The statement of use comes last.
                ["Decision", "support", ..] => return lobar,
                _ => {}
            }
            lobar.said.push(line);
        }
    }

    /// The S3 endpoint's key pair.
    pub fn key_pair(&self) -> Credentials {
        let text = std::fs::read_to_string(&self.credentials).expect("the start made it");
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).expect("both halves");
            line.split_once('=').expect("name = value").1.trim().to_owned()
        };
        Credentials::new(value("aws_access_key_id"), value("aws_secret_access_key"))
    }

    /// SIGKILL: no goodbye.
    pub fn kill(mut self) {
        self.child.kill().expect("it was running");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM; the exit code.
    pub fn stop(mut self) -> i32 {
        self.begin_stop();
        self.child.wait().expect("it ends").code().unwrap_or(-1)
    }

    /// SIGTERM, without waiting for the end.
    pub fn begin_stop(&self) {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(told.success());
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

fn credentials(data: &Path) -> PathBuf {
    data.join("s3-credentials")
}

impl Drop for Lobar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tail(text: &str, bytes: usize) -> &str {
    let from = text.len().saturating_sub(bytes);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[from..]
}
