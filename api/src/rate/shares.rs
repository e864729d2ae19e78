//! How much of a room one client may have, so that others find some.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;

/// Keys are looked through for those that hold nothing once there are so many.
const LOOK_AT: usize = 1024;

/// One semaphore a key; a key that holds nothing and waits for nothing takes no memory for long.
pub(crate) struct Shares<K> {
    most: usize,
    keys: Mutex<Keys<K>>,
}

struct Keys<K> {
    known: HashMap<K, Weak<Semaphore>>,
    look_at: usize,
}

impl<K: Hash + Eq> Shares<K> {
    /// Each key may have `most`.
    pub(crate) fn new(most: usize) -> Self {
        let keys = Keys { known: HashMap::new(), look_at: LOOK_AT };
        Self { most: most.clamp(1, Semaphore::MAX_PERMITS), keys: Mutex::new(keys) }
    }

    /// What a key may have.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// The permits of a key: as many as it may have, less what it holds.
    pub(crate) fn of(&self, key: K) -> Arc<Semaphore> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = keys.known.get(&key).and_then(Weak::upgrade) {
            return share;
        }
        if keys.known.len() >= keys.look_at {
            keys.known.retain(|_, share| share.strong_count() > 0);
            keys.look_at = LOOK_AT.max(keys.known.len() * 2);
        }
        let share = Arc::new(Semaphore::new(self.most));
        keys.known.insert(key, Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_share_and_who_holds_nothing_is_forgotten() {
        let shares = Shares::new(2);
        let held = shares.of(1).try_acquire_many_owned(2).expect("a share");
        assert!(shares.of(1).try_acquire().is_err());
        assert!(shares.of(2).try_acquire().is_ok());
        drop(held);
        assert!(shares.of(1).try_acquire().is_ok());
        let kept = shares.of(7);
        for key in 10..10_000 {
            shares.of(key);
        }
        assert!(shares.keys.lock().expect("no panic").known.len() <= LOOK_AT);
        assert!(Arc::ptr_eq(&kept, &shares.of(7)), "whoever holds something stays");
    }
}
