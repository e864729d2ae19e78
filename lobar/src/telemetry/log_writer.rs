//! Where log lines go: a bounded queue, and a thread that writes it to standard error.
//!
//! What cannot be written is dropped and counted. A full disk under a redirected log, or a reader of a pipe
//! that stopped reading, must not stop the service that logs.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use prometheus::{IntCounter, Registry};
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait to be written, of some 200 bytes each.
const ROOM: usize = 4096;
/// How long the last lines may take when the process ends.
const FLUSH: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Takes lines without ever waiting. Cloning shares the thread.
#[derive(Clone)]
pub struct LogWriter {
    messages: SyncSender<Message>,
    dropped: IntCounter,
}

impl LogWriter {
    /// Starts the thread that writes to `output`.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (messages, waiting) = sync_channel(ROOM);
        let help =
            "Log lines that were dropped: standard error could not be written, or not fast enough.";
        let dropped = IntCounter::new("lobar_telemetry_log_lines_dropped_total", help)
            .map_err(io::Error::other)?;
        let counter = dropped.clone();
        let thread = thread::Builder::new().name("log".into());
        thread.spawn(move || write_all(&waiting, output, &counter))?;
        Ok(Self { messages, dropped })
    }

    /// Registers what it counts.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.dropped.clone()))
    }

    /// Waits until what was logged so far is written, for a second at most.
    pub fn flush(&self) {
        self.flush_within(FLUSH);
    }

    fn flush_within(&self, time: Duration) {
        let (written, done) = sync_channel(1);
        // A full queue means that nobody writes: there is nothing to wait for.
        if self.messages.try_send(Message::Flush(written)).is_ok() {
            let _ = done.recv_timeout(time);
        }
    }
}

/// One call is one line: that is how `tracing_subscriber::fmt` writes.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.messages.try_send(Message::Line(line.to_vec())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.dropped.inc(),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Writes until nobody logs any more, and says how many lines are missing as soon as that can be written.
fn write_all(waiting: &Receiver<Message>, mut output: impl Write, dropped: &IntCounter) {
    let mut told = 0;
    for message in waiting {
        match message {
            Message::Line(line) => {
                let missing = dropped.get();
                if missing > told && tell(&mut output, missing - told).is_ok() {
                    told = missing;
                }
                if output.write_all(&line).is_err() {
                    dropped.inc();
                }
            }
            Message::Flush(written) => {
                let _ = output.flush();
                let _ = written.send(());
            }
        }
    }
}

fn tell(output: &mut impl Write, missing: u64) -> io::Result<()> {
    writeln!(output, "lobar: {missing} log lines were dropped: they could not be written")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// As long as a busy machine may take.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// An output whose disk can be full, and whose reader can be frozen.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<Content>>);

    #[derive(Default)]
    struct Content {
        text: Vec<u8>,
        is_full: bool,
    }

    impl Disk {
        fn set_full(&self, is_full: bool) {
            self.0.lock().expect("whole").is_full = is_full;
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("whole").text.clone()).expect("text")
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut content = self.0.lock().expect("whole");
            if content.is_full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            content.text.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_cannot_be_written_are_dropped_counted_and_told_once_there_is_room() {
        let disk = Disk::default();
        let mut log = LogWriter::start(disk.clone()).expect("a thread");
        log.write_all(b"first\n").expect("never fails");
        log.flush_within(PATIENCE);
        disk.set_full(true);
        log.write_all(b"second\n").expect("never fails");
        log.write_all(b"third\n").expect("never fails");
        log.flush_within(PATIENCE);
        assert_eq!(log.dropped.get(), 2);
        disk.set_full(false);
        log.write_all(b"fourth\n").expect("never fails");
        log.flush_within(PATIENCE);
        let told = "lobar: 2 log lines were dropped: they could not be written\n";
        assert_eq!(disk.text(), format!("first\n{told}fourth\n"));
    }

    #[test]
    fn nobody_waits_for_a_reader_that_stopped_reading() {
        let disk = Disk::default();
        let frozen = disk.0.lock().expect("whole");
        let mut log = LogWriter::start(disk.clone()).expect("a thread");
        // One line is in the writer's hand, `ROOM` wait.
        for _ in 0..ROOM + 10 {
            log.write_all(b"a line\n").expect("never fails");
        }
        assert!((9..=10).contains(&log.dropped.get()), "{}", log.dropped.get());
        drop(frozen);
    }
}
