//! `lobar up` with its data on a disk that a test fills.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use lobar_tests::kit::{Lobar, executable};
use tempfile::TempDir;

use super::PATIENCE;

/// Mounts a tmpfs of `$1` on `$0` and becomes what follows.
const MOUNT: &str = r#"mount -t tmpfs -o size="$1" lobar "$0" && shift && exec "$@""#;

/// Bytes of a disk that is full from the start.
const DISK: u64 = 64 << 20;
/// The same on a disk that is full but for what a file of `$1` bytes leaves; it is removed, a minute later at most, once
/// there is `$0.room`.
const FULL: &str = r#"mount -t tmpfs -o size=64m lobar "$0" && fallocate -l "$1" "$0/filler" && {
    (n=0; until [ -e "$0.room" ] || [ $n = 600 ]; do n=$((n + 1)); sleep 0.1; done; rm "$0/filler") \
        </dev/null >/dev/null 2>&1 &
    shift; exec "$@"; }"#;

/// What `unshare` is told, so that what follows runs with `data` on a disk of `size` that nobody else sees.
fn on_a_disk<'a>(data: &'a Path, size: &'a str) -> Vec<&'a str> {
    let data = data.to_str().expect("text");
    vec!["--user", "--map-root-user", "--mount", "sh", "-c", MOUNT, data, size]
}

/// A system whose data folder is a disk of its own.
pub(super) struct SmallDisk {
    pub(super) lobar: Lobar,
    data: PathBuf,
    folder: TempDir,
}

impl SmallDisk {
    /// Starts it on a disk of `size`, as `mount` writes it.
    pub(super) fn of(size: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("made");
        let executable = executable();
        let mut arguments = on_a_disk(&data, size);
        arguments.extend([executable.to_str().expect("text"), "up"]);
        let lobar = Lobar::start(Path::new("unshare"), &arguments, &data);
        // As it is seen from outside.
        let root = PathBuf::from(format!("/proc/{}/root", lobar.pid()));
        let data = root.join(data.strip_prefix("/").expect("absolute"));
        Self { lobar, data, folder }
    }

    /// Takes every page that is free.
    pub(super) fn fill(&self) {
        let mut filler = File::create(self.data.join("filler")).expect("made");
        for size in [1 << 20, 4096] {
            let piece = vec![1; size];
            while filler.write_all(&piece).is_ok() {}
        }
    }

    /// Takes what has become free meanwhile.
    pub(super) fn fill_on(&self) {
        let filler = File::options().append(true).open(self.data.join("filler"));
        let mut filler = filler.expect("it is there");
        while filler.write_all(&[1; 4096]).is_ok() {}
    }

    /// Gives it all back.
    pub(super) fn free(&self) {
        std::fs::remove_file(self.data.join("filler")).expect("removed");
    }

    /// Another command of the executable's on the same data folder.
    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        let s3 = self.lobar.s3.trim_start_matches("http://");
        let mut command = Command::new("nsenter");
        command.args(["--user", "--mount", "--preserve-credentials", "--target"]);
        command.arg(self.lobar.pid().to_string()).arg(executable()).args(arguments);
        command.args(["--s3-listen", s3, "--data"]).arg(self.folder.path().join("data"));
        command.output().expect("it runs")
    }
}

/// Starts every role but the worker on a disk with so many bytes of room, and waits until it is ready; room comes once
/// the log says that there is none. Answers what was logged until then.
pub(super) async fn start_on_a_full_disk(bytes: u64) -> (Lobar, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, room) = (folder.path().join("data"), folder.path().join("data.room"));
    std::fs::create_dir(&data).expect("made");
    let (filler, log) = ((DISK - bytes).to_string(), data.with_extension("log"));
    let starting = tokio::task::spawn_blocking(move || {
        let executable = executable();
        let mut arguments = vec!["--user", "--map-root-user", "--mount", "sh", "-c", FULL];
        arguments.extend([data.to_str().expect("text"), &filler]);
        arguments.push(executable.to_str().expect("text"));
        arguments.extend(["run", "--signal", "poll:", "--roles", "s3,ingest,api"]);
        Lobar::start(Path::new("unshare"), &arguments, &data)
    });
    let began = Instant::now();
    let told = loop {
        let told = std::fs::read_to_string(&log).unwrap_or_default();
        if told.contains("the disk is full") {
            break told;
        }
        assert!(!starting.is_finished(), "it starts with {bytes} bytes of room: {told}");
        assert!(began.elapsed() < PATIENCE, "it says nothing: {told}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    File::create(room).expect("made");
    (starting.await.expect("started"), told)
}

pub(super) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}
