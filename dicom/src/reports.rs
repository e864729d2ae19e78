//! Reports on storage commitment that are due: how many there may be, and one for each transaction.

use std::sync::{Arc, Mutex, PoisonError};

use lobar_core::study::Uid;
use tokio_util::sync::CancellationToken;

use crate::{AeTitle, Limits};

/// Reports that are due.
pub(crate) struct Reports {
    all: usize,
    per_peer: usize,
    due: Mutex<Due>,
}

#[derive(Default)]
struct Due {
    next: u64,
    reports: Vec<Report>,
}

struct Report {
    number: u64,
    title: AeTitle,
    transaction: Uid,
    replaced: CancellationToken,
}

impl Reports {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        let (all, per_peer) = (limits.reports, limits.reports_per_peer);
        Arc::new(Self { all, per_peer, due: Mutex::default() })
    }

    /// A place for a report; `None` where there are as many as there may be. It takes the place of an earlier one on the same
    /// transaction: the peer asked again.
    pub(crate) fn enter(self: &Arc<Self>, title: &AeTitle, transaction: &Uid) -> Option<Place> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.reports.retain(|one| {
            let is_other = one.title != *title || one.transaction != *transaction;
            if !is_other {
                one.replaced.cancel();
            }
            is_other
        });
        let own = due.reports.iter().filter(|one| one.title == *title).count();
        if due.reports.len() >= self.all || own >= self.per_peer {
            return None;
        }
        let (number, replaced) = (due.next, CancellationToken::new());
        due.next += 1;
        due.reports.push(Report {
            number,
            title: title.clone(),
            transaction: transaction.clone(),
            replaced: replaced.clone(),
        });
        Some(Place { reports: Arc::clone(self), number, replaced })
    }
}

/// The place of a report.
pub(crate) struct Place {
    reports: Arc<Reports>,
    number: u64,
    replaced: CancellationToken,
}

impl Place {
    /// Until the peer asks again.
    pub(crate) async fn is_replaced(&self) {
        self.replaced.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut due = self.reports.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.reports.retain(|one| one.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_bounded_in_all_and_for_each_peer_and_who_asks_again_is_told_once() {
        let limits = Limits { reports: 3, reports_per_peer: 2, ..Limits::default() };
        let reports = Reports::new(&limits);
        let enter = |title: &str, transaction: &str| {
            let transaction = Uid::parse(transaction).expect("a UID");
            reports.enter(&title.parse().expect("a title"), &transaction)
        };
        let (one, _two) = (enter("A", "1.1").expect("room"), enter("A", "1.2").expect("room"));
        assert!(enter("A", "1.3").is_none());
        let again = enter("A", "1.1").expect("the place of the first");
        assert!(one.replaced.is_cancelled() && !again.replaced.is_cancelled());
        drop(one);
        assert!(enter("A", "1.3").is_none(), "the later one is still due");
        let _three = enter("B", "1.1").expect("room");
        assert!(enter("C", "1.1").is_none());
        drop(again);
        assert!(enter("C", "1.1").is_some());
    }
}
