//! Failures of names that have no account.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use lobar_core::time::Stamp;
use sha2::{Digest, Sha256};

use crate::lockout;

/// Names that are remembered, about 100 bytes each. Whoever wants one forgotten pays for so many hashes.
const REMEMBERED: usize = 10_000;

/// Counts failures of names without an account, by this process, so that they are paused as accounts are. Names are
/// kept as hashes: somebody may have typed a password into the field of the name.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    failures: HashMap<[u8; 32], (u32, Stamp)>,
    order: VecDeque<[u8; 32]>,
}

impl Strangers {
    pub(super) fn may_try(&self, name: &str, now: Stamp) -> Result<(), Duration> {
        match self.failures.get(&key(name)) {
            Some((failures, at)) => lockout::may_try_after(*failures, Some(*at), now),
            None => Ok(()),
        }
    }

    pub(super) fn note_failure(&mut self, name: &str, now: Stamp) {
        let key = key(name);
        if let Some((failures, at)) = self.failures.get_mut(&key) {
            (*failures, *at) = (failures.saturating_add(1), now);
            return;
        }
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.failures.remove(&oldest);
        }
        self.failures.insert(key, (1, now));
        self.order.push_back(key);
    }
}

fn key(name: &str) -> [u8; 32] {
    Sha256::digest(name.to_lowercase()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_an_account_is_paused_as_an_account_is() {
        let (mut strangers, now) = (Strangers::default(), Stamp(5_000_000));
        for _ in 0..=lockout::FREE {
            assert_eq!(strangers.may_try("Nobody", now), Ok(()));
            strangers.note_failure("nobody", now);
        }
        assert_eq!(strangers.may_try("NOBODY", now), Err(lockout::FIRST));
        assert_eq!(strangers.may_try("NOBODY", now.plus(lockout::FIRST)), Ok(()));
        assert_eq!(strangers.may_try("somebody", now), Ok(()));
    }

    #[test]
    fn no_more_than_a_fixed_number_of_names_is_remembered() {
        let mut strangers = Strangers::default();
        for n in 0..REMEMBERED + 10 {
            strangers.note_failure(&n.to_string(), Stamp(1));
        }
        assert_eq!((strangers.failures.len(), strangers.order.len()), (REMEMBERED, REMEMBERED));
    }
}
