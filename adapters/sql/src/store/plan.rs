//! What an admission comes to, decided without a database.
//!
//! Versions of one key have an order only where both bring a sequencer; else the order is that of
//! arrival. A version that is older than the newest one ever recorded is superseded from the start.
//!
//! An image that is no longer current may become so again, with a sequencer newer than all others: buckets
//! without versioning name an object by its content alone, so that the same file put again after another one
//! has the identity of the first; and in buckets with versioning an older version is current again when the
//! delete marker or the newer version above it is gone. A version that was itself deleted never comes back.
//!
//! What was erased stays unknown, and so does an older version of its key that was never admitted: whatever tells of
//! them, nothing is stored.
//!
//! An image that failed because its object could not be read is tried again when the object is put again: that
//! is how an operator asks for it where the bucket has no versions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lobar_core::image::{NewImage, State};
use lobar_core::object::{ImageId, ObjectVersion, Sequencer};
use lobar_core::store::Admission;

/// The id of a key without a version.
pub(super) fn key_id(object: &ObjectVersion) -> ImageId {
    let key = ObjectVersion { version: None, etag: None, sequencer: None, ..object.clone() };
    key.id()
}

/// The sequencer in sortable form; `None` when it is missing or no sequencer.
pub(super) fn sequence(object: &ObjectVersion) -> Option<String> {
    object.sequencer.as_deref().and_then(Sequencer::parse).map(|parsed| parsed.sortable())
}

/// What the database remembers of the objects of a batch, then what the batch changes.
#[derive(Default)]
pub(super) struct Plan<'a> {
    /// Images that are stored already.
    pub(super) known: HashMap<ImageId, State>,
    /// Those of them that failed because their object could not be read.
    pub(super) unread: BTreeSet<ImageId>,
    /// The sequence of each of them, where it has one.
    pub(super) own: HashMap<ImageId, String>,
    /// The highest sequence recorded for each key.
    pub(super) newest: HashMap<ImageId, String>,
    /// Deletions, by image or by key, with their sequence.
    pub(super) removals: HashMap<ImageId, Option<String>>,

    /// Images that were erased.
    pub(super) erased: BTreeSet<ImageId>,
    /// Up to which sequence keys were erased.
    pub(super) erased_keys: HashMap<ImageId, String>,

    /// Images to insert.
    pub(super) fresh: Vec<Fresh<'a>>,
    /// Keys whose stored images are superseded.
    pub(super) retired_keys: BTreeSet<ImageId>,
    /// Stored images that are current again.
    pub(super) renewed: BTreeMap<ImageId, Renewed>,
    /// Stored images that are current, and were named by a later event than before.
    pub(super) confirmed: BTreeMap<ImageId, Confirmed>,
    places: HashMap<ImageId, usize>,
}

/// An image to insert.
pub(super) struct Fresh<'a> {
    pub(super) id: ImageId,
    pub(super) key_id: ImageId,
    pub(super) image: &'a NewImage,
    pub(super) sequence: Option<String>,
    pub(super) state: State,
}

/// A stored image that is current still.
pub(super) struct Confirmed {
    pub(super) sequencer: Option<String>,
    pub(super) sequence: String,
}

/// A stored image that is current again.
pub(super) struct Renewed {
    key_id: ImageId,
    pub(super) sequencer: Option<String>,
    pub(super) sequence: Option<String>,
    /// Queued, or superseded by a later one of the same batch.
    pub(super) state: State,
}

impl<'a> Plan<'a> {
    /// Takes every image in order; one answer each.
    pub(super) fn admit(&mut self, images: &'a [NewImage]) -> Vec<Admission> {
        let first: Vec<bool> = images.iter().map(|image| self.take(image)).collect();
        let answer = |(image, first): (&NewImage, bool)| {
            let (id, key_id) = (image.object.id(), key_id(&image.object));
            let pending = self.state(id, key_id).is_some_and(|state| !state.is_terminal());
            match (pending, first) {
                (false, _) => Admission::Settled(id),
                (true, true) => Admission::New(id),
                (true, false) => Admission::Pending(id),
            }
        };
        images.iter().zip(first).map(answer).collect()
    }

    /// Whether it is seen for the first time.
    fn take(&mut self, image: &'a NewImage) -> bool {
        let object = &image.object;
        let (id, key_id, sequence) = (object.id(), key_id(object), sequence(object));
        if self.erased.contains(&id) {
            return false;
        }
        if let Some(state) = self.state(id, key_id) {
            let gone = matches!(state, State::Superseded | State::Removed);
            let unread = state == State::Failed && self.unread.contains(&id);
            match sequence {
                Some(sequence) if unread && self.is_put_again(object, key_id, &sequence) => {
                    self.renew(image, key_id, sequence);
                }
                Some(sequence) if !gone => self.confirm(image, key_id, sequence),
                Some(sequence) if self.is_current_again(object, key_id, &sequence) => {
                    self.renew(image, key_id, sequence);
                }
                _ => {}
            }
            return false;
        }
        let erased = self.erased_keys.get(&key_id);
        if sequence.as_ref().zip(erased).is_some_and(|(own, erased)| own <= erased) {
            return false;
        }
        let newest = self.newest.get(&key_id);
        let late = sequence.as_ref().zip(newest).is_some_and(|(new, newest)| new < newest);
        let state = if self.is_removed(id, key_id, object, sequence.as_deref()) {
            State::Removed
        } else if late {
            State::Superseded
        } else {
            self.retire(key_id);
            State::Queued
        };
        if let (false, Some(sequence)) = (late, &sequence) {
            self.newest.insert(key_id, sequence.clone());
        }
        if let Some(sequence) = &sequence {
            self.own.insert(id, sequence.clone());
        }
        self.places.insert(id, self.fresh.len());
        self.fresh.push(Fresh { id, key_id, image, sequence, state });
        true
    }

    /// The state of an image as the batch stands; `None` when it is unknown.
    fn state(&self, id: ImageId, key_id: ImageId) -> Option<State> {
        if let Some(place) = self.places.get(&id) {
            return Some(self.fresh[*place].state);
        }
        if let Some(renewed) = self.renewed.get(&id) {
            return Some(renewed.state);
        }
        let known = *self.known.get(&id)?;
        let retired = self.retired_keys.contains(&key_id) && known != State::Removed;
        Some(if retired { State::Superseded } else { known })
    }

    /// An image that is no longer current is the current one again.
    fn renew(&mut self, image: &'a NewImage, key_id: ImageId, sequence: String) {
        let (id, state) = (image.object.id(), State::Queued);
        self.retire(key_id);
        self.newest.insert(key_id, sequence.clone());
        self.own.insert(id, sequence.clone());
        let (sequencer, sequence) = (image.object.sequencer.clone(), Some(sequence));
        match self.places.get(&id) {
            Some(place) => self.fresh[*place] = Fresh { id, key_id, image, sequence, state },
            None => {
                self.renewed.insert(id, Renewed { key_id, sequencer, sequence, state });
            }
        }
    }

    /// The current image was current still at a later time than was known: a deletion of its key that came
    /// between, and is notified later, leaves it alone.
    fn confirm(&mut self, image: &'a NewImage, key_id: ImageId, sequence: String) {
        let id = image.object.id();
        if self.own.get(&id).is_some_and(|own| *own >= sequence) {
            return;
        }
        self.own.insert(id, sequence.clone());
        let newest = self.newest.entry(key_id).or_default();
        if sequence > *newest {
            newest.clone_from(&sequence);
        }
        let sequencer = image.object.sequencer.clone();
        if let Some(place) = self.places.get(&id) {
            let fresh = &mut self.fresh[*place];
            (fresh.image, fresh.sequence) = (image, Some(sequence));
        } else if let Some(renewed) = self.renewed.get_mut(&id) {
            (renewed.sequencer, renewed.sequence) = (sequencer, Some(sequence));
        } else {
            self.confirmed.insert(id, Confirmed { sequencer, sequence });
        }
    }

    /// Whether a deletion that came first concerns this version.
    fn is_removed(
        &self,
        id: ImageId,
        key_id: ImageId,
        object: &ObjectVersion,
        sequence: Option<&str>,
    ) -> bool {
        let precedes = |removal: Option<&str>| Some(sequence? < removal?);
        let own = (id != key_id).then(|| self.removals.get(&id)).flatten();
        let itself = own.is_some_and(|removal| {
            // A version id never comes back, a content may.
            object.version.is_some() || precedes(removal.as_deref()).unwrap_or(true)
        });
        let whole_key = self.removals.get(&key_id).and_then(|removal| precedes(removal.as_deref()));
        itself || whole_key.unwrap_or(false)
    }

    /// Whether a stored image that was no longer current is so again, later than all else.
    fn is_current_again(&self, object: &ObjectVersion, key_id: ImageId, sequence: &str) -> bool {
        // Where no image of the key was ever given an order, only a deletion that has one tells old from new.
        let deleted = matches!(self.removals.get(&key_id), Some(Some(_)));
        (self.newest.contains_key(&key_id) || deleted)
            && self.is_put_again(object, key_id, sequence)
    }

    /// Whether the object was stored later than all else that is known of its key.
    fn is_put_again(&self, object: &ObjectVersion, key_id: ImageId, sequence: &str) -> bool {
        let after = |other: Option<&Option<String>>| match other {
            Some(Some(other)) => sequence > other.as_str(),
            Some(None) => false,
            None => true,
        };
        let own = self.removals.get(&object.id());
        (object.version.is_none() || own.is_none())
            && self.newest.get(&key_id).is_none_or(|newest| sequence > newest.as_str())
            && after(own)
            && after(self.removals.get(&key_id))
    }

    /// A newer version of this key has come.
    fn retire(&mut self, key_id: ImageId) {
        self.retired_keys.insert(key_id);
        let fresh = self.fresh.iter_mut().map(|fresh| (fresh.key_id, &mut fresh.state));
        let renewed = self.renewed.values_mut();
        let renewed = renewed.map(|renewed| (renewed.key_id, &mut renewed.state));
        for (key, state) in fresh.chain(renewed) {
            if key == key_id && *state == State::Queued {
                *state = State::Superseded;
            }
        }
    }
}
