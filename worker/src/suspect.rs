//! Suspects: images whose earlier attempt ended without a report. One of them may have taken the
//! process down, and everything else in hand was counted an attempt for it.
//!
//! So that a poisonous image cannot drag innocent ones into quarantine, few suspects at a time are
//! worked on in a process: those of one crash a batch at a time, since hardly any of them is to blame
//! and their patients wait; those of two crashes one at a time. The others wait in hand, given back in
//! the store, so that a crash counts nothing against them, and are claimed anew when their turn comes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lobar_core::queue::Settlement;

use crate::context::Context;
use crate::ticket::{End, Finished, Ticket};

/// Turns that there are at once.
pub(crate) const TURNS: u32 = 16;
/// When to look again at a suspect that found no place to wait.
const AGAIN: Duration = Duration::from_secs(1);

/// How many turns an image takes: all of them when it has been in two crashes, so that it is alone.
pub(crate) fn share(ticket: &Ticket) -> u32 {
    if ticket.claimed.attempt > 2 { TURNS } else { 1 }
}

/// Answers the suspects whose turn it is, if any is among these, and those that are to wait for theirs:
/// they are given back in the store before this returns.
pub(crate) async fn put_off(
    context: &Arc<Context>,
    suspects: Vec<Ticket>,
) -> (Vec<Ticket>, Vec<(Ticket, Waiting)>) {
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
        return (started, waiting);
    }
    let work: Vec<_> = waiting.iter().map(|(ticket, _)| ticket.work()).collect();
    let Err(error) = context.store.release(&work).await else { return (started, waiting) };
    if error.is_transient() {
        context.services.store.failed(&error);
    }
    // The finisher gives them back, one by one if need be.
    for (ticket, _) in waiting {
        let end = End::Release(Settlement::Retry { after: AGAIN });
        context.finish(Finished::Image(ticket, end)).await;
    }
    (started, Vec::new())
}

/// One waiting suspect, counted.
pub(crate) struct Waiting {
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
