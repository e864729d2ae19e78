//! Claiming images, and setting work going on those that are granted.
//!
//! A claimed image that may have taken a process down waits for its turn (see [`suspect`]) and is claimed
//! anew then: [`start_granted`] and [`claim_in_turn`] call one another.
//!
//! A worker asks for one claim at a time, and what comes meanwhile is asked for together ([`Claims`]). How often: see
//! [`crate::pace`].

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lobar_consumer::{Cause, isolate};
use lobar_core::failure::PortError;
use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::queue::Settlement;
use lobar_core::store::{Basis, Claim};
use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::context::Context;
use crate::pace::Pace;
use crate::suspect::{self, DeferredSuspect};
use crate::work;
use crate::work_item::{DeadLetter, Finished, InFlightGuard, LeasedMessage, WorkItem};

/// When to look again at a job whose image the store does not know (yet).
const UNKNOWN_IMAGE_RETRY_DELAY: Duration = Duration::from_secs(2);
/// How often a job is received before it is put aside, when its image cannot be claimed.
const MAX_RECEIVES: u32 = 5;

/// Messages in hand, and the images that they are about.
type Images = Vec<(LeasedMessage, InFlightGuard)>;

/// Images whose claim is asked for next.
#[derive(Default)]
pub(crate) struct Claims {
    waiting: Mutex<Images>,
    more: Notify,
    turn: tokio::sync::Mutex<Pace>,
}

impl Claims {
    fn waiting(&self) -> MutexGuard<'_, Images> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that wait, once they need not wait for more.
    async fn take(&self, pace: &Pace) -> Images {
        loop {
            let due = {
                let mut waiting = self.waiting();
                match pace.wait(waiting.iter().map(|(message, _)| message.lane)) {
                    Some(due) => due,
                    None => return std::mem::take(&mut *waiting),
                }
            };
            let _ = tokio::time::timeout_at(due, self.more.notified()).await;
        }
    }
}

/// Claims images, and those that came while another claim was under way, and sets work going on those that are granted. A first
/// attempt is counted here, before a byte of them is read, a later one right before the image is decoded
/// ([`suspect::count_attempt`]).
pub(crate) async fn claim(context: &Arc<Context>, images: Images) {
    context.claims.waiting().extend(images);
    context.claims.more.notify_one();
    let mut pace = context.claims.turn.lock().await;
    // Whoever had the turn before may have taken these too.
    if context.claims.waiting().is_empty() {
        return;
    }
    let images = context.claims.take(&pace).await;
    let asked = ask(context, &images).await;
    pace.ended();
    drop(pace);
    start_granted(context, images, asked, None).await;
}

/// Sets work going on images that are granted. `suspect_permit` is given to the one image that has waited for it.
async fn start_granted(
    context: &Arc<Context>,
    images: Images,
    (claims, cause): (Vec<Result<Claim, Arc<PortError>>>, Cause),
    mut suspect_permit: Option<OwnedSemaphorePermit>,
) {
    let (mut start, mut suspects) = (Vec::new(), Vec::new());
    for ((message, in_flight_guard), claim) in images.into_iter().zip(claims) {
        let settlement = match claim {
            Ok(Claim::Granted(claimed)) => {
                message.span.record("attempt", claimed.attempt);
                let trace = lobar_trace::trace_id(&message.span);
                message
                    .span
                    .in_scope(|| tracing::debug!(trace, "image claimed; it is fetched next"));
                let suspicious = !claimed.counted;
                let item = WorkItem {
                    message,
                    claimed,
                    suspect_permit: suspect_permit.take(),
                    in_flight_guard,
                    basis: Basis::default(),
                };
                if suspicious { &mut suspects } else { &mut start }.push(item);
                continue;
            }
            // Somebody gave it back while it was claimed: its job is still needed.
            Ok(Claim::Settled(state)) if !state.is_terminal() => Settlement::Release,
            Ok(Claim::Settled(state)) => {
                if state == State::Failed {
                    tracing::warn!(image = %in_flight_guard.id, "an image is in quarantine after its last attempt");
                    context.metrics.images.with_label_values(&[state.as_str()]).inc();
                }
                Settlement::Done
            }
            Ok(Claim::Unknown) => unknown(context, &message, in_flight_guard.id),
            Err(error) if is_outage(&error, cause) => Settlement::Release,
            Err(error) => rejected(context, &message, in_flight_guard.id, &error),
        };
        context.finish(Finished::Message(message, settlement)).await;
    }
    // Before anything starts, so that what may take the process down finds the others given back.
    let (in_turn, waiting) = suspect::start_or_defer(context, suspects).await;
    start.extend(in_turn);
    for (item, place) in waiting {
        context.spawn(claim_in_turn(context.clone(), item, place));
    }
    for item in start {
        context.spawn(work::work(context.clone(), item));
    }
    // Claimed images are now analysing, or were put in quarantine.
    context.publish().await;
}

/// Waits for the image's turn, and claims it anew. Boxed, because claiming may lead back here.
fn claim_in_turn(
    context: Arc<Context>,
    item: WorkItem,
    place: DeferredSuspect,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let permits_needed = suspect::permits_needed(&item);
        let WorkItem { message, in_flight_guard, .. } = item;
        let lost = message.lease.lost();
        let suspect_permit = tokio::select! {
            biased;
            () = lost.cancelled() => return,
            () = context.stopping.cancelled() => None,
            suspect_permit = context.suspect_permits.clone().acquire_many_owned(permits_needed) => suspect_permit.ok(),
        };
        drop(place);
        match suspect_permit {
            Some(_) => {
                let images = vec![(message, in_flight_guard)];
                let asked = ask(&context, &images).await;
                start_granted(&context, images, asked, suspect_permit).await;
            }
            None => context.finish(Finished::Message(message, Settlement::Release)).await,
        }
    })
}

/// Asks the store for images; says also what the rejections among the answers are about.
async fn ask(
    context: &Context,
    images: &[(LeasedMessage, InFlightGuard)],
) -> (Vec<Result<Claim, Arc<PortError>>>, Cause) {
    let ids: Vec<ImageId> = images.iter().map(|(_, in_flight_guard)| in_flight_guard.id).collect();
    let claims = isolate(ids.len(), |range| {
        let some = ids.get(range).unwrap_or_default();
        context.store.claim(some, context.settings.max_attempts)
    })
    .await;
    if claims.iter().any(Result::is_ok) {
        context.services.store.succeeded();
    }
    // Other answers are read, not written, and say nothing of whether claims are taken.
    let granted = claims.iter().any(|claim| matches!(claim, Ok(Claim::Granted(_))));
    let errors = || claims.iter().filter_map(|claim| claim.as_ref().err());
    let rejected = ids
        .iter()
        .zip(&claims)
        .filter(|(_, claim)| claim.as_ref().is_err_and(|error| !error.is_transient()));
    let cause = context.rejected_claims.note(granted, rejected.map(|(id, _)| *id));
    if let Some(error) = errors().find(|error| is_outage(error, cause)) {
        context.services.store.failed(error);
    }
    (claims, cause)
}

/// Whether the store is away, or rejects everything: no image is to blame.
pub(crate) fn is_outage(error: &PortError, cause: Cause) -> bool {
    error.is_transient() || cause == Cause::Service
}

/// What becomes of a job whose image the store does not know (yet).
fn unknown(context: &Context, message: &LeasedMessage, image: ImageId) -> Settlement {
    if message.receive_count < MAX_RECEIVES {
        return Settlement::Retry { after: UNKNOWN_IMAGE_RETRY_DELAY };
    }
    tracing::error!(%image, "the store does not know this image; its job is moved to the dead-letter queue");
    context.dead(DeadLetter::UnknownImage)
}

/// What becomes of a job whose image's claim is rejected for good: tried again with growing pauses, and
/// put aside when it has been received too often, since nothing can be written about this image.
pub(crate) fn rejected(
    context: &Context,
    message: &LeasedMessage,
    image: ImageId,
    error: &PortError,
) -> Settlement {
    context.metrics.rejected("claim", 1);
    let received = message.receive_count;
    if received < MAX_RECEIVES {
        let after = context.later(received);
        let seconds = after.as_secs_f64();
        tracing::error!(%image, received, of = MAX_RECEIVES, %error, "the store rejected the claim of an image; retrying in {seconds:.1} s");
        return Settlement::Retry { after };
    }
    tracing::error!(%image, received, %error, "the store rejected every claim of an image; its job is moved to the dead-letter queue");
    context.dead(DeadLetter::ClaimRejected)
}
