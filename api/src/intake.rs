//! Bodies of requests as they arrive, on every route: each has a deadline by rate, and all together a bound in bytes.
//!
//! What counts against the bound is what has arrived and is still held, not what was announced nor how many requests
//! there are: a body of one byte that never goes on costs one byte, and delays nobody. While others wait for room,
//! bodies that have stood still are given up first. One client may hold a share of it, so that others find room.

use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, web};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};

use crate::context::Context;
use crate::problem::{Kind, Problem};
use crate::rate::{Client, Shares};
use crate::settings::ApiSettings;

/// How long a body waits for room before its request is refused.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a body that waits asks the others for room.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// How long a body may stand still while others wait for room.
const STALLED: Duration = Duration::from_secs(1);

/// The largest body that carries a file of so many bytes: in base64 with JSON around it, as `/v1/predict` takes it.
pub const fn largest_body(file: usize) -> usize {
    file / 3 * 4 + (1 << 20)
}

/// The bound on bodies in flight, and the pace that each must keep.
pub(crate) struct Intake {
    limit: usize,
    room: Arc<Semaphore>,
    /// What one client may hold of it.
    shares: Shares<Client>,
    /// Told while somebody waits for room.
    pressure: Notify,
    grace: Duration,
    /// Bytes that must arrive in each `grace`.
    pace: usize,
    longest: Duration,
}

/// What one request holds of the room, until it is answered or has let go of its body.
struct Held(Mutex<Holding>);

#[derive(Default)]
struct Holding {
    /// Whose body it is; `None` for the local user's, who is alone.
    client: Option<Client>,
    own: Option<OwnedSemaphorePermit>,
    room: Option<OwnedSemaphorePermit>,
    /// Whether what comes next has the time of a body of its own.
    anew: bool,
}

/// Room for some bytes: of the client's share, and of all.
type Taken = (Option<OwnedSemaphorePermit>, OwnedSemaphorePermit);

/// Why a body is read no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// It does not keep the pace.
    Slow,
    /// There is no room for more.
    Full,
    /// Other bodies of the same client have all that one may have.
    Share,
    /// It alone is more than all may be together.
    TooLarge,
}

impl Intake {
    /// With the bound and the pace of the settings.
    pub(crate) fn new(settings: &ApiSettings) -> Self {
        let limit = settings.body_bytes.min(Semaphore::MAX_PERMITS);
        let grace = settings.body_grace;
        Self {
            limit,
            room: Arc::new(Semaphore::new(limit)),
            shares: Shares::new(
                (limit / 2).max(largest_body(settings.limits.max_bytes)).min(limit),
            ),
            pressure: Notify::new(),
            grace,
            pace: (settings.body_rate as f64 * grace.as_secs_f64()) as usize,
            longest: settings.upload_timeout,
        }
    }

    /// The most that one body of a client may be.
    fn most(&self, client: Option<Client>) -> usize {
        client.map_or(self.limit, |_| self.shares.most())
    }

    /// Room for `bytes` more, when there is some or comes to be. A client's own share comes first, so that nobody stands
    /// in the common line for more than they may have; for it nobody else's body is given up.
    async fn take(&self, client: Option<Client>, bytes: usize) -> Result<Taken, Refusal> {
        let count = u32::try_from(bytes).map_err(|_| Refusal::TooLarge)?;
        let Some(client) = client else { return Ok((None, self.take_room(count).await?)) };
        let own = timeout(PATIENCE, self.shares.of(client).acquire_many_owned(count)).await;
        let own = own.map_err(|_| Refusal::Share)?.map_err(|_| Refusal::Share)?;
        Ok((Some(own), self.take_room(count).await?))
    }

    async fn take_room(&self, count: u32) -> Result<OwnedSemaphorePermit, Refusal> {
        let mut taking = pin!(Arc::clone(&self.room).acquire_many_owned(count));
        let given_up = Instant::now() + PATIENCE;
        loop {
            tokio::select! {
                biased;
                permit = &mut taking => return permit.map_err(|_| Refusal::Full),
                () = sleep_until(Instant::now() + ASK_EVERY) => self.pressure.notify_waiters(),
            }
            if Instant::now() >= given_up {
                return Err(Refusal::Full);
            }
        }
    }
}

impl Held {
    fn add(&self, (own, room): Taken) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut held.own, own) {
            (Some(held), Some(own)) => held.merge(own),
            (held, own) => *held = own,
        }
        match &mut held.room {
            Some(held) => held.merge(room),
            held => *held = Some(room),
        }
    }

    /// Whose it is, and how many bytes of it are held.
    fn state(&self) -> (Option<Client>, usize) {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (held.client, held.room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits))
    }

    /// Whether a file of its own begins. Says so once.
    fn is_anew(&self) -> bool {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).anew)
    }

    fn release(&self) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (held.own, held.room) = (None, None);
    }
}

/// Puts a request's body under the bound and the pace.
pub(crate) async fn measure(
    context: web::Data<Context>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let payload = std::mem::replace(request.parts_mut().1, Payload::None);
    if matches!(payload, Payload::None) {
        return next.call(request).await;
    }
    // Whoever asks without having signed in is counted by their address.
    let holding = Holding { client: Client::address(&request), ..Holding::default() };
    let held = Arc::new(Held(Mutex::new(holding)));
    request.extensions_mut().insert(Arc::clone(&held));
    let body = Body::new(payload, context, Arc::clone(&held));
    request.set_payload(Payload::Stream { payload: Box::pin(body.into_stream()) });
    let answered = next.call(request).await;
    held.release();
    answered
}

/// Tells whose a request is, before its body is read.
pub(crate) fn belongs_to(request: &HttpRequest, client: Option<Client>) {
    if let Some(held) = request.extensions().get::<Arc<Held>>() {
        held.0.lock().unwrap_or_else(PoisonError::into_inner).client = client;
    }
}

/// Tells that a request holds nothing of its body any more, though it is not answered yet.
pub(crate) fn let_go(request: &HttpRequest) {
    if let Some(held) = request.extensions().get::<Arc<Held>>() {
        held.release();
    }
}

/// The same, and what comes next of the body has the time that a body has: it is another file.
pub(crate) fn begin_anew(request: &HttpRequest) {
    if let Some(held) = request.extensions().get::<Arc<Held>>() {
        held.release();
        held.0.lock().unwrap_or_else(PoisonError::into_inner).anew = true;
    }
}

/// What a client is told where a body could not be read.
pub(crate) fn problem(error: &PayloadError) -> Problem {
    let refusal = match error {
        PayloadError::Io(error) => {
            error.get_ref().and_then(|inner| inner.downcast_ref::<Refusal>())
        }
        _ => None,
    };
    match refusal {
        Some(Refusal::Slow) => Problem::new(
            Kind::TooSlowUpload,
            "The body stood still, or came too slowly; send it again.",
        ),
        Some(Refusal::Full) => {
            let detail = "Other requests hold all the room there is for bodies; send it again.";
            Problem::new(Kind::Busy, detail)
        }
        Some(Refusal::Share) => {
            let detail = "Your other requests hold all the room for bodies that one may have; send it again.";
            Problem::new(Kind::Busy, detail)
        }
        Some(Refusal::TooLarge) => {
            Problem::new(Kind::TooLarge, "The body is larger than all may be.")
        }
        None => Problem::new(Kind::BadRequest, "The body ended early or could not be read."),
    }
}

/// A body on its way.
struct Body {
    payload: Payload,
    context: web::Data<Context>,
    held: Arc<Held>,
    /// When it is given up, unless as much as the pace asks for has arrived.
    deadline: Instant,
    /// Bytes since the deadline was set.
    since: usize,
    last: Instant,
    end: Instant,
}

impl Body {
    fn new(payload: Payload, context: web::Data<Context>, held: Arc<Held>) -> Self {
        let (now, intake) = (Instant::now(), &context.intake);
        let (deadline, end) = (now + intake.grace, now + intake.longest);
        Self { payload, held, deadline, since: 0, last: now, end, context }
    }

    fn into_stream(self) -> impl Stream<Item = Result<Bytes, PayloadError>> {
        stream::try_unfold(self, |mut body| async move {
            match body.next().await {
                Ok(bytes) => Ok(bytes.map(|bytes| (bytes, body))),
                Err(Stop::Broken(error)) => Err(error),
                Err(Stop::Refused(refusal)) => Err(PayloadError::Io(io::Error::other(refusal))),
            }
        })
    }

    /// The next bytes, with room for them; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Stop> {
        let context = self.context.clone();
        let intake = &context.intake;
        if self.held.is_anew() {
            let now = Instant::now();
            (self.deadline, self.end) = (now + intake.grace, now + intake.longest);
            (self.since, self.last) = (0, now);
        }
        let Some(bytes) = self.arriving(intake).await? else { return Ok(None) };
        let bytes = bytes.map_err(Stop::Broken)?;
        let (client, held) = self.held.state();
        if held + bytes.len() > intake.most(client) {
            return Err(Stop::Refused(Refusal::TooLarge));
        }
        self.held.add(intake.take(client, bytes.len()).await.map_err(Stop::Refused)?);
        let now = Instant::now();
        self.last = now;
        self.since += bytes.len();
        if self.since >= intake.pace {
            (self.deadline, self.since) = (now + intake.grace, 0);
        }
        Ok(Some(bytes))
    }

    async fn arriving(
        &mut self,
        intake: &Intake,
    ) -> Result<Option<Result<Bytes, PayloadError>>, Stop> {
        let deadline = self.deadline.min(self.end);
        loop {
            tokio::select! {
                biased;
                bytes = self.payload.next() => return Ok(bytes),
                () = sleep_until(deadline) => return Err(Stop::Refused(Refusal::Slow)),
                () = intake.pressure.notified() => {
                    if self.last.elapsed() >= STALLED {
                        return Err(Stop::Refused(Refusal::Slow));
                    }
                }
            }
        }
    }
}

enum Stop {
    Broken(PayloadError),
    Refused(Refusal),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Slow => "the body is too slow",
            Refusal::Full => "no room for the body",
            Refusal::Share => "no room for another body of this client",
            Refusal::TooLarge => "the body is too large",
        })
    }
}

impl std::error::Error for Refusal {}
