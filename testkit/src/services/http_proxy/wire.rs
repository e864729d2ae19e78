//! HTTP/1.1 as bytes, as far as a proxy needs it.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Request, Response};

/// What came before the body, by lower-case names, and the start of the body.
pub(super) type Head = (String, Vec<(String, String)>, Vec<u8>);

/// Asks the server. `None` when it went away.
pub(super) async fn forward(request: &Request, port: u16) -> Option<Response> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let _ = server.set_nodelay(true);
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        if !["connection", "content-length", "expect"].contains(&name.as_str()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str(&format!("connection: close\r\ncontent-length: {}\r\n\r\n", request.body.len()));
    server.write_all(head.as_bytes()).await.ok()?;
    server.write_all(&request.body).await.ok()?;
    let (first, headers, mut body) = read_head(&mut server).await?;
    server.read_to_end(&mut body).await.ok()?;
    let status = first.split(' ').nth(1)?.parse().ok()?;
    let chunked =
        headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    // The answer to a HEAD may speak of chunks and has none.
    let body = if chunked && request.method != "HEAD" { unchunked(&body)? } else { body };
    Some(Response { status, headers, body })
}

/// The first line, the headers, and what came after them already.
pub(super) async fn read_head(stream: &mut TcpStream) -> Option<Head> {
    let mut bytes = Vec::new();
    let end = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let first = lines.next()?.to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    Some((first, lines.filter_map(header).collect(), bytes.split_off(end + 4)))
}

fn unchunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let line = bytes.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).ok()?, 16).ok()?;
        bytes = &bytes[line + 2..];
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size + 2..)?;
    }
}
