//! Suspects: images whose earlier attempt ended without a report. One of them may have taken the
//! process down, and everything else in hand was counted an attempt for it.
//!
//! So that a poisonous image cannot drag innocent ones into quarantine, one suspect at a time is
//! worked on in a process. The others wait in hand, given back in the store, so that a crash counts
//! nothing against them, and are claimed anew when their turn comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lobar_core::queue::Settlement;

use crate::context::Context;
use crate::intake;
use crate::ticket::{End, Finished, Ticket};
use crate::work;

/// When to look again at a suspect that found no place to wait.
const AGAIN: Duration = Duration::from_secs(1);

/// Sets work going on a suspect, now or when its turn comes.
pub(crate) fn consider(context: &Arc<Context>, mut ticket: Ticket) {
    if ticket.turn.is_none() {
        ticket.turn = context.turns.clone().try_acquire_owned().ok();
    }
    if ticket.turn.is_some() {
        context.spawn(work::work(context.clone(), ticket));
    } else {
        context.spawn(wait(context.clone(), ticket));
    }
}

async fn wait(context: Arc<Context>, ticket: Ticket) {
    // The rest of the slots stays free for images that nothing speaks against.
    let places = context.slots.total().div_ceil(4);
    let waiting = Waiting::new(&context.waiting_suspects);
    let released = if waiting.before < places {
        context.store.release(&[ticket.work()]).await
    } else {
        let again = AGAIN.mul_f64(1.0 + rand::random::<f64>());
        let end = End::Release(Settlement::Retry { after: again });
        return context.finish(Finished::Image(ticket, end)).await;
    };
    if let Err(error) = released {
        context.circuits.store.failed(&error);
        let end = End::Release(Settlement::Retry { after: AGAIN });
        return context.finish(Finished::Image(ticket, end)).await;
    }
    let Ticket { held, in_work, .. } = ticket;
    let lost = held.lease.lost();
    let turn = tokio::select! {
        biased;
        () = lost.cancelled() => return,
        () = context.stopping.cancelled() => None,
        turn = context.turns.clone().acquire_owned() => turn.ok(),
    };
    drop(waiting);
    if turn.is_none() {
        return context.finish(Finished::Message(held, Settlement::Release)).await;
    }
    // Boxed, because claiming may lead back here.
    Box::pin(intake::claim(&context, vec![(held, in_work)], turn)).await;
}

/// One waiting suspect, counted.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        Self { count, before: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
