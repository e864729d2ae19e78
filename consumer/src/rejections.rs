//! Whose fault is a permanent error: the item's, or the service's?
//!
//! A port can reject one item for good (its row breaks a constraint) or everything (a missing table, a
//! revoked permission). An item that is rejected must end, after a few counted tries. A service that
//! rejects everything is like one that is away: counting would push every good image into quarantine.
//!
//! So rejections are remembered until something is accepted. When several different items were rejected
//! and nothing was accepted in between, the service is at fault, and is waited out. Not for ever: an item
//! that has been rejected many times is blamed all the same, so that every fault ends.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Different items, rejected in a row, from which on the service is at fault.
const DISTINCT: usize = 3;
/// Rejections of one item after which it is at fault whatever happened to others.
const PATIENCE: u32 = 50;
/// Items remembered; more say nothing new.
const REMEMBERED: usize = 1024;

/// What a permanent error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The item: count the try.
    Item,
    /// The service rejects everything: wait, count nothing.
    Service,
}

/// The rejections of one operation. See the module's documentation.
#[derive(Debug)]
pub struct Rejections<K> {
    /// How often each item was rejected since something was accepted.
    since_accepted: Mutex<HashMap<K, u32>>,
}

impl<K> Default for Rejections<K> {
    fn default() -> Self {
        Self { since_accepted: Mutex::default() }
    }
}

impl<K: Eq + Hash> Rejections<K> {
    /// Notes what became of one batch, and says what the rejections of it are about. `accepted`: whether
    /// any item of the batch was.
    pub fn note(&self, accepted: bool, rejected: impl IntoIterator<Item = K>) -> Cause {
        let mut known = self.since_accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if accepted {
            known.clear();
            return Cause::Item;
        }
        let mut most = 0;
        for item in rejected {
            if known.len() < REMEMBERED || known.contains_key(&item) {
                let times = known.entry(item).or_default();
                *times = times.saturating_add(1);
                most = most.max(*times);
            }
        }
        if known.len() >= DISTINCT && most <= PATIENCE { Cause::Service } else { Cause::Item }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_rejected_again_and_again_is_at_fault() {
        let rejections = Rejections::default();
        for _ in 0..10 {
            assert_eq!(rejections.note(false, [1]), Cause::Item);
        }
        assert_eq!(rejections.note(false, [2]), Cause::Item);
    }

    #[test]
    fn a_service_that_rejects_different_items_and_accepts_none_is_at_fault() {
        let rejections = Rejections::default();
        assert_eq!(rejections.note(false, [1, 2, 3]), Cause::Service);
        assert_eq!(rejections.note(false, [1]), Cause::Service);
        assert_eq!(rejections.note(true, []), Cause::Item);
        assert_eq!(rejections.note(false, [1]), Cause::Item, "something was accepted in between");
    }

    #[test]
    fn items_rejected_beside_accepted_ones_are_at_fault_however_many() {
        let rejections = Rejections::default();
        assert_eq!(rejections.note(true, 0..9), Cause::Item);
        assert_eq!(rejections.note(false, [1]), Cause::Item);
    }

    #[test]
    fn a_service_at_fault_is_not_waited_out_for_ever() {
        let rejections = Rejections::default();
        rejections.note(false, [2, 3]);
        let waited = (0..1000).take_while(|_| rejections.note(false, [1]) == Cause::Service);
        assert_eq!(waited.count(), 50);
    }
}
