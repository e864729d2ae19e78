//! Leases: kept from the moment of receipt, and said to be lost as soon as that is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lobar_core::queue::{LeaseError, Queue, Receipt};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Called for each lease that is lost while it is wanted: to count them.
pub type OnLost = Box<dyn Fn() + Send + Sync>;

/// The right to settle one delivery. Dropping it ends its extension, so that the message comes back
/// by itself unless it was settled.
#[derive(Debug)]
pub struct Lease {
    /// What to settle the delivery with.
    pub receipt: Receipt,
    lost: CancellationToken,
    settling: Arc<AtomicBool>,
    _over: DropGuard,
}

impl Lease {
    /// Cancelled when somebody else may hold the message by now.
    pub fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// From here on a loss is what settling does.
    pub fn settling(&self) {
        self.settling.store(true, Ordering::Relaxed);
    }
}

struct Kept {
    receipt: Receipt,
    expires: Instant,
    lost: CancellationToken,
    settling: Arc<AtomicBool>,
    over: CancellationToken,
}

/// Extends the leases of one batch, at a third of their term, until all of them are over.
pub struct Keeper {
    queue: Arc<dyn Queue>,
    term: Duration,
    on_lost: OnLost,
    kept: Vec<Kept>,
}

impl Keeper {
    /// A keeper, and one lease a receipt, in order, of messages received just now.
    pub fn new(
        queue: Arc<dyn Queue>,
        receipts: impl IntoIterator<Item = Receipt>,
        term: Duration,
        on_lost: OnLost,
    ) -> (Self, Vec<Lease>) {
        let expires = Instant::now() + term;
        let (kept, leases) = receipts
            .into_iter()
            .map(|receipt| {
                let over = CancellationToken::new();
                let lost = CancellationToken::new();
                let settling = Arc::new(AtomicBool::new(false));
                let lease = Lease {
                    receipt: receipt.clone(),
                    lost: lost.clone(),
                    settling: settling.clone(),
                    _over: over.clone().drop_guard(),
                };
                (Kept { receipt, expires, lost, settling, over }, lease)
            })
            .unzip();
        (Self { queue, term, on_lost, kept }, leases)
    }

    /// Keeps them. Ends when no lease is left.
    pub async fn run(mut self) {
        let mut pause = self.calm();
        while !self.kept.is_empty() {
            tokio::time::sleep(pause).await;
            self.kept.retain(|one| !one.over.is_cancelled());
            pause = if self.extend().await { self.calm() } else { self.eager() };
        }
    }

    /// A third of the term, less up to a tenth, so that many keepers do not act in step.
    fn calm(&self) -> Duration {
        self.term.mul_f64((0.9 + 0.1 * rand::random::<f64>()) / 3.0)
    }

    fn eager(&self) -> Duration {
        (self.term / 12).min(Duration::from_secs(1))
    }

    /// True when every lease has an answer.
    async fn extend(&mut self) -> bool {
        if self.kept.is_empty() {
            return true;
        }
        let asked = Instant::now();
        let receipts: Vec<Receipt> = self.kept.iter().map(|one| one.receipt.clone()).collect();
        let extending = self.queue.extend(&receipts, self.term);
        let answers = tokio::time::timeout(self.term / 3, extending).await.unwrap_or_default();
        let mut answers = answers.into_iter();
        let mut answered = true;
        let term = self.term;
        let on_lost = &self.on_lost;
        self.kept.retain_mut(|one| {
            match answers.next() {
                Some(Ok(())) => one.expires = asked + term,
                Some(Err(LeaseError::Lost)) => {
                    one.lose(on_lost);
                    return false;
                }
                Some(Err(LeaseError::Port(_))) | None => {
                    answered = false;
                    if Instant::now() >= one.expires {
                        one.lose(on_lost);
                        return false;
                    }
                }
            }
            true
        });
        answered
    }
}

impl Kept {
    fn lose(&self, on_lost: &OnLost) {
        if self.over.is_cancelled() || self.settling.load(Ordering::Relaxed) {
            return;
        }
        on_lost();
        self.lost.cancel();
    }
}
