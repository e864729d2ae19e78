//! Tells an operator of what is stored and cannot be read, once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Values that are told of by their names; of more, nothing is said until the process starts anew.
const TOLD: usize = 1_000;

/// The values that were told of.
#[derive(Debug, Default)]
pub(super) struct Unreadable(Mutex<HashSet<(&'static str, String)>>);

impl Unreadable {
    /// Logs that the value `what` (`image.state`) of the row named `id` cannot be read. `id` must hold nothing
    /// personal; what is stored is never told.
    pub(super) fn tell(&self, what: &'static str, id: impl ToString) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
        assert_eq!(unreadable.0.lock().expect("no panic").len(), TOLD);
    }
}
