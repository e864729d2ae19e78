//! Receiving jobs and claiming their images: one loop a lane.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::image::{Lane, State};
use lobar_core::job::{Job, JobError};
use lobar_core::queue::{Delivery, Settlement};
use lobar_core::store::Claim;
use tokio::sync::OwnedSemaphorePermit;

use crate::context::Context;
use crate::lease::Keeper;
use crate::slots::Slot;
use crate::suspect;
use crate::ticket::{Finished, Held, InWork, Ticket};
use crate::work;

/// How long a receive that is under way may go on after the stop; what it brings is given back.
const LAST_POLL: Duration = Duration::from_millis(500);
/// When to look again at a job whose image is in work here already.
const IN_WORK_AGAIN: Duration = Duration::from_secs(5);
/// When to look again at a job that this release cannot read: another may be rolling out.
const TOO_NEW_AGAIN: Duration = Duration::from_secs(60);
/// When to look again at a job whose image the store does not know (yet).
const UNKNOWN_AGAIN: Duration = Duration::from_secs(2);
/// How often a job that nobody understands is looked at before it is put aside.
const LOOKS: u32 = 5;

/// Receives one lane's jobs until told to stop.
pub(crate) async fn receive(context: Arc<Context>, lane: Lane) {
    let settings = &context.settings;
    let mut flooded = false;
    loop {
        let pause = context.circuits.pause(settings.backoff);
        let most = if pause.is_some() { 1 } else { settings.capacity.receive() };
        let ready = async {
            tokio::time::sleep(pause.unwrap_or_default()).await;
            context.slots.take(lane, most, flooded).await
        };
        let slots = tokio::select! {
            biased;
            () = context.stopping.cancelled() => return,
            slots = ready => slots,
        };
        let last = async {
            context.stopping.cancelled().await;
            tokio::time::sleep(LAST_POLL).await;
        };
        let queue = context.jobs.of(lane);
        let received = tokio::select! {
            received = queue.receive(slots.len(), settings.wait, settings.lease) => received,
            () = last => return,
        };
        match received {
            Ok(deliveries) => {
                context.circuits.jobs.succeeded();
                flooded = deliveries.len() >= slots.len();
                if !deliveries.is_empty() {
                    context.spawn(take_in(context.clone(), lane, deliveries, slots));
                }
            }
            Err(error) => context.circuits.jobs.failed(&error),
        }
    }
}

/// Takes in what one receive brought.
async fn take_in(context: Arc<Context>, lane: Lane, deliveries: Vec<Delivery>, slots: Vec<Slot>) {
    let receipts = deliveries.iter().map(|one| one.receipt.clone());
    let queue = context.jobs.of(lane).clone();
    let (keeper, leases) =
        Keeper::new(queue, receipts, context.settings.lease, context.metrics.clone());
    context.spawn_part(keeper.run());

    let mut images = Vec::with_capacity(deliveries.len());
    for ((delivery, lease), slot) in deliveries.into_iter().zip(leases).zip(slots) {
        let receive_count = delivery.receive_count;
        let held = Held { lane, lease, receive_count, _slot: slot };
        if context.stopping.is_cancelled() {
            context.finish(Finished::Message(held, Settlement::Release)).await;
            continue;
        }
        match read(&context, &delivery) {
            Ok(in_work) => images.push((held, in_work)),
            Err(settlement) => context.finish(Finished::Message(held, settlement)).await,
        }
    }
    claim(&context, images, None).await;
}

/// The image of a job that can be worked on now, or what is to become of the message.
fn read(context: &Context, delivery: &Delivery) -> Result<InWork, Settlement> {
    match Job::decode(&delivery.body) {
        Ok(job) => context.roll.enter(job.image).ok_or(Settlement::Retry { after: IN_WORK_AGAIN }),
        Err(JobError::TooNew(_)) if delivery.receive_count < LOOKS => {
            Err(Settlement::Retry { after: TOO_NEW_AGAIN })
        }
        Err(error) => {
            tracing::error!(%error, "a job message was put aside");
            Err(Settlement::Dead { reason: "not a job message of this release".into() })
        }
    }
}

/// Claims images, and sets work going on those that are granted. The attempt is counted here, before
/// a byte of them is read. `turn` is given to the one image that has waited for it.
pub(crate) async fn claim(
    context: &Arc<Context>,
    images: Vec<(Held, InWork)>,
    mut turn: Option<OwnedSemaphorePermit>,
) {
    if images.is_empty() {
        return;
    }
    let ids: Vec<_> = images.iter().map(|(_, in_work)| in_work.id).collect();
    let claims = match context.store.claim(&ids, context.settings.max_attempts).await {
        Ok(claims) => claims,
        Err(error) => {
            context.circuits.store.failed(&error);
            for (held, _) in images {
                context.finish(Finished::Message(held, Settlement::Release)).await;
            }
            return;
        }
    };
    context.circuits.store.succeeded();
    let (mut start, mut suspects) = (Vec::new(), Vec::new());
    for ((held, in_work), claim) in images.into_iter().zip(claims) {
        match claim {
            Claim::Granted(claimed) => {
                let suspicious = claimed.attempt > 1;
                let ticket = Ticket { held, claimed, turn: turn.take(), in_work };
                if suspicious { &mut suspects } else { &mut start }.push(ticket);
            }
            Claim::Settled(state) => {
                if state == State::Failed {
                    context.metrics.images.with_label_values(&[state.as_str()]).inc();
                }
                context.finish(Finished::Message(held, Settlement::Done)).await;
            }
            Claim::Unknown => {
                let settlement = if held.receive_count < LOOKS {
                    Settlement::Retry { after: UNKNOWN_AGAIN }
                } else {
                    Settlement::Dead { reason: "the store does not know this image".into() }
                };
                context.finish(Finished::Message(held, settlement)).await;
            }
        }
    }
    // Before anything starts, so that what may take the process down finds the others given back.
    start.extend(suspect::put_off(context, suspects).await);
    for ticket in start {
        context.spawn(work::work(context.clone(), ticket));
    }
    // Claimed images are now analysing, or were put in quarantine.
    if let Err(error) = context.signal.publish().await {
        tracing::debug!(%error, "the signal was not published; pages follow by polling");
    }
}
