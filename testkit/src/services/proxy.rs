//! A TCP proxy between a client and a server that breaks things, as a network does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What happens to bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// They pass.
    Fair,
    /// Each piece waits this long, in both directions.
    Slow(Duration),
    /// Nothing passes and nobody is told: packets are dropped.
    Blackhole,
    /// Every connection is reset, and new ones are closed at once.
    Down,
    /// A connection is closed after this many more bytes from the server, in the middle of an answer.
    Truncate(usize),
}

/// A proxy in front of one server.
pub struct Proxy {
    /// Where clients connect.
    pub address: SocketAddr,
    weather: watch::Sender<Weather>,
    cut: watch::Sender<u64>,
    stop: CancellationToken,
}

impl Proxy {
    /// Listens in front of `server`.
    pub async fn open(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (weather, now) = watch::channel(Weather::Fair);
        let (cut, cuts) = watch::channel(0);
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, server, now, cuts, stop.clone()));
        Self { address, weather, cut, stop }
    }

    /// Changes what happens, to open connections as well.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Breaks every open connection; new ones pass.
    pub fn cut(&self) {
        self.cut.send_modify(|times| *times += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(
    listener: TcpListener,
    server: SocketAddr,
    weather: watch::Receiver<Weather>,
    cuts: watch::Receiver<u64>,
    stop: CancellationToken,
) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let client = tokio::select! {
            accepted = listener.accept() => accepted.expect("accepts").0,
            () = stop.cancelled() => return,
            Some(_) = connections.join_next() => continue,
        };
        let (weather, mut cuts) = (weather.clone(), cuts.clone());
        cuts.mark_unchanged();
        connections.spawn(async move {
            tokio::select! {
                () = connection(client, server, weather) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

async fn connection(client: TcpStream, server: SocketAddr, weather: watch::Receiver<Weather>) {
    if *weather.borrow() == Weather::Down {
        return;
    }
    let mut ended = weather.clone();
    let passed = async {
        let Ok(server) = TcpStream::connect(server).await else { return };
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let allowance = Arc::new(std::sync::Mutex::new(None));
        // The end of either direction is the end of both.
        tokio::select! {
            () = pass(from_client, to_server, weather.clone(), None) => {}
            () = pass(from_server, to_client, weather, Some(allowance)) => {}
        }
    };
    tokio::select! {
        () = passed => {}
        _ = ended.wait_for(|weather| *weather == Weather::Down) => {}
    }
}

/// How many bytes of the server's are still let through, once that is limited.
type Allowance = Arc<std::sync::Mutex<Option<usize>>>;

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut weather: watch::Receiver<Weather>,
    allowance: Option<Allowance>,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        let now = *weather.borrow();
        if let Weather::Slow(pause) = now {
            tokio::time::sleep(pause).await;
        }
        if weather.wait_for(|weather| *weather != Weather::Blackhole).await.is_err() {
            return;
        }
        let mut piece = &buffer[..count];
        let mut last = false;
        if let (Weather::Truncate(bytes), Some(allowance)) = (now, &allowance) {
            let mut left = allowance.lock().expect("never poisoned");
            let left = left.get_or_insert(bytes);
            piece = &piece[..piece.len().min(*left)];
            *left -= piece.len();
            last = *left == 0;
        }
        if to.write_all(piece).await.is_err() || last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        address
    }

    async fn answer(stream: &mut TcpStream) -> Option<Vec<u8>> {
        stream.write_all(b"hello").await.ok()?;
        let mut answer = vec![0; 5];
        let read = stream.read_exact(&mut answer);
        tokio::time::timeout(Duration::from_millis(300), read).await.ok()?.ok()?;
        Some(answer)
    }

    #[tokio::test]
    async fn each_weather_does_what_it_says() {
        let proxy = Proxy::open(echo().await).await;
        let connect = || TcpStream::connect(proxy.address);
        let mut stream = connect().await.expect("connected");
        assert_eq!(answer(&mut stream).await.as_deref(), Some(&b"hello"[..]));
        proxy.cut();
        assert_eq!(answer(&mut stream).await, None);

        let mut stream = connect().await.expect("connected");
        assert!(answer(&mut stream).await.is_some(), "new connections pass after a cut");
        proxy.set(Weather::Blackhole);
        assert_eq!(answer(&mut stream).await, None);
        proxy.set(Weather::Fair);
        let mut late = vec![0; 5];
        stream.read_exact(&mut late).await.expect("what was held back comes");

        proxy.set(Weather::Truncate(3));
        assert_eq!(answer(&mut stream).await, None);
        proxy.set(Weather::Down);
        let mut refused = connect().await.expect("accepted, then closed");
        assert_eq!(answer(&mut refused).await, None);
    }
}
