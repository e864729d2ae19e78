//! Request metrics: count and duration by route pattern and status class.

use std::time::Instant;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web;
use prometheus::{HistogramOpts, HistogramVec, Registry};

/// Requests by route (the pattern, never the address) and class of status.
#[derive(Clone)]
pub(crate) struct RequestMetrics(HistogramVec);

impl RequestMetrics {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let options = HistogramOpts::new(
            "lobar_api_request_seconds",
            "Time from a request's arrival to the head of its answer, by route and class of status.",
        );
        let histogram = HistogramVec::new(options, &["route", "class"])?;
        registry.register(Box::new(histogram.clone()))?;
        Ok(Self(histogram))
    }
}

/// Times a request.
pub(crate) async fn time_request(
    requests: web::Data<RequestMetrics>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let begin = Instant::now();
    let response = next.call(request).await?;
    let route = response.request().match_pattern();
    let route = route.as_deref().unwrap_or("unknown");
    let class = match response.status().as_u16() / 100 {
        1 | 2 => "ok",
        3 => "redirect",
        4 => "client_error",
        _ => "server_error",
    };
    let seconds = begin.elapsed().as_secs_f64();
    requests.0.with_label_values(&[route, class]).observe(seconds);
    tracing::debug!(route, status = response.status().as_u16(), seconds, "request answered");
    Ok(response)
}
