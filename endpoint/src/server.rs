//! The HTTP/1.1 server in front of the operations.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use lobar_core::time::Clock;
use s3s::dto::TimestampFormat;
use s3s::service::S3Service;
use s3s::{Body, HttpResponse, S3Error};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;
use uuid::Uuid;

use super::chunked::{Chunked, Ending};
use super::conditions::timestamp;
use super::event::Origin;
use super::form::{self, Forms};
use super::guard::Guard;
use super::ranges::Unranged;

/// How many connections are served at once; further ones wait to be accepted.
const CONNECTIONS: usize = 1024;
/// How long a client may take over its request's headers.
const HEADERS: Duration = Duration::from_secs(30);
/// The pause after a failed accept, when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub(super) struct Server {
    pub(super) service: S3Service,
    /// The same without a check of signatures, for requests whose signature was found good.
    pub(super) unchecked: S3Service,
    pub(super) guard: Arc<Guard>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) forms: Arc<Forms>,
    /// Where log lines go, without those of `s3s`.
    pub(super) log: Dispatch,
}

impl Server {
    /// Serves until `stop`; then requests under way have `drain` to end.
    pub(super) async fn run(self, listener: TcpListener, stop: CancellationToken, drain: Duration) {
        let connections = TaskTracker::new();
        let free = Arc::new(Semaphore::new(CONNECTIONS));
        // Cancelled when the time for draining is over.
        let over = CancellationToken::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = accept(&listener, &free) => accepted,
            };
            let (stream, peer, permit) = accepted;
            let (server, stop, over) = (self.clone(), stop.clone(), over.clone());
            connections.spawn(async move {
                server.connection(stream, peer, stop, over).await;
                drop(permit);
            });
        }
        drop(listener);
        connections.close();
        if tokio::time::timeout(drain, connections.wait()).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "embedded S3: connections closed: their requests took longer than the stop waits"
            );
            over.cancel();
            connections.wait().await;
        }
    }

    async fn connection(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        stop: CancellationToken,
        over: CancellationToken,
    ) {
        // An answer must not wait for more to send; a socket that refuses this still works.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| {
            let server = self.clone();
            async move { Ok::<_, Infallible>(server.answer(request, peer).await) }
        });
        let mut connection = std::pin::pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS)
                .serve_connection(TokioIo::new(stream), service)
        );
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = over.cancelled() => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "embedded S3: connection broken off by the client");
        }
    }

    async fn answer(
        &self,
        request: Request<hyper::body::Incoming>,
        peer: SocketAddr,
    ) -> HttpResponse {
        let id = Uuid::now_v7().simple().to_string().to_uppercase();
        let method = request.method().clone();
        let mut response = match self.guard.check(&method, request.headers()) {
            Ok(()) => self.serve(request, peer, &id).await,
            Err(refusal) => refused(refusal),
        };
        let successful = response.status().is_success();
        let headers = response.headers_mut();
        Guard::adorn(&method, successful, headers);
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert("x-amz-request-id", id.clone());
            headers.insert("x-amz-id-2", id);
        }
        headers.insert(header::SERVER, HeaderValue::from_static("lobar"));
        self.date(headers);
        response
    }

    /// Answers a request that may be answered.
    async fn serve(
        &self,
        mut request: Request<hyper::body::Incoming>,
        peer: SocketAddr,
        id: &str,
    ) -> HttpResponse {
        let cors = &self.guard.cors;
        if let Some((status, headers)) = cors.preflight(request.method(), request.headers()) {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            return response;
        }
        let cors = cors.headers(request.headers());
        let expects = request.headers().contains_key(header::EXPECT);
        let empty = request.headers().get(header::CONTENT_LENGTH).is_some_and(|n| n == "0");
        let origin = Origin { peer: peer.ip().to_string(), request: id.to_owned() };
        request.extensions_mut().insert(origin);
        let unranged = Unranged::of(&mut request);
        let is_form = Guard::is_form(request.method(), request.headers());
        let request = match Ending::of(request.headers_mut()) {
            Ending::Known => request.map(Body::from),
            Ending::FinalChunk => request.map(|body| Body::http_body(Chunked::new(body))),
        };
        let mut response = match is_form {
            true => form::forbid(self.form(request).await.unwrap_or_else(refused)),
            false => self.call(&self.service, request).await,
        };
        if let Some(again) = unranged.and_then(|unranged| unranged.again(&response)) {
            response = self.call(&self.unchecked, again).await;
        }
        response.headers_mut().extend(cors);
        // Whoever waited for `100 Continue` and got the answer itself starts afresh: the AWS CLI 1
        // misreads what it next receives on such a connection.
        if expects && (empty || !response.status().is_success()) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Answers a form, with as many others as there is memory for.
    async fn form(&self, request: Request<Body>) -> Result<HttpResponse, S3Error> {
        let _admitted = self.forms.admit().await?;
        let request = self.forms.read(request).await?;
        Ok(self.call(&self.service, request).await)
    }

    async fn call(&self, service: &S3Service, request: Request<Body>) -> HttpResponse {
        let answered = service.call(request).with_subscriber(self.log.clone()).await;
        answered.unwrap_or_else(|_| unanswerable())
    }

    /// Says what time it is here. hyper would repeat the latest time that it ever said until the clock has
    /// passed it: after a clock that was set back, clients that sign by this time would be refused for as
    /// long as it was set back.
    fn date(&self, headers: &mut HeaderMap) {
        let mut text = Vec::new();
        // Writing into memory cannot fail, and every stamp has this form.
        let _ = timestamp(self.clock.now()).format(TimestampFormat::HttpDate, &mut text);
        if let Ok(date) = HeaderValue::from_bytes(&text) {
            headers.insert(header::DATE, date);
        }
    }
}

/// The answer to what the guard refuses. Its body is not read.
fn refused(refusal: S3Error) -> HttpResponse {
    let mut response = refusal.to_http_response().unwrap_or_else(|_| unanswerable());
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn unanswerable() -> HttpResponse {
    tracing::error!("embedded S3: response not made; answering 500");
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

async fn accept(
    listener: &TcpListener,
    free: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        let Ok(permit) = free.clone().acquire_owned().await else {
            // Nobody closes this semaphore.
            std::future::pending::<()>().await;
            continue;
        };
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(error) => {
                tracing::warn!(%error, "embedded S3: connection not accepted; accepting again after a pause");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
