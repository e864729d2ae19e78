//! `GET /v1/events`: every change of state, live and in order.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use futures::StreamExt as _;
use lobar_core::access::Who;
use lobar_core::audit::Action;
use serde::Deserialize;
use tokio::time::sleep;
use utoipa::IntoParams;

use crate::access::identity::still;
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::problem::{Kind, Problem};
use crate::rate::RateLimits;
use crate::record::entry;
use crate::stream::{Client, OpenStream, seen, start};

/// Where to begin.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// Everything after the event of this `id`; 0 is the beginning. Without it, and without `Last-Event-ID`:
    /// from now on.
    #[param(value_type = Option<u64>)]
    after: Option<String>,
}

/// The live events of the caller's sites as server-sent events.
///
/// `event: image` with `{"id","status"}`; its `id:` is a whole number that grows with each event: the event's number
/// and five check digits of the event. `event: reset` when what comes does not join what the client knows: events
/// after its position are not kept any more, or its position is of events that a restore of the store has lost. Load lists
/// anew then.
/// `event: stale` while the store cannot be read. `event: goodbye` when the server stops. A comment
/// at least every 15 s.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(EventsQuery, ("Last-Event-ID" = Option<u64>, Header, description = "The `id` of the last event that was seen; goes before `after`.")),
    responses(
        (status = 200, description = "The stream.", content_type = "text/event-stream"),
        (status = 400, description = "Not the `id` of an event.", content_type = "application/problem+json"),
        (status = 429, description = "The caller follows as many as one may; `Retry-After` says when to come back.", content_type = "application/problem+json"),
        (status = 503, description = "As many streams are open as there is room for.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn events(
    allowed: Allowed<need::ReadImages>,
    context: Data<Context>,
    limits: Data<RateLimits>,
    request: HttpRequest,
    query: Query<EventsQuery>,
) -> Result<HttpResponse, Problem> {
    let asked = seen(&request, query.after.as_deref())?;
    if context.hub.stop.is_cancelled() {
        return Err(Problem::new(Kind::Stopping, "Come back in a moment."));
    }
    let place = match &allowed.caller().who {
        Who::Local => None,
        who => Some(limits.enter_stream(who.id())?),
    };
    let open =
        OpenStream::open(&context.hub, context.settings.streams, place).ok_or_else(|| {
            Problem::new(Kind::TooManyStreams, "Ask another process, or close a page.")
        })?;
    context.recorder.note(entry(&allowed, Action::EventsFollowed, None))?;
    // Subscribed first, so that nothing falls between the position and the live batches.
    let batches = context.hub.subscribe();
    let now = context.hub.position();
    let start = context.ask(move |store| async move { start(&store, asked, now).await }).await?;
    let sites = allowed.sites().clone();
    let client = Client::new(
        Arc::clone(&context.hub),
        Arc::clone(&context.store),
        batches,
        start,
        sites,
        context.settings.heartbeat,
        open,
    );
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(client.into_stream().take_until(over(context, allowed))))
}

/// Waits until the caller may not follow the stream any more: they signed out, their session has ended, or their rights
/// are others. What this process does to them it hears of at once, what another does at the next look. A store that does not answer ends no stream: nothing new can be read from it either.
async fn over(context: Data<Context>, allowed: Allowed<need::ReadImages>) {
    let (own, mut forgotten) = (allowed.caller().who.id(), context.identity.hear());
    while still(&context, allowed.granted()).await.unwrap_or(true) {
        let pause = sleep(context.settings.stream_check);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                // Who has missed some of them may have missed their own.
                heard = forgotten.recv() => if heard.map_or(true, |id| id == own) { break },
            }
        }
    }
}
