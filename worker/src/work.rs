//! One image, from its claim to the device: fetched, decoded, checked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lobar_consumer::Cause;
use lobar_core::audit::Digest;
use lobar_core::failure::PortError;
use lobar_core::image::Reason;
use lobar_core::object_store::{FetchError, Fetched};
use lobar_core::queue::Settlement;
use lobar_core::store::{Claimed, Outcome};
use lobar_core::study::{self, Attributes, OTHER_PATIENT_SAID};
use lobar_core::time::{Clock, SystemClock};
use lobar_imaging::{Prepared, Read, Rejection};
use tracing::Instrument as _;

use crate::context::Context;
use crate::suspect;
use crate::work_item::{Decoded, End, Finished, WorkItem};

/// How long one fetch may take before it counts as failed for now.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// Works on one image until it is at the device, or ended before.
pub(crate) async fn work(context: Arc<Context>, item: WorkItem) {
    let span = item.message.span.clone();
    prepare_and_pass_on(context, item).instrument(span).await;
}

async fn prepare_and_pass_on(context: Arc<Context>, mut item: WorkItem) {
    let lost = item.message.lease.lost();
    let end = tokio::select! {
        biased;
        () = lost.cancelled() => End::Lost,
        () = context.give_up.cancelled() => End::Release(Settlement::Release),
        prepared = prepare(&context, &mut item) => match prepared {
            Ok(Ready { prepared, other_patient, timings_ms }) => {
                let Prepared { input, warnings, .. } = prepared;
                let warnings = warnings.iter().map(ToString::to_string);
                let said = other_patient.then(|| OTHER_PATIENT_SAID.to_owned());
                let warnings = warnings.chain(said).collect();
                let since = Instant::now();
                let decoded = Decoded { item, input, warnings, timings_ms, since };
                match context.decoded.send(decoded).await {
                    Ok(()) => return,
                    // The dispatcher has ended: so has the engine.
                    Err(refused) => {
                        let end = End::Release(Settlement::Release);
                        return context.finish(Finished::Image(refused.0.item, end)).await;
                    }
                }
            }
            Err(end) => end,
        },
    };
    context.finish(Finished::Image(item, end)).await;
}

struct Ready {
    prepared: Prepared,
    /// Whether the metadata of the object names another patient than the file does.
    other_patient: bool,
    timings_ms: BTreeMap<String, f64>,
}

async fn prepare(context: &Context, item: &mut WorkItem) -> Result<Ready, End> {
    // Held until the bytes are gone again: bounds the files in memory, by number and by bytes.
    let lane = item.claimed.lane;
    let _place = context.fetches.acquire(lane, 1).await;
    let largest = context.settings.limits.max_bytes as u64;
    let bytes = item.claimed.object.size.map_or(largest, |size| size.min(largest));
    let _room = context.file_memory.acquire(lane, kib(bytes)).await;
    let started = Instant::now();
    let fetching = fetch(context, &item.claimed, item.message.receive_count);
    let Fetched { bytes, metadata } = fetching.instrument(tracing::info_span!("fetch")).await?;
    let fetched = started.elapsed();
    context.metrics.stage("fetch", fetched.as_secs_f64());

    let decoder = context.decoders.acquire(lane, 1).await;
    // Not while it waits: what ends the process meanwhile is another image.
    suspect::count_attempt(context, item).await?;
    item.basis.input = Some(hash(bytes.clone()).await?);
    let limits = context.settings.limits;
    let started = Instant::now();
    let span = tracing::info_span!("decode");
    let decoding = tokio::task::spawn_blocking(move || {
        // Held by the work itself, which goes on when nobody waits for it any more.
        let _decoder = decoder;
        span.in_scope(|| lobar_imaging::read(&bytes, &limits))
    });
    let Read { attributes, prepared } = match decoding.await {
        Ok(read) => read,
        Err(failed) if failed.is_panic() => {
            tracing::error!(image = %item.claimed.id, "decoder panicked; the image needs a human");
            let gave_up = "The decoder gave up on this file.";
            let prepared = Err(Rejection::new(Reason::Undecodable, gave_up));
            Read { attributes: None, prepared }
        }
        // The runtime is going away.
        Err(_) => return Err(End::Release(Settlement::Release)),
    };
    let decoded = started.elapsed();
    context.metrics.stage("decode", decoded.as_secs_f64());
    let attributes = attributes.map(Attributes::bounded);
    let (identity, other_patient) = study::join(attributes, study::of_metadata(&metadata));
    item.basis.identity = identity.map(Box::new);
    let prepared = prepared.map_err(|Rejection { reason, detail }| needs_human(reason, detail))?;
    let timings_ms =
        BTreeMap::from([("fetch".into(), ms(fetched)), ("decode".into(), ms(decoded))]);
    Ok(Ready { prepared, other_patient, timings_ms })
}

/// Bytes in KiB, as many as hold them.
pub(crate) fn kib(bytes: u64) -> usize {
    usize::try_from(bytes.div_ceil(1 << 10)).unwrap_or(usize::MAX)
}

/// The digest of a file, for the record; in a step of its own, so that a decoder that gives up does not lose it.
async fn hash(bytes: Bytes) -> Result<Digest, End> {
    let hashing = tokio::task::spawn_blocking(move || Digest::of(&bytes));
    // The runtime is going away.
    hashing.await.map_err(|_| End::Release(Settlement::Release))
}

async fn fetch(context: &Context, claimed: &Claimed, receives: u32) -> Result<Fetched, End> {
    let limit = u64::try_from(context.settings.limits.max_bytes).unwrap_or(u64::MAX);
    let fetching = context.objects.fetch(&claimed.object, limit);
    let Ok(fetched) = tokio::time::timeout(FETCH_LIMIT, fetching).await else {
        let error = PortError::transient("object store: fetch", SlowFetch);
        return Err(failed_for_now(context, claimed, receives, &error).await);
    };
    if !matches!(fetched, Err(FetchError::Port(_) | FetchError::Denied)) {
        context.services.objects.succeeded();
        context.rejected_fetches.note(true, []);
        context.failing_fetches.answered(claimed.id, fetched.is_ok());
    }
    match fetched {
        Ok(fetched) => Ok(fetched),
        Err(FetchError::Gone) => Err(End::Complete(Outcome::Superseded)),
        Err(FetchError::Missing) => {
            Err(needs_human(Reason::ObjectMissing, "There is no object of this name."))
        }
        Err(FetchError::TooLarge { limit }) => {
            Err(needs_human(Reason::TooLarge, format!("At most {limit} bytes are accepted.")))
        }
        // Denied for this object, or for everything? Only the first says something of the image.
        Err(FetchError::Denied) => match context.objects.check().await {
            Ok(()) => Err(needs_human(Reason::AccessDenied, "The bucket refuses this object.")),
            Err(error) => Err(failed_for_now(context, claimed, receives, &error).await),
        },
        Err(FetchError::Port(error)) if error.is_transient() => {
            Err(failed_for_now(context, claimed, receives, &error).await)
        }
        Err(FetchError::Port(error)) => {
            let image = claimed.id;
            context.metrics.rejected("fetch", 1);
            let cause = context.rejected_fetches.note(false, [image]);
            if cause == Cause::Item && context.objects.check().await.is_ok() {
                let (attempt, of) = (claimed.attempt, context.settings.max_attempts);
                tracing::error!(%image, attempt, of, %error, "the object store rejected a fetch; the image is tried again, and goes to quarantine after its last attempt");
                Err(End::Retry)
            } else {
                Err(failed_for_now(context, claimed, receives, &error).await)
            }
        }
    }
}

/// What becomes of an image whose object could not be had this time: it is tried again, uncounted, unless the
/// bucket has delivered others for long and never this one (see [`failing_fetches`](crate::failing_fetches)).
async fn failed_for_now(
    context: &Context,
    claimed: &Claimed,
    receives: u32,
    error: &PortError,
) -> End {
    context.services.objects.failed(error);
    let (image, bound) = (claimed.id, context.settings.unreadable);
    let failures = context.failing_fetches.failed(image);
    let later = End::Release(Settlement::Retry { after: context.later(receives) });
    if failures < bound.failures {
        return later;
    }
    // Asked only now: the claim does not tell when the image was received.
    let Ok(Some(received)) = context.store.image(image).await.map(|known| Some(known?.received_at))
    else {
        return later;
    };
    if SystemClock.now().since(received) < bound.age {
        return later;
    }
    tracing::error!(%image, failures, %error, "an object could not be read while others were; its image is given up until the object is put again");
    let detail = "The bucket delivers other files, but not this one.".into();
    End::Complete(Outcome::Failed { reason: Reason::FetchFailed, detail })
}

#[derive(Debug, thiserror::Error)]
#[error("not delivered within {FETCH_LIMIT:?}")]
struct SlowFetch;

fn needs_human(reason: Reason, detail: impl Into<String>) -> End {
    End::Complete(Outcome::NeedsHuman { reason, detail: detail.into() })
}

/// Milliseconds, as in a finding's timings.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
