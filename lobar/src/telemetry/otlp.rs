//! Spans to an OpenTelemetry collector, as protobuf over HTTP
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).
//!
//! Nobody waits for the collector: finished spans go into a bounded queue, a thread of the SDK's sends what
//! has gathered, and what finds no room or is not taken is dropped, counted, and said once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{RetryPolicy, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, Span, SpanData, SpanExporter,
    SpanProcessor,
};
use prometheus::{IntCounter, Registry};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::failure::Failure;
use crate::settings::{Collector, Roles};

/// Spans that wait to be sent, of some 500 bytes each.
const ROOM: usize = 8192;
/// Spans in one request.
const MOST: usize = 512;
/// How long spans gather before they are sent.
const GATHER: Duration = Duration::from_secs(1);
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(2);
/// How long the last ones may take when the process ends.
const GOODBYE: Duration = Duration::from_secs(3);

/// The export while it runs.
pub struct Traces {
    provider: SdkTracerProvider,
    account: Arc<Account>,
}

/// What waits, and what was dropped.
#[derive(Debug)]
struct Account {
    waiting: AtomicUsize,
    /// Whether the collector, or the queue, last let spans down.
    failing: AtomicBool,
    dropped: IntCounter,
}

impl Traces {
    /// Starts the thread that sends. Requests run on the runtime of the caller.
    pub fn start(collector: &Collector, roles: &Roles) -> Result<Self, Failure> {
        // Another part of the process may have chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(REQUEST).build().map_err(Failure::failed)?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(collector.traces())
            .with_timeout(REQUEST)
            // A failed batch is dropped: the next one is a second away, and there is no room for both.
            .with_retry_policy(RetryPolicy::disabled())
            .with_http_client(OnRuntime { http, runtime: Handle::current() })
            .build()
            .map_err(|e| Failure::usage(format!("otlp is {collector}: {e}")))?;
        let help = "Spans that were not exported: no room, or the collector did not take them.";
        let account = Arc::new(Account {
            waiting: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            dropped: IntCounter::new("lobar_telemetry_spans_dropped_total", help)
                .map_err(Failure::failed)?,
        });
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(ROOM)
            .with_max_export_batch_size(MOST)
            .with_scheduled_delay(GATHER)
            .build();
        let exporter = Counted { exporter, account: account.clone() };
        let sender = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Bounded { sender, account: account.clone() })
            .with_resource(resource(roles))
            .build();
        Ok(Self { provider, account })
    }

    /// Takes our own spans, and none of the libraries': those may name objects.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("lobar"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            // Nothing here asks OpenTelemetry for its current context.
            .with_context_activation(false)
            .with_filter(Targets::new().with_target("lobar", LevelFilter::INFO))
    }

    /// Registers what it counts.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.account.dropped.clone()))
    }

    /// Sends what waits, for a few seconds at most.
    pub async fn end(self) {
        let provider = self.provider;
        // It blocks, and the request that it waits for needs the runtime.
        let _ = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(GOODBYE)).await;
        let dropped = self.account.dropped.get();
        if dropped > 0 {
            tracing::warn!(dropped, "spans were dropped since the start: the trace has gaps");
        }
    }
}

/// What every span of this process shares.
fn resource(roles: &Roles) -> Resource {
    Resource::builder_empty()
        .with_service_name("lobar")
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()),
            KeyValue::new("lobar.roles", roles.to_string()),
        ])
        .build()
}

/// Drops what there is no room for.
#[derive(Debug)]
struct Bounded {
    sender: BatchSpanProcessor,
    account: Arc<Account>,
}

impl SpanProcessor for Bounded {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.account.waiting.fetch_add(1, Ordering::Relaxed) < ROOM {
            self.sender.on_end(span);
        } else {
            self.account.waiting.fetch_sub(1, Ordering::Relaxed);
            self.account.lose(1, &"more spans than are sent");
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.sender.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.sender.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.sender.set_resource(resource);
    }
}

/// Counts what is not taken.
#[derive(Debug)]
struct Counted {
    exporter: opentelemetry_otlp::SpanExporter,
    account: Arc<Account>,
}

impl SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.account.waiting.fetch_sub(spans, Ordering::Relaxed);
        match self.exporter.export(batch).await {
            Ok(()) => self.account.sent(),
            Err(error) => self.account.lose(spans, &error),
        }
        Ok(())
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl Account {
    fn lose(&self, spans: usize, why: &dyn std::fmt::Display) {
        self.dropped.inc_by(u64::try_from(spans).unwrap_or(u64::MAX));
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                error = %why,
                "spans are dropped: the collector of LOBAR_OTLP does not take them; images are worked on \
                 as usual"
            );
        }
    }

    fn sent(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            let dropped = self.dropped.get();
            tracing::info!(dropped, "spans are exported again; those dropped before are lost");
        }
    }
}

/// Sends on the program's runtime: the SDK's thread has none.
#[derive(Debug)]
struct OnRuntime {
    http: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sending = send(self.http.clone(), request);
        self.runtime.spawn(sending).await?
    }
}

async fn send(
    http: reqwest::Client,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let answer = http.execute(request.try_into()?).await?;
    let status = answer.status();
    let mut response = Response::new(answer.bytes().await?);
    *response.status_mut() = status;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Spans that are sent to `address` until it is told to end.
    fn traces(address: std::net::SocketAddr) -> Traces {
        let collector = format!("http://{address}").parse().expect("an address");
        Traces::start(&collector, &Roles::all()).expect("started")
    }

    fn finish(spans: usize) {
        (0..spans).for_each(|_| drop(tracing::info_span!(target: "lobar", "job").entered()));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_collector_that_never_answers_costs_spans_and_not_time() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let traces = traces(silent.local_addr().expect("bound"));
        let account = traces.account.clone();
        let subscriber = tracing_subscriber::registry().with(traces.layer());
        let began = Instant::now();
        tracing::subscriber::with_default(subscriber, || finish(ROOM + 3 * MOST));
        assert!(began.elapsed() < REQUEST, "finishing spans took {:?}", began.elapsed());
        assert!(account.dropped.get() > 0, "there was no room for all of them");
        assert!(account.waiting.load(Ordering::Relaxed) <= ROOM);
        let began = Instant::now();
        traces.end().await;
        assert!(began.elapsed() < GOODBYE + REQUEST, "the end took {:?}", began.elapsed());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_a_collector_refuses_is_counted() {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = closed.local_addr().expect("bound");
        drop(closed);
        let traces = traces(address);
        let account = traces.account.clone();
        let subscriber = tracing_subscriber::registry().with(traces.layer());
        tracing::subscriber::with_default(subscriber, || finish(10));
        traces.end().await;
        assert_eq!((account.dropped.get(), account.waiting.load(Ordering::Relaxed)), (10, 0));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn spans_of_libraries_are_not_exported() {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let traces = traces(closed.local_addr().expect("bound"));
        let subscriber = tracing_subscriber::registry().with(traces.layer());
        tracing::subscriber::with_default(subscriber, || {
            let theirs = tracing::info_span!(target: "aws_sdk_s3", "get", key = "DOE^JANE.jpeg");
            assert_eq!(lobar_trace::context(&theirs), None);
            let ours = tracing::info_span!(target: "lobar_worker::work", "job");
            assert!(lobar_trace::context(&ours).is_some());
            let parent = lobar_core::trace::TraceContext::new(7, 9, 1);
            let child = tracing::info_span!(target: "lobar_worker::work", "job");
            lobar_trace::continue_from(&child, parent);
            assert_eq!(lobar_trace::context(&child).map(|here| here.trace_id()), Some(7));
        });
        traces.end().await;
    }
}
