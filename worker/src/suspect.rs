//! Suspects: images whose earlier attempt ended without a report. One of them may have taken the
//! process down, and everything else in hand was counted an attempt for it.
//!
//! So that a poisonous image cannot drag innocent ones into quarantine, few suspects at a time are
//! worked on in a process: those of one crash a batch at a time, since hardly any of them is to blame
//! and their patients wait; those of two crashes one at a time. The others wait in hand, given back in
//! the store, so that a crash counts nothing against them, and are claimed anew when their turn comes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lobar_core::queue::Settlement;

use crate::context::Context;
use crate::intake;
use crate::ticket::{End, Finished, Ticket};

/// Turns that there are at once.
pub(crate) const TURNS: u32 = 16;
/// When to look again at a suspect that found no place to wait.
const AGAIN: Duration = Duration::from_secs(1);

/// How many turns an image takes: all of them when it has been in two crashes, so that it is alone.
fn share(ticket: &Ticket) -> u32 {
    if ticket.claimed.attempt > 2 { TURNS } else { 1 }
}

/// Answers the suspects whose turn it is, if any is among these. The others are given back in the
/// store before this returns, and wait.
pub(crate) async fn put_off(context: &Arc<Context>, suspects: Vec<Ticket>) -> Vec<Ticket> {
    // The rest of the slots stays free for images that nothing speaks against.
    let places = context.slots.total().div_ceil(4);
    let (mut started, mut waiting) = (Vec::new(), Vec::new());
    for mut ticket in suspects {
        let share = share(&ticket);
        // Another crash may have come while it waited for the turn that it has.
        ticket.turn = ticket.turn.filter(|turn| turn.num_permits() as u32 >= share);
        if ticket.turn.is_none() {
            ticket.turn = context.turns.clone().try_acquire_many_owned(share).ok();
        }
        if ticket.turn.is_some() {
            started.push(ticket);
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
        return started;
    }
    let work: Vec<_> = waiting.iter().map(|(ticket, _)| ticket.work()).collect();
    let released = context.store.release(&work).await;
    if let Err(error) = &released
        && error.is_transient()
    {
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
    started
}

/// Waits for the image's turn, and claims it anew. Boxed, because claiming may lead back here.
fn wait(
    context: Arc<Context>,
    ticket: Ticket,
    place: Waiting,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let share = share(&ticket);
        let Ticket { held, in_work, .. } = ticket;
        let lost = held.lease.lost();
        let turn = tokio::select! {
            biased;
            () = lost.cancelled() => return,
            () = context.stopping.cancelled() => None,
            turn = context.turns.clone().acquire_many_owned(share) => turn.ok(),
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
