//! Suspects: images whose earlier attempt ended without a report. One of them may have taken the
//! process down, and everything else in hand was counted an attempt for it.
//!
//! So that a poisonous image cannot drag innocent ones into quarantine, one suspect at a time is
//! worked on in a process. The others wait in hand, given back in the store, so that a crash counts
//! nothing against them, and are claimed anew when their turn comes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lobar_core::queue::Settlement;

use crate::context::Context;
use crate::intake;
use crate::ticket::{End, Finished, Ticket};

/// When to look again at a suspect that found no place to wait.
const AGAIN: Duration = Duration::from_secs(1);

/// Answers the suspect whose turn it is, if it is among these. The others are given back in the
/// store before this returns, and wait.
pub(crate) async fn put_off(context: &Arc<Context>, suspects: Vec<Ticket>) -> Option<Ticket> {
    // The rest of the slots stays free for images that nothing speaks against.
    let places = context.slots.total().div_ceil(4);
    let (mut first, mut waiting) = (None, Vec::new());
    for mut ticket in suspects {
        if ticket.turn.is_none() && first.is_none() {
            ticket.turn = context.turns.clone().try_acquire_owned().ok();
        }
        if ticket.turn.is_some() {
            first = Some(ticket);
            continue;
        }
        let place = Waiting::new(context.clone());
        if place.before < places {
            waiting.push((ticket, place));
        } else {
            let again = AGAIN.mul_f64(1.0 + rand::random::<f64>());
            let end = End::Release(Settlement::Retry { after: again });
            context.finish(Finished::Image(ticket, end)).await;
        }
    }
    if waiting.is_empty() {
        return first;
    }
    let work: Vec<_> = waiting.iter().map(|(ticket, _)| ticket.work()).collect();
    let released = context.store.release(&work).await;
    if let Err(error) = &released {
        context.circuits.store.failed(error);
    }
    for (ticket, place) in waiting {
        if released.is_ok() {
            context.spawn(wait(context.clone(), ticket, place));
        } else {
            let end = End::Release(Settlement::Retry { after: AGAIN });
            context.finish(Finished::Image(ticket, end)).await;
        }
    }
    first
}

/// Waits for the image's turn, and claims it anew. Boxed, because claiming may lead back here.
fn wait(
    context: Arc<Context>,
    ticket: Ticket,
    place: Waiting,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let Ticket { held, in_work, .. } = ticket;
        let lost = held.lease.lost();
        let turn = tokio::select! {
            biased;
            () = lost.cancelled() => return,
            () = context.stopping.cancelled() => None,
            turn = context.turns.clone().acquire_owned() => turn.ok(),
        };
        drop(place);
        match turn {
            Some(_) => intake::claim(&context, vec![(held, in_work)], turn).await,
            None => context.finish(Finished::Message(held, Settlement::Release)).await,
        }
    })
}

/// One waiting suspect, counted.
struct Waiting {
    context: Arc<Context>,
    before: usize,
}

impl Waiting {
    fn new(context: Arc<Context>) -> Self {
        let before = context.waiting_suspects.fetch_add(1, Ordering::Relaxed);
        Self { context, before }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.context.waiting_suspects.fetch_sub(1, Ordering::Relaxed);
    }
}
