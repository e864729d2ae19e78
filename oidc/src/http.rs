//! Asking the provider: bounded in time and size, following no redirect, over TLS.

use std::pin::Pin;
use std::time::Duration;

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::redirect::Policy;
use url::Url;

use crate::OidcError;
use crate::settings::{is_loopback, is_private};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take in all.
const ANSWER: Duration = Duration::from_secs(10);
/// Bytes of an answer. A token of a person in a thousand groups has 60 KB.
const LARGEST: usize = 1 << 20;

/// A client that asks nobody but the provider.
pub(crate) struct Http(reqwest::Client);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = Unanswered;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Unanswered>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(send(&self.0, request))
    }
}

/// A client for this provider.
pub(crate) fn client(issuer: &str) -> Result<Http, OidcError> {
    // Chosen here, once: reqwest is built without a provider of its own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(ANSWER)
        // A redirect could lead to a machine that only this one reaches.
        .redirect(Policy::none());
    let is_here = Url::parse(issuer).is_ok_and(|issuer| is_loopback(&issuer));
    let builder = if is_here { builder.no_proxy() } else { builder };
    builder
        .build()
        .map(Http)
        .map_err(|_| OidcError::Away("no HTTP client can be made on this machine"))
}

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unanswered(pub(crate) &'static str);

/// Sends one request.
async fn send(client: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, Unanswered> {
    let request = reqwest::Request::try_from(request);
    let request = request.map_err(|_| Unanswered("it names an address that is none"))?;
    if !is_private(request.url()) {
        return Err(Unanswered("it names an address without TLS"));
    }
    let mut answer = client.execute(request).await.map_err(|error| unanswered(&error))?;
    let mut parts = openidconnect::http::Response::builder().status(answer.status());
    if let Some(headers) = parts.headers_mut() {
        *headers = answer.headers().clone();
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| unanswered(&error))? {
        if body.len() + chunk.len() > LARGEST {
            return Err(Unanswered("its answer is larger than 1 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    parts.body(body).map_err(|_| Unanswered("its answer cannot be read"))
}

fn unanswered(error: &reqwest::Error) -> Unanswered {
    Unanswered(match error {
        error if error.is_timeout() => "it took longer than 10 s to answer",
        error if error.is_connect() => "no connection, or no certificate that this machine trusts",
        _ => "the connection broke",
    })
}
