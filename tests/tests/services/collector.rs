//! A small OpenTelemetry collector: takes spans as OTLP over HTTP and keeps them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span as Wire;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A span as it arrived, with what its process says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub name: String,
    /// The roles of its process.
    pub roles: String,
    pub trace: String,
    pub id: String,
    /// Empty for a root.
    pub parent: String,
    pub attributes: BTreeMap<String, String>,
    /// Ids of the spans that it is linked with.
    pub links: Vec<String>,
    /// Nanoseconds since 1970.
    pub began: u64,
    pub ended: u64,
    /// All of it as text, log lines included.
    pub text: String,
}

/// See the module's documentation. Ends when dropped.
pub struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    _end: DropGuard,
}

impl Collector {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let spans: Arc<Mutex<Vec<Span>>> = Arc::default();
        let (kept, end) = (spans.clone(), CancellationToken::new());
        let serving = end.clone();
        tokio::spawn(async move { serving.run_until_cancelled(serve(listener, kept)).await });
        Self { address, spans, _end: end.drop_guard() }
    }

    /// What `LOBAR_OTLP` is set to.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that has arrived.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(listener: TcpListener, spans: Arc<Mutex<Vec<Span>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let spans = spans.clone();
        let service = service_fn(move |request| take(request, spans.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn take(
    request: Request<Incoming>,
    spans: Arc<Mutex<Vec<Span>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.uri().path(), "/v1/traces");
    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
    let body = request.into_body().collect().await.expect("a whole body").to_bytes();
    let sent = ExportTraceServiceRequest::decode(body).expect("OTLP");
    let mut kept = spans.lock().unwrap_or_else(PoisonError::into_inner);
    for process in sent.resource_spans {
        let about = attributes(&process.resource.expect("a resource").attributes);
        assert_eq!(about["service.name"], "lobar");
        let wires = process.scope_spans.into_iter().flat_map(|scope| scope.spans);
        kept.extend(wires.map(|wire| read(wire, &about["lobar.roles"])));
    }
    Ok(Response::new(Full::default()))
}

fn read(wire: Wire, roles: &str) -> Span {
    Span {
        roles: roles.to_owned(),
        trace: hex(&wire.trace_id),
        id: hex(&wire.span_id),
        parent: hex(&wire.parent_span_id),
        attributes: attributes(&wire.attributes),
        links: wire.links.iter().map(|link| hex(&link.span_id)).collect(),
        began: wire.start_time_unix_nano,
        ended: wire.end_time_unix_nano,
        text: format!("{wire:?}"),
        name: wire.name,
    }
}

fn attributes(given: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |one: &KeyValue| match one.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    given.iter().map(|one| (one.key.clone(), text(one))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A trace as a table in Markdown, children below their parents.
pub struct Table<'a>(pub &'a [Span]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| span | process | begins, ms | takes, ms | fields |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        let begin = self.0.iter().map(|span| span.began).min().unwrap_or(0);
        self.below("", 0, begin, f)
    }
}

impl Table<'_> {
    fn below(
        &self,
        parent: &str,
        depth: usize,
        begin: u64,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let known = |id: &str| self.0.iter().any(|span| span.id == id);
        let mut children: Vec<_> = self.0.iter().collect();
        children.retain(|span| match parent {
            "" => !known(&span.parent),
            parent => span.parent == parent,
        });
        children.sort_by_key(|span| span.began);
        for span in children {
            let ms = |nanos: u64| format!("{:.1}", nanos as f64 / 1e6);
            let fields = span.attributes.iter().map(|(name, value)| format!("{name}={value}"));
            writeln!(
                f,
                "| {}`{}` | {} | {} | {} | {} |",
                "· ".repeat(depth),
                span.name,
                span.roles,
                ms(span.began - begin),
                ms(span.ended.saturating_sub(span.began)),
                fields.collect::<Vec<_>>().join(" "),
            )?;
            self.below(&span.id, depth + 1, begin, f)?;
        }
        Ok(())
    }
}
