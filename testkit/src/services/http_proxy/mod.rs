//! A proxy in front of an HTTP server that answers, delays and changes as a test says: what a service
//! does to its clients, not what a network does (that is [`super::proxy`]).

mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use wire::{forward, read_head};

/// A request on its way to the server; a rule may change it.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// Path and query, as the client wrote them.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// An answer on its way to the client.
#[derive(Clone, Debug)]
pub struct Response {
    /// 200.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body, empty for a `HEAD`.
    pub body: Vec<u8>,
}

/// What becomes of one request.
pub enum Fault {
    /// The server answers.
    Pass,
    /// The server is not asked.
    Answer(Response),
    /// The server's answer is changed.
    Edit(Box<dyn FnOnce(&mut Response) + Send>),
    /// The server's answer comes this much later.
    Late(Duration),
    /// The connection ends after so many bytes of the body.
    Truncate(usize),
    /// The body comes in pieces of so many bytes, with a pause before each.
    Drip(usize, Duration),
    /// The body's length is not announced.
    Unannounced,
    /// The server does what it was asked for, but the client never hears of it.
    Lose,
}

type Rule = Box<dyn FnMut(&mut Request) -> Fault + Send>;

/// A proxy in front of one server.
pub struct HttpProxy {
    /// Where clients connect.
    pub address: SocketAddr,
    rule: Arc<Mutex<Rule>>,
    stop: CancellationToken,
}

impl HttpProxy {
    /// Listens in front of the server on a port of this machine. Everything passes at first.
    pub async fn open(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Box::new(|_| Fault::Pass)));
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, port, rule.clone(), stop.clone()));
        Self { address, rule, stop }
    }

    /// Its address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Asks `rule` about each request from now on.
    pub fn rule(&self, rule: impl FnMut(&mut Request) -> Fault + Send + 'static) {
        *self.rule.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(rule);
    }

    /// Lets everything pass from now on.
    pub fn fair(&self) {
        self.rule(|_| Fault::Pass);
    }
}

impl Drop for HttpProxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// The operation of SQS that it asks for: `ReceiveMessage`.
    pub fn action(&self) -> &str {
        let target = self.header("x-amz-target").unwrap_or_default();
        target.rsplit('.').next().unwrap_or_default()
    }

    /// Its body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Another body.
    pub fn set_json(&mut self, body: &Value) {
        self.body = body.to_string().into_bytes();
    }
}

impl Response {
    /// An answer of SQS: an error when the status says so.
    pub fn sqs(status: u16, code: &str) -> Self {
        let fault = if status < 500 { "Sender" } else { "Receiver" };
        let body = json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": "a test" });
        Self {
            status,
            headers: vec![
                ("content-type".into(), "application/x-amz-json-1.0".into()),
                ("x-amzn-query-error".into(), format!("{code};{fault}")),
            ],
            body: body.to_string().into_bytes(),
        }
    }

    /// An error of S3.
    pub fn s3(status: u16, code: &str) -> Self {
        let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
        let headers = vec![("content-type".into(), "application/xml".into())];
        Self { status, headers, body: body.into_bytes() }
    }

    /// Changes a body of JSON.
    pub fn edit_json(&mut self, edit: impl FnOnce(&mut Value)) {
        let Ok(mut body) = serde_json::from_slice(&self.body) else { return };
        edit(&mut body);
        self.body = body.to_string().into_bytes();
    }
}

/// Makes the entries of an SQS batch call that `fails` picks fail with `code`, before the server hears of
/// them; the others pass.
pub fn fail_entries(
    request: &mut Request,
    code: &str,
    sender_fault: bool,
    mut fails: impl FnMut() -> bool,
) -> Fault {
    let mut asked = request.json();
    let Some(entries) = asked["Entries"].as_array_mut() else { return Fault::Pass };
    let mut failed = Vec::new();
    entries.retain(|entry| {
        let fails = fails();
        if fails {
            failed.push(json!({ "Id": entry["Id"], "Code": code, "SenderFault": sender_fault }));
        }
        !fails
    });
    if entries.is_empty() {
        let mut answer = Response::sqs(200, "");
        answer.body = json!({ "Successful": [], "Failed": failed }).to_string().into_bytes();
        return Fault::Answer(answer);
    }
    request.set_json(&asked);
    Fault::Edit(Box::new(move |answer| {
        answer.edit_json(|body| {
            let before = body["Failed"].as_array().cloned().unwrap_or_default();
            body["Failed"] = before.into_iter().chain(failed).collect();
        });
    }))
}

/// Changes the messages of an SQS receive.
pub fn edit_messages(edit: impl FnOnce(&mut Vec<Value>) + Send + 'static) -> Fault {
    Fault::Edit(Box::new(move |answer| {
        answer.edit_json(|body| {
            if let Some(messages) = body["Messages"].as_array_mut() {
                edit(messages);
            }
        });
    }))
}

async fn serve(listener: TcpListener, port: u16, rule: Arc<Mutex<Rule>>, stop: CancellationToken) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let client = tokio::select! {
            accepted = listener.accept() => accepted.expect("accepts").0,
            () = stop.cancelled() => return,
            Some(_) = connections.join_next() => continue,
        };
        let rule = rule.clone();
        connections.spawn(async move { exchange(client, port, rule).await });
    }
}

/// One request and its answer; the connection ends with it. `None` when either side went away.
async fn exchange(mut client: TcpStream, port: u16, rule: Arc<Mutex<Rule>>) -> Option<()> {
    let _ = client.set_nodelay(true);
    let (first, headers, mut body) = read_head(&mut client).await?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut request = Request { method, target, headers, body: Vec::new() };
    if request.header("expect").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
    }
    let length: usize = request.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    while body.len() < length {
        if client.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    request.body = body;
    let fault = (rule.lock().unwrap_or_else(PoisonError::into_inner))(&mut request);
    let (mut piece, mut pause, mut most) = (usize::MAX, Duration::ZERO, usize::MAX);
    let mut announced = request.method != "HEAD";
    let answer = match fault {
        Fault::Answer(answer) => answer,
        fault => {
            let mut answer = forward(&request, port).await?;
            match fault {
                Fault::Edit(edit) => edit(&mut answer),
                Fault::Late(by) => tokio::time::sleep(by).await,
                Fault::Truncate(bytes) => most = bytes,
                Fault::Drip(bytes, every) => (piece, pause) = (bytes.max(1), every),
                Fault::Unannounced => announced = false,
                Fault::Lose => return None,
                Fault::Pass | Fault::Answer(_) => {}
            }
            answer
        }
    };
    let mut head = format!("HTTP/1.1 {} Test\r\nconnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        let ours = ["connection", "transfer-encoding"].contains(&name.as_str());
        if !ours && (name != "content-length" || request.method == "HEAD") {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    if announced {
        head.push_str(&format!("content-length: {}\r\n", answer.body.len()));
    }
    client.write_all(format!("{head}\r\n").as_bytes()).await.ok()?;
    for piece in answer.body[..answer.body.len().min(most)].chunks(piece) {
        tokio::time::sleep(pause).await;
        client.write_all(piece).await.ok()?;
    }
    client.shutdown().await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each request with its own body.
    async fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (_, headers, mut body) = read_head(&mut stream).await?;
                    let length = headers.iter().find(|(name, _)| name == "content-length")?;
                    let length: usize = length.1.parse().ok()?;
                    while body.len() < length {
                        stream.read_buf(&mut body).await.ok()?;
                    }
                    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                    stream.write_all(head.as_bytes()).await.ok()?;
                    stream.write_all(format!("{:x}\r\n", body.len()).as_bytes()).await.ok()?;
                    stream.write_all(&body).await.ok()?;
                    stream.write_all(b"\r\n0\r\n\r\n").await.ok()
                });
            }
        });
        port
    }

    async fn post(proxy: &HttpProxy, body: &str) -> String {
        let mut stream = TcpStream::connect(proxy.address).await.expect("connected");
        let length = body.len();
        let request = format!(
            "POST /p HTTP/1.1\r\nX-Amz-Target: AmazonSQS.DeleteMessageBatch\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        answer
    }

    #[tokio::test]
    async fn each_fault_does_what_it_says() {
        let proxy = HttpProxy::open(echo().await).await;
        assert!(post(&proxy, "hello").await.ends_with("content-length: 5\r\n\r\nhello"));
        proxy.rule(|request| {
            assert_eq!((request.action(), request.target.as_str()), ("DeleteMessageBatch", "/p"));
            Fault::Answer(Response::sqs(400, "RequestThrottled"))
        });
        let throttled = post(&proxy, "hello").await;
        assert!(throttled.starts_with("HTTP/1.1 400") && throttled.contains("RequestThrottled"));
        proxy.rule(|_| Fault::Truncate(2));
        assert!(post(&proxy, "hello").await.ends_with("content-length: 5\r\n\r\nhe"));
        proxy.rule(|_| Fault::Drip(2, Duration::from_millis(1)));
        assert!(post(&proxy, "hello").await.ends_with("hello"));
        proxy.rule(|_| Fault::Lose);
        assert_eq!(post(&proxy, "hello").await, "");
        proxy.rule(|_| edit_messages(Vec::clear));
        assert!(post(&proxy, r#"{"Messages":[1]}"#).await.ends_with(r#"{"Messages":[]}"#));
    }

    #[tokio::test]
    async fn single_entries_fail_and_the_server_hears_of_the_others() {
        let proxy = HttpProxy::open(echo().await).await;
        proxy.rule(|request| {
            let mut turn = 0;
            fail_entries(request, "InternalError", false, move || {
                turn += 1;
                turn == 2
            })
        });
        let answer = post(&proxy, r#"{"Entries":[{"Id":"a"},{"Id":"b"},{"Id":"c"}]}"#).await;
        let body = answer.split("\r\n\r\n").nth(1).expect("a body");
        let body: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(body["Entries"], json!([{ "Id": "a" }, { "Id": "c" }]));
        assert_eq!(body["Failed"][0]["Id"], "b");
    }
}
