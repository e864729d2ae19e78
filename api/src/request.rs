//! What a request is called: in its answer's headers, in a problem, in log lines, and in a trace.

use std::fmt;
use std::future::Future;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use lobar_core::trace::TraceContext;
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span};
use uuid::Uuid;

/// The header that carries it, both ways.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: RequestId;
}

/// 128 bits that name one request: 32 digits, or a UUID in its usual form.
///
/// A proxy's id is kept, so that both write the same into their logs. Nothing else is: free text might hold a
/// name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(String);

impl RequestId {
    /// An id that came with a request, if it is one.
    fn parse(text: &str) -> Option<Self> {
        let is_bare = matches!(text.len(), 32 | 36);
        (is_bare && Uuid::try_parse(text).is_ok()).then(|| Self(text.to_owned()))
    }

    /// The trace's id, which is random enough.
    fn of(trace: TraceContext) -> Self {
        Self(format!("{:032x}", trace.trace_id()))
    }

    fn fresh() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }

    /// That of the request which is being answered.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a request and opens its span. Outermost, so that whatever answers has both.
pub(crate) async fn identify(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let caller = header(request.headers(), TraceContext::HEADER).and_then(TraceContext::parse);
    let span = span(&request, caller);
    let id = header(request.headers(), REQUEST_ID.as_str())
        .and_then(RequestId::parse)
        .or_else(|| lobar_trace::context(&span).or(caller).map(RequestId::of))
        .unwrap_or_else(RequestId::fresh);
    span.record("request_id", display(&id));
    let mut response = answer(id.clone(), next.call(request)).instrument(span.clone()).await?;
    let status = response.status();
    span.record("status", status.as_u16());
    span.record("route", response.request().match_pattern().as_deref().unwrap_or("unknown"));
    if status.is_server_error() {
        lobar_trace::failed(&span, "answered with a server error");
    }
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    Ok(response)
}

async fn answer<T>(id: RequestId, work: impl Future<Output = T>) -> T {
    CURRENT.scope(id, work).await
}

/// The same request's work, to be done in a task of its own: under its id and in its span.
pub(crate) fn continued<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let id = RequestId::current();
    let work = async move {
        match id {
            Some(id) => answer(id, work).await,
            None => work.await,
        }
    };
    work.in_current_span()
}

/// Probes and scrapers come every few seconds and concern nobody's image: they get no span.
fn span(request: &ServiceRequest, caller: Option<TraceContext>) -> Span {
    if matches!(request.path(), "/livez" | "/readyz" | "/metrics") {
        return Span::none();
    }
    let method = known(request.method());
    let span = tracing::info_span!(
        "request",
        method,
        request_id = Empty,
        route = Empty,
        status = Empty,
        image = Empty,
    );
    lobar_trace::continue_from(&span, caller);
    span
}

/// A method as logs and spans name it. A word that a client made up may be anything, a patient's name too: it is `_OTHER`,
/// as OpenTelemetry's conventions have it.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_128_bits_in_hexadecimal_are_taken_from_outside() {
        for given in ["0af7651916cd43dd8448eb211c80319c", "0af76519-16cd-43dd-8448-eb211c80319c"] {
            assert_eq!(RequestId::parse(given).expect("valid").to_string(), given);
        }
        for other in [
            "",
            "12345678",
            "Doe^Jane",
            "jane.doe-1234567890-1234567890-12",
            "{0af76519-16cd-43dd-8448-eb211c80319c}",
            "urn:uuid:0af76519-16cd-43dd-8448-eb211c80319c",
            "0af7651916cd43dd8448eb211c80319c\r\nx: y",
        ] {
            assert_eq!(RequestId::parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_method_that_is_none_is_not_repeated() {
        assert_eq!(known(&Method::DELETE), "DELETE");
        assert_eq!(known(&Method::from_bytes(b"QUIGLEY").expect("a token")), "_OTHER");
    }

    #[test]
    fn a_fresh_id_would_be_taken_from_outside_too() {
        let fresh = RequestId::fresh();
        assert_eq!(RequestId::parse(&fresh.to_string()), Some(fresh.clone()));
        assert_ne!(RequestId::fresh(), fresh);
    }

    #[tokio::test]
    async fn an_id_is_known_while_its_request_is_answered_and_not_afterwards() {
        let id = RequestId::fresh();
        let seen = answer(id.clone(), async { RequestId::current() }).await;
        assert_eq!(seen, Some(id));
        assert_eq!(RequestId::current(), None);
    }
}
