//! How much of one key is under way.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

type Counts<K> = Arc<Mutex<HashMap<K, usize>>>;

/// Counts what is under way; a key with nothing under way takes no memory.
pub(super) struct Slots<K> {
    most: usize,
    counts: Counts<K>,
}

/// A place, until it is dropped.
pub(crate) struct Slot<K: Hash + Eq> {
    key: K,
    counts: Counts<K>,
}

impl<K: Hash + Eq + Copy> Slots<K> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, counts: Counts::default() }
    }

    /// A place for `key`, if it has one left.
    pub(super) fn take(&self, key: K) -> Option<Slot<K>> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Slot { key, counts: Arc::clone(&self.counts) })
    }
}

impl<K: Hash + Eq> Drop for Slot<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_nothing_under_way_is_forgotten() {
        let slots = Slots::new(2);
        let (first, second) = (slots.take(1), slots.take(1));
        assert!(first.is_some() && second.is_some() && slots.take(1).is_none());
        drop(first);
        assert!(slots.take(1).is_some());
        drop(second);
        assert!(slots.counts.lock().expect("no panic").is_empty());
    }
}
