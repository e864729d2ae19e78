//! Tells an operator of what is stored and cannot be read: in the log once, in a count each time.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use lobar_core::reading::UnreadableCounts;

use super::{Db, Driver};

/// Values that are told of by their names; of more, nothing is said until the process starts anew.
const TOLD: usize = 1_000;

/// The tables whose values are looked at one by one.
const TABLES: [&str; 8] =
    ["image", "finding", "event", "verdict", "model", "account", "token", "site"];

/// The values that were told of, and how often some of each table were met.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    told: Mutex<HashSet<(&'static str, String)>>,
    met: [AtomicU64; TABLES.len()],
}

impl Unreadable {
    /// Counts and logs that the value `what` (`image.state`: a column of one of [`TABLES`]) of the row named `id` cannot
    /// be read. `id` must hold nothing personal; what is stored is never told.
    pub(super) fn tell(&self, what: &'static str, id: impl ToString) {
        let table = what.split('.').next();
        let met = TABLES.iter().zip(&self.met).find(|(name, _)| Some(**name) == table);
        debug_assert!(met.is_some(), "{what} is not in a table that is counted");
        if let Some((_, met)) = met {
            met.fetch_add(1, Ordering::Relaxed);
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= TOLD {
            return;
        }
        let id = id.to_string();
        if !told.insert((what, id.clone())) {
            return;
        }
        tracing::error!(
            what,
            id,
            "a stored value cannot be read: it is damaged, or a newer release wrote it; its row is shown as unreadable"
        );
        if told.len() == TOLD {
            tracing::error!(
                told = TOLD,
                "further unreadable values are not told of until the next start"
            );
        }
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        let met = self.met.iter().map(|met| met.load(Ordering::Relaxed));
        TABLES.into_iter().zip(met).collect()
    }
}

impl<D: Driver> UnreadableCounts for Db<D> {
    fn unreadable(&self) -> Vec<(&'static str, u64)> {
        Db::unreadable(self).counts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_told_of_once_and_no_more_of_them_than_can_be_remembered() {
        let unreadable = Unreadable::default();
        for id in 0..2 * TOLD {
            unreadable.tell("image.state", id);
            unreadable.tell("image.state", id);
        }
        assert_eq!(unreadable.told.lock().expect("no panic").len(), TOLD);
    }

    #[test]
    fn every_reading_in_vain_is_counted_by_its_table() {
        let unreadable = Unreadable::default();
        assert!(unreadable.counts().into_iter().all(|(_, count)| count == 0));
        for what in ["image.state", "image.lane", "image.lane", "finding.body"] {
            unreadable.tell(what, 7);
        }
        let counts = unreadable.counts();
        assert!(counts.contains(&("image", 3)) && counts.contains(&("finding", 1)), "{counts:?}");
        assert!(counts.contains(&("event", 0)), "{counts:?}");
    }
}
