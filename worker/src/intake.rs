//! Receiving jobs: one loop a lane.

use std::sync::Arc;
use std::time::Duration;

use lobar_consumer::{self as consumer, Keeper};
use lobar_core::image::Lane;
use lobar_core::job::{Job, JobError};
use lobar_core::queue::{Delivery, Settlement};
use lobar_trace::Ongoing;
use tracing::field::{Empty, display};

use crate::claim;
use crate::context::Context;
use crate::settings::WorkerSettings;
use crate::slots::Slot;
use crate::work_item::{DeadLetter, Finished, InFlightGuard, LeasedMessage};

/// When to look again at a job whose image is in work here already.
const IN_FLIGHT_RETRY_DELAY: Duration = Duration::from_secs(5);
/// When to look again at a job that this release cannot read: another may be rolling out.
const NEWER_VERSION_RETRY_DELAY: Duration = Duration::from_secs(60);
/// How often a job that nobody understands is looked at before it is put aside.
const MAX_RECEIVES: u32 = 5;

/// Receives one lane's jobs until told to stop. While a service fails it pauses, and then takes one job to
/// find out whether it answers again.
pub(crate) async fn receive(context: Arc<Context>, lane: Lane) {
    let WorkerSettings { wait, lease, .. } = context.settings;
    let (queue, circuit) = (context.jobs.of(lane), context.services.jobs.of(lane));
    let mut saturated = false;
    loop {
        let pause = context.services.pause(lane);
        let most = if pause.is_some() { 1 } else { context.settings.capacity.receive() };
        let ready = async {
            tokio::time::sleep(pause.unwrap_or_default()).await;
            context.slots.take(lane, most, saturated).await
        };
        let slots = tokio::select! {
            biased;
            () = context.stopping.cancelled() => return,
            slots = ready => slots,
        };
        let received =
            consumer::receive(queue.as_ref(), slots.len(), wait, lease, &context.stopping).await;
        match received {
            Some(Ok(deliveries)) => {
                circuit.succeeded();
                saturated = deliveries.len() >= slots.len();
                if !deliveries.is_empty() {
                    context.spawn(accept_deliveries(context.clone(), lane, deliveries, slots));
                }
            }
            Some(Err(error)) => circuit.failed(&error),
            None => return,
        }
    }
}

/// Takes in what one receive brought.
async fn accept_deliveries(
    context: Arc<Context>,
    lane: Lane,
    deliveries: Vec<Delivery>,
    slots: Vec<Slot>,
) {
    let receipts = deliveries.iter().map(|one| one.receipt.clone());
    let queue = context.jobs.of(lane).clone();
    let lost = context.metrics.leases_lost.clone();
    let on_lost = Box::new(move || lost.inc());
    let (keeper, leases) = Keeper::new(queue, receipts, context.settings.lease, on_lost);
    context.spawn_service_task(keeper.run());

    let mut images = Vec::with_capacity(deliveries.len());
    for ((delivery, lease), slot) in deliveries.into_iter().zip(leases).zip(slots) {
        let receive_count = delivery.receive_count;
        let span = span(lane, &delivery);
        let message = LeasedMessage { lane, lease, receive_count, span, _slot: slot };
        if context.stopping.is_cancelled() {
            context.finish(Finished::Message(message, Settlement::Release)).await;
            continue;
        }
        match read(&context, lane, &delivery) {
            Ok(in_flight_guard) => {
                message.span.record("image", display(in_flight_guard.id));
                images.push((message, in_flight_guard));
            }
            Err(settlement) => context.finish(Finished::Message(message, settlement)).await,
        }
    }
    claim::claim(&context, images).await;
}

/// The span of one job; it continues the one that its message names.
fn span(lane: Lane, delivery: &Delivery) -> Ongoing {
    let lane = lane.as_str();
    let span = tracing::info_span!(
        parent: None,
        "job",
        image = Empty,
        lane,
        attempt = Empty,
        queue = "jobs",
        model = Empty,
    );
    lobar_trace::continue_from(&span, delivery.trace);
    Ongoing::new(span)
}

/// The image of a job that can be worked on now, or what is to become of the message.
fn read(context: &Context, lane: Lane, delivery: &Delivery) -> Result<InFlightGuard, Settlement> {
    match Job::decode(&delivery.body) {
        Ok(job) => context
            .in_flight
            .insert(job.image)
            .ok_or(Settlement::Retry { after: IN_FLIGHT_RETRY_DELAY }),
        Err(JobError::TooNew(_)) if delivery.receive_count < MAX_RECEIVES => {
            Err(Settlement::Retry { after: NEWER_VERSION_RETRY_DELAY })
        }
        Err(error) => {
            tracing::error!(lane = lane.as_str(), %error, "a job message cannot be read; it is moved to the dead-letter queue");
            Err(context.dead(DeadLetter::Unreadable))
        }
    }
}
