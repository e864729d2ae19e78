//! The server: built, then run until stopped.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use governor::clock::MonotonicClock;
use lobar_core::accounts::Accounts;
use lobar_core::audit::Audit;
use lobar_core::batch::Batches;
use lobar_core::cache::Cache;
use lobar_core::erasure::ErasurePorts;
use lobar_core::exposure::{Exposures, OpinionFirst};
use lobar_core::failure::PortError;
use lobar_core::object_store::ObjectStore;
use lobar_core::presence::Presence;
use lobar_core::quarantine::Quarantine;
use lobar_core::queue::{JobQueues, Queue};
use lobar_core::signal::Signal;
use lobar_core::store::Store;
use lobar_core::study::Studies;
use lobar_core::time::Clock;
use lobar_core::verdict::Verdicts;
use lobar_core::worklist::Worklist;
use lobar_oidc::{Oidc, OidcError};
use prometheus::{Histogram, HistogramOpts, IntGauge, Registry};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::connection::connected;
use crate::context::{Context, Shared};
use crate::exposure::{SentWriter, sent};
use crate::figure_reader::{FigurePorts, FigureReader};
use crate::guard::guard;
use crate::health::run_until;
use crate::intake::measure;
use crate::rate::{RateLimits, limit_address};
use crate::readiness::{Check, Readiness};
use crate::record::{Writer, recorder};
use crate::request::identify;
use crate::request_metrics::{RequestMetrics, time_request};
use crate::response_cache::ResponseCache;
use crate::routes;
use crate::settings::ApiSettings;
use crate::stream::{Follower, Hub, follow};
use crate::tls::{Tls, TlsError};
use lobar_core::scaling::Throughput;

/// Time for the goodbye of open streams to be written before connections are drained.
const GOODBYE: Duration = Duration::from_millis(100);
/// How often figures are read for the metrics.
const FIGURES_EVERY: Duration = Duration::from_secs(5);
/// How often sessions that are over are deleted.
const SESSIONS_EVERY: Duration = Duration::from_secs(3600);
/// How often the bucket is looked at for readiness.
const BUCKET_EVERY: Duration = Duration::from_secs(10);
/// Bytes of an answer that the system holds for a connection. At 50 ms to the client and back that is 4 MB/s for each.
const SEND_BUFFER: usize = 208 << 10;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// The ports and the parts of the process that the API shares with other roles.
pub struct ApiPorts {
    /// Images, findings, events.
    pub store: Arc<dyn Store>,
    /// Which models there are, and which one answers.
    pub models: Arc<dyn lobar_core::model_registry::ModelRegistry>,
    /// What readers said of images.
    pub verdicts: Arc<dyn Verdicts>,
    /// What readers met of answers.
    pub exposures: Arc<dyn Exposures>,
    /// The worklist, and who reads what.
    pub worklist: Arc<dyn Worklist>,
    /// What was uploaded together.
    pub batches: Arc<dyn Batches>,
    /// Whose images are.
    pub studies: Arc<dyn Studies>,
    /// What ingest put aside.
    pub quarantine: Arc<dyn Quarantine>,
    /// People, their sessions, machines' tokens, sites.
    pub accounts: Arc<dyn Accounts>,
    /// Who saw and did what.
    pub audit: Arc<dyn Audit>,
    /// The uploads bucket.
    pub objects: Arc<dyn ObjectStore>,
    /// The same and the store, to erase from.
    pub erasure: ErasurePorts,
    /// Hints that events were written.
    pub signal: Arc<dyn Signal>,
    /// The job queues, to measure.
    pub jobs: JobQueues,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where metrics are registered; shown under `/metrics` whole.
    pub registry: Registry,
    /// Shown under `/readyz`; the API adds its own checks.
    pub readiness: Readiness,
    /// The uploads queue, to measure, and to put messages back; `None` where this process does not reach it.
    pub uploads: Option<Arc<dyn Queue>>,
    /// Where rendered answers are kept; `None` for nowhere.
    pub cache: Option<Arc<dyn Cache>>,
    /// Who is at work; `None` where nobody can know.
    pub presence: Option<Arc<dyn Presence>>,
}

/// Why the server could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's own words.
        source: std::io::Error,
    },
    /// A metric of the same name is registered already.
    #[error("cannot register the metrics of the API: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The certificate or its key cannot be used.
    #[error("tls_cert and tls_key: {0}")]
    Tls(#[from] TlsError),
    /// The OpenID provider's client cannot be made.
    #[error("oidc_issuer: {0}")]
    Oidc(#[from] OidcError),
    /// The store could not be read.
    #[error("cannot read the store: {0}")]
    Store(#[from] PortError),
}

/// A bound server.
pub struct Api {
    server: Server,
    address: SocketAddr,
    context: web::Data<Context>,
    follower: Follower,
    bucket: Check,
    writer: Writer,
    sent_writer: SentWriter,
    tls: Tls,
}

impl Api {
    /// Binds the address and assembles everything. Call it on the program's own runtime, which must
    /// outlive the server: all calls to ports run there.
    pub async fn build(parts: ApiPorts, settings: ApiSettings) -> Result<Self, BuildError> {
        let ApiPorts {
            store,
            models,
            verdicts,
            exposures,
            worklist,
            batches,
            studies,
            quarantine,
            accounts,
            audit,
            objects,
            erasure,
            signal,
            jobs,
            clock,
            registry,
            readiness,
            uploads,
            cache,
            presence,
        } = parts;
        let runtime = Handle::current();
        let clients = IntGauge::new("lobar_sse_clients", "Connected clients of the event stream.")?;
        registry.register(Box::new(clients.clone()))?;
        let delays = Histogram::with_opts(
            HistogramOpts::new(
                "lobar_event_delay_seconds",
                "Time from the transaction that wrote an event to its being handed to the event streams.",
            )
            .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0]),
        )?;
        registry.register(Box::new(delays.clone()))?;
        let last = store.newest_position().await?;
        let hub = Arc::new(Hub::new(last, settings.lag, runtime.clone(), clients));
        let answers = Arc::new(ResponseCache::register(cache, &registry)?);
        let (arrivals, throughput) = (Arc::<Throughput>::default(), Arc::<Throughput>::default());
        let sources = FigurePorts {
            store: Arc::clone(&store),
            jobs,
            clock: Arc::clone(&clock),
            arrivals: Arc::clone(&arrivals),
            throughput: Arc::clone(&throughput),
            uploads: uploads.clone(),
            quarantine: Arc::clone(&quarantine),
            presence,
        };
        let follower = Follower {
            store: Arc::clone(&store),
            signal: Arc::clone(&signal),
            clock: Arc::clone(&clock),
            hub: Arc::clone(&hub),
            answers: Arc::clone(&answers),
            arrivals,
            throughput,
            delays,
            check: readiness.check("events"),
            poll: settings.poll,
        };
        let requests = RequestMetrics::register(&registry)?;
        let limits = web::Data::new(RateLimits::register(
            settings.address_burst,
            settings.streams_of_one(),
            MonotonicClock,
            &registry,
        )?);
        let tls = Tls::open(settings.tls.clone(), Arc::clone(&clock), &registry).await?;
        let figures = Arc::new(FigureReader::register(sources, settings.scaling, &registry)?);
        let oidc =
            settings.oidc.clone().map(|oidc| Oidc::new(oidc, Arc::clone(&clock))).transpose()?;
        let bucket = readiness.check("bucket");
        let (recorder, writer) =
            recorder(Arc::clone(&audit), Arc::clone(&clock), readiness.check("audit"));
        let (sent, sent_writer) = sent(
            Arc::clone(&exposures),
            Arc::clone(&clock),
            readiness.check("exposure"),
            !settings.opinion_first.are_none(),
        );
        // A process that cannot draw must not show what others withhold.
        let opinion_first = match settings.opinion_first.clone() {
            shares if shares.are_none() => None,
            shares => Some(OpinionFirst::new(shares, exposures.draw_key().await?)),
        };
        let shared = Shared {
            store,
            models,
            verdicts,
            exposures,
            worklist,
            batches,
            studies,
            opinion_first,
            sent,
            quarantine,
            accounts,
            audit,
            recorder,
            objects,
            erasure,
            signal,
            clock,
            hub,
            answers,
            figures,
            readiness,
            registry,
            uploads,
            oidc,
        };
        let (listen, threads, drain) = (settings.listen, settings.threads.max(1), settings.drain);
        let (patience, config) = (settings.reader_patience, tls.config()?);
        let context = web::Data::new(Context::new(shared, settings, runtime));

        let served = context.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(served.clone())
                .app_data(web::Data::new(requests.clone()))
                .app_data(limits.clone())
                .app_data(web::Data::new(served.readiness.clone()))
                .app_data(web::Data::new(served.registry.clone()))
                .wrap(from_fn(measure))
                .wrap(from_fn(limit_address))
                .wrap(from_fn(time_request))
                .wrap(from_fn(guard))
                .wrap(from_fn(identify))
                .configure(routes::configure)
        })
        .workers(threads)
        .shutdown_timeout(drain.as_secs().max(1))
        .disable_signals()
        .on_connect(connected);
        let bound = listener(listen, patience).and_then(|listener| match config {
            Some(config) => server.listen_rustls_0_23(listener, config),
            None => server.listen(listener),
        });
        let bound = bound.map_err(|source| BuildError::Bind { address: listen, source })?;
        let address = bound.addrs().first().copied().unwrap_or(listen);
        Ok(Self {
            server: bound.run(),
            address,
            context,
            follower,
            bucket,
            tls,
            writer,
            sent_writer,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`: then readiness goes red, open streams say goodbye and close, and
    /// requests finish within the drain time.
    pub async fn run(self, stop: CancellationToken) -> std::io::Result<()> {
        let Self { server, context, follower, bucket, tls, writer, sent_writer, .. } = self;
        let served = CancellationToken::new();
        let ended = served.clone().drop_guard();
        let say_goodbye = async {
            stop.cancelled().await;
            context.readiness.stopping();
            context.hub.stop.cancel();
        };
        let serve = async {
            let result = run_until(server, stop.clone(), GOODBYE).await;
            drop(ended);
            result
        };
        let background = async {
            tokio::join!(
                follow(follower, served.clone()),
                served.run_until_cancelled(watch_figures(&context)),
                served.run_until_cancelled(watch_bucket(&context, &bucket)),
                served.run_until_cancelled(tls.watch()),
                served.run_until_cancelled(prune_sessions(&context)),
                writer.run(served.clone(), context.settings.drain),
                sent_writer.run(served.clone(), context.settings.drain),
                served.run_until_cancelled(say_goodbye),
            )
        };
        let (result, _) = tokio::join!(serve, background);
        result
    }
}

/// A listening socket whose connections end when their clients take nothing for so long: the system probes a window that
/// stays shut, and gives up (`TCP_USER_TIMEOUT`, RFC 5482; connections inherit it).
fn listener(address: SocketAddr, patience: Duration) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(patience))?;
    #[cfg(not(target_os = "linux"))]
    let _ = patience;
    // What the system holds of an answer that is not taken; without it, it takes megabytes.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Keeps the gauges fresh for a scraper, also when nobody asks for `/v1/queues`.
async fn watch_figures(context: &Context) {
    let mut ticks = interval(FIGURES_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        context.refresh_figures().await;
    }
}

/// Deletes sessions and links that are over, now and then. Nothing depends on it: they open nothing.
async fn prune_sessions(context: &Context) {
    let mut ticks = interval(SESSIONS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = context.accounts.prune_sessions(context.settings.sign_in.idle).await {
            tracing::debug!(operation = error.what, %error, "sessions that are over not deleted; trying again in an hour");
        }
    }
}

/// Keeps the readiness check of the bucket true.
async fn watch_bucket(context: &Context, check: &Check) {
    let mut ticks = interval(BUCKET_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match timeout(BUCKET_EVERY, context.objects.check()).await {
            Ok(Ok(())) => check.pass(),
            Ok(Err(error)) => {
                tracing::warn!(%error, "not ready: the uploads bucket cannot be reached; trying again in 10 s");
                check.fail("the uploads bucket cannot be reached");
            }
            Err(_) => check.fail("the uploads bucket does not answer"),
        }
    }
}
