//! `/livez`, `/readyz`, `/metrics`: on every process, with or without the API.
//!
//! They are answered by threads of their own, apart from the runtime on which roles work, from pulses and checks that
//! the roles write: a runtime that stands still is told of, instead of leaving the probe without an answer.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::header;
use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpResponse, HttpServer, web};
use prometheus::{Encoder as _, Registry, TextEncoder};
use serde_json::{Map, json};
use tokio_util::sync::CancellationToken;

use crate::access::{Allowed, Open, need};
use crate::context::Context;
use crate::problem::Problem;
use crate::readiness::Readiness;

/// A listener for probes and scrapers alone, for a process without the API or on another address.
pub struct HealthServer {
    server: Server,
    address: SocketAddr,
}

impl HealthServer {
    /// Binds `listen`.
    pub fn build(
        listen: SocketAddr,
        registry: Registry,
        readiness: Readiness,
    ) -> std::io::Result<Self> {
        let make = move || {
            let headers = DefaultHeaders::new()
                .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .add((
                    header::CONTENT_SECURITY_POLICY,
                    "default-src 'none'; frame-ancestors 'none'",
                ))
                .add((header::REFERRER_POLICY, "no-referrer"))
                .add(("cross-origin-resource-policy", "same-origin"))
                .add((header::CACHE_CONTROL, "no-store"));
            App::new()
                .app_data(web::Data::new(readiness.clone()))
                .app_data(web::Data::new(registry.clone()))
                .wrap(headers)
                .configure(routes)
        };
        let server = HttpServer::new(make).workers(1).disable_signals().bind(listen)?;
        let address = server.addrs().first().copied().unwrap_or(listen);
        Ok(Self { server: server.run(), address })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`; call it to the very end of the process, so that readiness stays visible.
    pub async fn run(self, stop: CancellationToken) -> std::io::Result<()> {
        run_until(self.server, stop, Duration::ZERO).await
    }
}

/// Runs a server until `stop`, then lets its requests finish within the time it was built with.
pub(crate) async fn run_until(
    server: Server,
    stop: CancellationToken,
    before_stop: Duration,
) -> std::io::Result<()> {
    let handle = server.handle();
    let stopper = async move {
        stop.cancelled().await;
        tokio::time::sleep(before_stop).await;
        handle.stop(true).await;
    };
    let (served, ()) = tokio::join!(server, stopper);
    served
}

/// The three routes.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/livez", web::get().to(live))
        .route("/readyz", web::get().to(ready))
        .route("/metrics", web::get().to(scraped));
}

/// Every loop of the process goes round, and the network answers. Says nothing of services that are away: a restart
/// brings none of them back.
#[utoipa::path(get, path = "/livez", tag = "operations", responses(
    (status = 200, description = "It is alive."),
    (status = 503, description = "A loop stands still: restart the process."),
))]
pub(crate) async fn live(_: Open, readiness: web::Data<Readiness>) -> HttpResponse {
    let stopped = readiness.liveness().stopped();
    let live = stopped.is_empty();
    let stopped: Map<_, _> = stopped
        .into_iter()
        .map(|(name, silent)| (name.to_owned(), silent.as_secs_f64().into()))
        .collect();
    let mut response = if live { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(json!({ "live": live, "stopped_seconds": stopped }))
}

/// Every part can do its work: what the process needs answers and takes changes.
#[utoipa::path(get, path = "/readyz", tag = "operations", responses(
    (status = 200, description = "Every check passes."),
    (status = 503, description = "One or more checks fail; each says why."),
))]
pub(crate) async fn ready(_: Open, readiness: web::Data<Readiness>) -> HttpResponse {
    let checks = readiness.checks();
    let ready = checks.values().all(Result::is_ok);
    let checks: Map<_, _> = checks
        .into_iter()
        .map(|(name, state)| (name.to_owned(), json!({ "ok": state.is_ok(), "why": state.err() })))
        .collect();
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(json!({ "ready": ready, "checks": checks }))
}

/// Figures of every site in the Prometheus text format, for who may see queues. A scraper has a token of an operator, or
/// asks the listener that is for it alone (`LOBAR_METRICS_LISTEN`).
#[utoipa::path(get, path = "/metrics", tag = "operations", responses(
    (status = 200, description = "Prometheus text format.", content_type = "text/plain"),
))]
pub(crate) async fn metrics(
    _: Allowed<need::ReadQueues>,
    registry: web::Data<Registry>,
    context: web::Data<Context>,
) -> Result<HttpResponse, Problem> {
    context.refresh_figures().await;
    scraped(registry).await
}

/// The same for whoever reaches the listener for scrapers, which only operators' machines should.
async fn scraped(registry: web::Data<Registry>) -> Result<HttpResponse, Problem> {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    encoder
        .encode(&registry.gather(), &mut text)
        .map_err(|error| Problem::internal("metrics", &error))?;
    Ok(HttpResponse::Ok().content_type(encoder.format_type()).body(text))
}
