//! A web server of somebody else: it gives every request the same empty page, with a cookie where one is to be planted.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// See the module's documentation. Ends when dropped.
pub struct Elsewhere {
    port: u16,
    cookies: Arc<Mutex<Vec<String>>>,
    _end: DropGuard,
}

impl Elsewhere {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let (cookies, end) = (Arc::<Mutex<Vec<String>>>::default(), CancellationToken::new());
        let (kept, serving) = (cookies.clone(), end.clone());
        tokio::spawn(async move {
            let serve = async {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(stream, kept.clone()));
                }
            };
            serving.run_until_cancelled(serve).await;
        });
        Self { port, cookies, _end: end.drop_guard() }
    }

    /// Its page under a host.
    pub fn at(&self, host: &str) -> String {
        format!("{}/", self.origin(host))
    }

    /// What browsers say of its page under a host.
    pub fn origin(&self, host: &str) -> String {
        format!("http://{host}:{}", self.port)
    }

    /// From now on every answer sets this cookie.
    pub fn plant(&self, cookie: String) {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner).push(cookie);
    }
}

/// One request a connection.
async fn answer(mut stream: TcpStream, cookies: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    let mut part = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return,
            Ok(read) => head.extend_from_slice(&part[..read]),
        }
    }
    let cookies = cookies.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let cookies = cookies.iter().map(|cookie| format!("set-cookie: {cookie}\r\n"));
    let body = "<!doctype html><title>A competition</title><p>You have won.";
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n{}\r\n{body}",
        body.len(),
        cookies.collect::<String>(),
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}
