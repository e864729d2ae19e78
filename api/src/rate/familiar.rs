//! Names that have signed in from an address before.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Pairs that are remembered.
const REMEMBERED: usize = 50_000;

/// An address and a hash of a name.
type Pair = (IpAddr, u64);

/// Bounded, and lost with the process: whoever is not known is counted like anybody.
#[derive(Default)]
pub(super) struct Familiar(Mutex<HashSet<Pair>>);

impl Familiar {
    /// The name signed in from this address.
    pub(super) fn note(&self, pair: Pair) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(pair);
    }

    /// Whether it has.
    pub(super) fn knows(&self, pair: Pair) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_pairs_are_remembered_than_there_is_room_for() {
        let (familiar, address) = (Familiar::default(), IpAddr::from([192, 0, 2, 1]));
        for name in 0..3 * REMEMBERED as u64 {
            familiar.note((address, name));
            assert!(familiar.knows((address, name)));
        }
        assert!(familiar.0.lock().expect("no panic").len() <= REMEMBERED);
    }
}
