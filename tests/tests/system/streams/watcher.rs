//! A page that watches, on a socket of its own: no more memory than its last incomplete line.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use lobar_core::position::Position;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;

/// What all pages together have seen go wrong.
#[derive(Default)]
pub(super) struct Faults {
    /// Events that did not follow the one before.
    pub(super) gaps: AtomicU64,
    /// Streams that were refused.
    pub(super) refused: AtomicU64,
    /// Streams that ended and were opened again.
    pub(super) again: AtomicU64,
}

/// The number of the event at a position.
pub(super) fn seq(position: i64) -> i64 {
    Position::from_number(position).seq().0
}

/// One page.
pub(super) struct Watcher {
    /// The position after the event that it saw last.
    pub(super) last: AtomicI64,
    /// Whether its first stream was opened.
    pub(super) open: AtomicBool,
    address: SocketAddr,
    faults: Arc<Faults>,
}

impl Watcher {
    /// A page that has seen everything up to `last`.
    pub(super) fn new(address: SocketAddr, last: i64, faults: &Arc<Faults>) -> Arc<Self> {
        let (last, faults) = (AtomicI64::new(last), faults.clone());
        Arc::new(Self { last, open: AtomicBool::new(false), address, faults })
    }

    /// Watches for ever, and comes again from where it was.
    pub(super) async fn watch(self: Arc<Self>) {
        loop {
            if let Some(stream) = self.connect(None).await {
                self.read(stream).await;
                self.faults.again.fetch_add(1, Relaxed);
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Opens a stream whose window is `window` bytes.
    pub(super) async fn connect(&self, window: Option<u32>) -> Option<TcpStream> {
        let socket = TcpSocket::new_v4().expect("a descriptor");
        if let Some(bytes) = window {
            socket.set_recv_buffer_size(bytes).expect("set");
        }
        let mut stream = socket.connect(self.address).await.ok()?;
        let last = self.last.load(Relaxed);
        let request =
            format!("GET /v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {last}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.ok()?;
        if &status != b"HTTP/1.1 200" {
            self.faults.refused.fetch_add(1, Relaxed);
            return None;
        }
        self.open.store(true, Relaxed);
        Some(stream)
    }

    /// Reads to the end. An event is never split over chunks, so what is between them is lines that are none of its.
    pub(super) async fn read(&self, mut stream: TcpStream) {
        let (mut rest, mut piece) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = stream.read(&mut piece).await {
            rest.extend_from_slice(&piece[..count]);
            let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else { continue };
            for line in rest[..end].split(|byte| *byte == b'\n') {
                if let Some(number) = line.strip_prefix(b"id: ") {
                    let number = std::str::from_utf8(number).expect("ASCII").trim();
                    self.saw(number.parse().expect("a number"));
                }
            }
            rest.drain(..=end);
        }
    }

    fn saw(&self, position: i64) {
        let before = seq(self.last.swap(position, Relaxed));
        self.faults.gaps.fetch_add(u64::from(seq(position) != before + 1), Relaxed);
    }
}
