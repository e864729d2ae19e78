//! Suspects: images whose earlier attempt ended without a report, so that one of them may have
//! crashed its process (poison messages).
//!
//! Only MAX_CONCURRENT_SUSPECTS are worked on at once per process: after one crash a batch at a
//! time, after two crashes one image alone. The others are released in the store, so that another
//! worker can take them over, keep their lease here, and are claimed again when a permit is free. Their
//! attempt is counted only where decoding begins, so that a crash is charged to nobody who merely waited.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lobar_core::queue::Settlement;

use crate::claim;
use crate::context::Context;
use crate::work_item::{End, Finished, WorkItem};

/// Turns that there are at once.
pub(crate) const MAX_CONCURRENT_SUSPECTS: u32 = 16;
/// When to look again at a suspect that found no place to wait.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// How many turns an image takes: all of them when it has been in two crashes, so that it is alone.
pub(crate) fn permits_needed(item: &WorkItem) -> u32 {
    if item.claimed.attempt > 2 { MAX_CONCURRENT_SUSPECTS } else { 1 }
}

/// Answers the suspects whose turn it is, if any is among these, and those that are to wait for theirs:
/// they are given back in the store before this returns.
pub(crate) async fn start_or_defer(
    context: &Arc<Context>,
    suspects: Vec<WorkItem>,
) -> (Vec<WorkItem>, Vec<(WorkItem, DeferredSuspect)>) {
    // The rest of the slots stays free for images that nothing speaks against.
    let places = context.slots.total().div_ceil(4);
    let (mut started, mut waiting) = (Vec::new(), Vec::new());
    for mut item in suspects {
        let permits_needed = permits_needed(&item);
        // Another crash may have come while it waited for the turn that it has.
        item.suspect_permit = item
            .suspect_permit
            .filter(|suspect_permit| suspect_permit.num_permits() as u32 >= permits_needed);
        if item.suspect_permit.is_none() {
            item.suspect_permit =
                context.suspect_permits.clone().try_acquire_many_owned(permits_needed).ok();
        }
        if item.suspect_permit.is_some() {
            started.push(item);
            continue;
        }
        let place = DeferredSuspect::new(context.clone());
        if place.before < places {
            waiting.push((item, place));
        } else {
            let again = RETRY_DELAY.mul_f64(1.0 + rand::random::<f64>());
            let end = End::Release(Settlement::Retry { after: again });
            context.finish(Finished::Image(item, end)).await;
        }
    }
    if waiting.is_empty() {
        return (started, waiting);
    }
    let held: Vec<_> = waiting.iter().map(|(item, _)| item.held()).collect();
    let Err(error) = context.store.release(&held).await else { return (started, waiting) };
    if error.is_transient() {
        context.services.store.failed(&error);
    }
    // The finisher gives them back, one by one if need be.
    for (item, _) in waiting {
        let end = End::Release(Settlement::Retry { after: RETRY_DELAY });
        context.finish(Finished::Image(item, end)).await;
    }
    (started, Vec::new())
}

/// Counts the attempt of an image whose claim counted none: from here on it may take the process down.
pub(crate) async fn count_attempt(context: &Context, item: &mut WorkItem) -> Result<(), End> {
    if item.claimed.counted {
        return Ok(());
    }
    let image = item.claimed.id;
    let later = || Settlement::Retry { after: context.later(item.message.receive_count) };
    let settlement = match context.store.count_attempts(&[item.held()]).await {
        Ok(counted) if counted == [true] => {
            item.claimed.counted = true;
            context.rejected_claims.note(true, []);
            return Ok(());
        }
        // Another claim came between, or it has ended: its job will tell.
        Ok(_) => later(),
        Err(error) => {
            let rejected = (!error.is_transient()).then_some(image);
            let cause = context.rejected_claims.note(false, rejected);
            if claim::is_outage(&error, cause) {
                context.services.store.failed(&error);
                later()
            } else {
                claim::rejected(context, &item.message, image, &error)
            }
        }
    };
    Err(End::Release(settlement))
}

/// One suspect that waits; there are so many of them at most.
pub(crate) struct DeferredSuspect {
    context: Arc<Context>,
    before: usize,
}

impl DeferredSuspect {
    fn new(context: Arc<Context>) -> Self {
        let before = context.waiting_suspects.fetch_add(1, Ordering::Relaxed);
        Self { context, before }
    }
}

impl Drop for DeferredSuspect {
    fn drop(&mut self) {
        self.context.waiting_suspects.fetch_sub(1, Ordering::Relaxed);
    }
}
