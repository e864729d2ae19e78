//! Whether a chain is whole.

use serde::{Deserialize, Serialize};

use super::{Action, Digest, Entry, canonical};

/// An entry by its number and hash: what is noted elsewhere, so that later nobody can cut the record off before it or
/// rewrite what led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The entry's number; 0 before the first.
    pub number: u64,
    /// The entry's hash.
    pub hash: Digest,
}

impl Checkpoint {
    /// Before the first entry.
    pub const START: Self = Self { number: 0, hash: Digest::ZERO };
}

/// Where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {number}: {what}")]
pub struct Broken {
    /// The entry at which it shows.
    pub number: u64,
    /// What shows there, in a sentence.
    pub what: String,
}

/// How far the beginning of a chain is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// It begins with the first entry there ever was.
    First,
    /// It goes on from the checkpoint that was given.
    Checkpoint,
    /// What came before was pruned: an entry of the chain says so, with the hash of the last that went.
    Pruned,
    /// Nothing says what came before: part of a record, or one whose beginning was taken away.
    Unproven,
}

/// A chain without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What is known of its beginning.
    pub begin: Begin,
    /// The number of its first entry; 0 when there is none.
    pub first: u64,
    /// How many entries were verified.
    pub entries: u64,
    /// The last of them.
    pub newest: Checkpoint,
}

/// Follows a chain entry by entry.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    given: Option<Checkpoint>,
    /// The checkpoint before the first entry.
    before: Option<Checkpoint>,
    last: Option<Checkpoint>,
    entries: u64,
    pruning_found: bool,
}

impl Verifier {
    /// From the first entry that comes. With a checkpoint, that entry must be among those that come, or the one just
    /// before them.
    pub fn new(checkpoint: Option<Checkpoint>) -> Self {
        Self { given: checkpoint, ..Self::default() }
    }

    /// Looks at the next entry.
    ///
    /// # Errors
    /// When it was changed, or does not follow the one before it.
    pub fn check(&mut self, entry: &Entry) -> Result<(), Broken> {
        let number = entry.number;
        let broken = |what: String| Err(Broken { number, what });
        if entry.v != canonical::VERSION {
            return broken("it is of a newer release, and its hash is made in another way".into());
        }
        if canonical::hash(entry) != entry.hash {
            return broken("it was changed: its hash is not of what it says".into());
        }
        let last = match (self.last, self.given) {
            (Some(last), _) => Some(last),
            (None, Some(given)) if given.number < number => Some(given),
            (None, _) => None,
        };
        if let Some(last) = last {
            if number <= last.number {
                return broken(format!("it comes after entry {}: it was inserted", last.number));
            }
            let wanted = last.number.saturating_add(1);
            if number != wanted {
                let gone = number - 1;
                return broken(format!(
                    "entries {wanted} to {gone}, which came before, are missing"
                ));
            }
            if entry.previous != last.hash {
                let last = last.number;
                return broken(format!(
                    "it does not continue entry {last}: an entry was removed, inserted or replaced"
                ));
            }
        }
        if number == 1 && entry.previous != Digest::ZERO {
            return broken("it is the first, and continues another one".into());
        }
        if self.given.is_some_and(|given| given.number == number && given.hash != entry.hash) {
            return broken("its hash is not the one that was noted in the checkpoint".into());
        }
        let before = Checkpoint { number: number.saturating_sub(1), hash: entry.previous };
        let before = *self.before.get_or_insert(before);
        self.pruning_found |= says_pruned(entry, before);
        self.last = Some(entry.checkpoint());
        self.entries += 1;
        Ok(())
    }

    /// No more entries come.
    ///
    /// # Errors
    /// When they end before the checkpoint.
    pub fn end(self) -> Result<Verified, Broken> {
        let newest = self.last.or(self.given.filter(|given| given.number == 0));
        let newest = newest.unwrap_or(Checkpoint::START);
        if let Some(given) = self.given
            && given.number > newest.number
        {
            let (number, end) = (given.number, newest.number);
            let what = format!("it is in the checkpoint, and the record ends with entry {end}");
            return Err(Broken { number, what });
        }
        let first = self.before.map_or(0, |before| before.number + 1);
        let begin = match (first, self.given) {
            (0 | 1, _) => Begin::First,
            (_, Some(_)) => Begin::Checkpoint,
            _ if self.pruning_found => Begin::Pruned,
            _ => Begin::Unproven,
        };
        Ok(Verified { begin, first, entries: self.entries, newest })
    }
}

/// Whether an entry says that everything up to `last` was pruned.
fn says_pruned(entry: &Entry, last: Checkpoint) -> bool {
    entry.action == Action::Pruned.as_str()
        && serde_json::from_str::<Checkpoint>(&entry.detail).is_ok_and(|pruned| pruned == last)
}

/// Whether entries are a whole chain; see [`Verifier`].
///
/// # Errors
/// At the first entry that was changed, removed or inserted, and where they end before the checkpoint.
pub fn verify<'a>(
    checkpoint: Option<Checkpoint>,
    entries: impl IntoIterator<Item = &'a Entry>,
) -> Result<Verified, Broken> {
    let mut verifier = Verifier::new(checkpoint);
    for entry in entries {
        verifier.check(entry)?;
    }
    verifier.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Actor, NewEntry};
    use crate::time::Stamp;

    fn chain(count: u64) -> Vec<Entry> {
        let (mut last, mut entries) = (Checkpoint::START, Vec::new());
        for n in 0..count {
            let new = NewEntry::new(Action::Viewed, Actor::system());
            let entry = new.seal(last, Stamp(n as i64));
            last = entry.checkpoint();
            entries.push(entry);
        }
        entries
    }

    /// As somebody does who knows how the chain is made.
    fn resealed(entries: &mut [Entry]) {
        for place in 1..entries.len() {
            entries[place].previous = entries[place - 1].hash;
            entries[place].hash = canonical::hash(&entries[place]);
        }
    }

    fn broken_at(checkpoint: Option<Checkpoint>, entries: &[Entry]) -> (u64, String) {
        let broken = verify(checkpoint, entries).expect_err("broken");
        (broken.number, broken.what)
    }

    #[test]
    fn a_whole_chain_is_whole_from_every_checkpoint() {
        let entries = chain(5);
        let newest = entries[4].checkpoint();
        let whole = Verified { begin: Begin::First, first: 1, entries: 5, newest };
        assert_eq!(verify(None, &entries), Ok(whole));
        for noted in &entries {
            assert_eq!(verify(Some(noted.checkpoint()), &entries), Ok(whole));
        }
        let rest = Verified { begin: Begin::Checkpoint, first: 3, entries: 3, newest };
        for noted in [&entries[1], &entries[2]] {
            assert_eq!(verify(Some(noted.checkpoint()), &entries[2..]), Ok(rest));
        }
        assert_eq!(verify(None, &[]).map(|none| none.newest), Ok(Checkpoint::START));
    }

    #[test]
    fn a_changed_entry_is_found_also_when_its_hash_was_made_anew() {
        let mut entries = chain(5);
        entries[2].actor = "somebody else".into();
        assert_eq!(broken_at(None, &entries).0, 3);
        entries[2].hash = canonical::hash(&entries[2]);
        let (number, what) = broken_at(None, &entries);
        assert!(number == 4 && what.contains("does not continue entry 3"), "{number} {what}");
    }

    #[test]
    fn a_removed_entry_is_found() {
        let mut entries = chain(5);
        entries.remove(2);
        let (number, what) = broken_at(None, &entries);
        assert!(number == 4 && what.contains("entries 3 to 3"), "{number} {what}");
    }

    #[test]
    fn an_inserted_entry_is_found() {
        let mut entries = chain(5);
        let forged = NewEntry::new(Action::Viewed, Actor::nobody());
        entries.insert(3, forged.seal(entries[2].checkpoint(), Stamp(9)));
        assert_eq!(broken_at(None, &entries).0, 4);
        // And so it is when those behind it are counted up.
        for entry in &mut entries[4..] {
            entry.number += 1;
            entry.hash = canonical::hash(entry);
        }
        assert_eq!(broken_at(None, &entries).0, 5);
    }

    #[test]
    fn only_a_checkpoint_finds_an_end_that_was_cut_off_or_a_record_that_was_rewritten() {
        let entries = chain(5);
        let noted = entries[4].checkpoint();
        assert!(verify(None, &entries[..4]).is_ok());
        assert_eq!(broken_at(Some(noted), &entries[..4]).0, 5);
        assert_eq!(broken_at(Some(noted), &[]).0, 5);
        let mut rewritten = entries;
        rewritten[1].actor = "somebody else".into();
        rewritten[1].hash = canonical::hash(&rewritten[1]);
        resealed(&mut rewritten);
        assert!(verify(None, &rewritten).is_ok());
        assert_eq!(broken_at(Some(noted), &rewritten).0, 5);
    }

    #[test]
    fn entries_between_a_checkpoint_and_the_first_are_missed() {
        let entries = chain(5);
        let (number, what) = broken_at(Some(entries[0].checkpoint()), &entries[3..]);
        assert!(number == 4 && what.contains("entries 2 to 3"), "{number} {what}");
    }

    #[test]
    fn a_beginning_that_was_pruned_is_told_from_one_that_was_taken_away() {
        let mut entries = chain(5);
        let begin = |entries: &[Entry]| verify(None, entries).map(|verified| verified.begin);
        assert_eq!(begin(&entries[3..]), Ok(Begin::Unproven));
        let mut pruned = NewEntry::new(Action::Pruned, Actor::system());
        pruned.detail = serde_json::json!(entries[2].checkpoint());
        entries.push(pruned.seal(entries[4].checkpoint(), Stamp(9)));
        assert_eq!(begin(&entries[3..]), Ok(Begin::Pruned));
        assert_eq!(begin(&entries[2..]), Ok(Begin::Unproven), "another beginning");
        assert_eq!(begin(&entries[4..]), Ok(Begin::Unproven), "more was taken away");
    }

    #[test]
    fn a_first_entry_that_continues_another_is_none() {
        let mut entries = chain(2);
        entries[0].previous = Digest::of(b"x");
        entries[0].hash = canonical::hash(&entries[0]);
        resealed(&mut entries);
        assert_eq!(broken_at(None, &entries).0, 1);
    }

    #[test]
    fn an_entry_of_a_newer_form_is_not_guessed_at() {
        let mut entries = chain(1);
        entries[0].v = 2;
        assert!(broken_at(None, &entries).1.contains("newer release"));
    }
}
