//! Response cache: rendered responses of finished images, in front of the store.
//!
//! The cache alone is not trusted: this process remembers recent changes from its own follower and
//! uses an entry only if it reflects them all. So no response is older than the follower's
//! position, whatever the cache lost or missed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lobar_core::cache::{Cache, Entry};
use lobar_core::event::{Event, Seq};
use lobar_core::image::{Image, Reason, State};
use lobar_core::object::ImageId;
use prometheus::{IntCounterVec, Opts, Registry};
use uuid::Uuid;

use crate::item::ImageItem;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(10 * 60);
/// How long after a change slower readers are kept from putting what they read before it.
const FORGOTTEN: Duration = Duration::from_secs(3 * 60);
/// Changes that a process remembers: some megabytes.
const REMEMBERED: usize = 50_000;
/// Names bodies: a UUID of version 5 has 122 bits of SHA-1.
const BODIES: Uuid = Uuid::from_u128(0x6d1f_86a4_4b0e_4d2a_9c57_0e2f_7c6a_9b13);

/// What is sent to a client.
#[derive(Clone, Debug)]
pub(crate) struct CachedResponse {
    /// The ETag without its quotes: strong, of the body alone.
    pub(crate) tag: String,
    pub(crate) body: Bytes,
}

/// The changes of the last minutes.
#[derive(Debug, Default)]
struct RecentChanges {
    /// What came after this is remembered.
    since: Seq,
    last: HashMap<ImageId, Seq>,
    order: VecDeque<(Seq, ImageId)>,
}

/// See the module's documentation.
pub(crate) struct ResponseCache {
    cache: Option<Arc<dyn Cache>>,
    changes: Mutex<RecentChanges>,
    lookups: IntCounterVec,
}

impl CachedResponse {
    /// Renders an image.
    pub(crate) fn of(item: &ImageItem) -> Self {
        // Strings, numbers and lists only: nothing in it can fail to serialise.
        let body = serde_json::to_vec(item).unwrap_or_default();
        let tag = Uuid::new_v5(&BODIES, &body).simple().to_string();
        Self { tag, body: body.into() }
    }
}

impl ResponseCache {
    /// Remembers from `position` on, which is where the follower begins.
    pub(crate) fn register(
        cache: Option<Arc<dyn Cache>>,
        position: Seq,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let help = "Answers about one image that were looked for in the cache, by what came of it.";
        let lookups =
            IntCounterVec::new(Opts::new("lobar_api_cache_lookups_total", help), &["outcome"])?;
        for outcome in ["hit", "miss", "error"] {
            lookups.with_label_values(&[outcome]).inc_by(0);
        }
        registry.register(Box::new(lookups.clone()))?;
        let changes = Mutex::new(RecentChanges { since: position, ..RecentChanges::default() });
        Ok(Self { cache, changes, lookups })
    }

    /// The kept answer, when it is as new as the follower at `position`.
    pub(crate) async fn kept(&self, image: ImageId, position: Seq) -> Option<CachedResponse> {
        let cache = self.cache.as_ref()?;
        let (outcome, answer) = match cache.get(image).await {
            Ok(Some(entry)) if self.is_current(image, entry.seq, position) => {
                ("hit", Some(CachedResponse { tag: entry.tag, body: entry.body }))
            }
            Ok(_) => ("miss", None),
            Err(error) => {
                tracing::debug!(%error, "cache not read; asking the store");
                ("error", None)
            }
        };
        self.lookups.with_label_values(&[outcome]).inc();
        answer
    }

    /// Keeps what was read from the store after the follower had come to `position`.
    pub(crate) async fn keep(&self, image: &Image, position: Seq, answer: &CachedResponse) {
        // Another process may be of a release that can read what this one cannot.
        let readable = !image.reason.is_some_and(Reason::is_unreadable);
        let kept = readable && is_kept(image.state);
        let Some(cache) = self.cache.as_ref().filter(|_| kept) else { return };
        let CachedResponse { tag, body } = answer.clone();
        let entry = Entry { seq: position, tag, body };
        if let Err(error) = cache.put(image.id, &entry, KEPT).await {
            tracing::debug!(%error, "cache not written; the next request asks the store");
        }
    }

    /// Remembers what the follower read. It must be called before the follower's position moves.
    pub(crate) fn note(&self, events: &[Event]) {
        if self.cache.is_none() {
            return;
        }
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events.iter().filter(|event| outdates(event)) {
            changes.note(event.image, event.seq);
        }
    }

    /// Takes outdated answers out of the cache, for all processes. Nothing depends on it here.
    pub(crate) async fn forget(&self, events: &[Event]) {
        let Some(cache) = &self.cache else { return };
        let changed = events.iter().filter(|event| outdates(event));
        let changed: Vec<_> = changed.map(|event| (event.image, event.seq)).collect();
        if !changed.is_empty()
            && let Err(error) = cache.forget(&changed, FORGOTTEN).await
        {
            tracing::debug!(%error, "cache not invalidated; changed images stay until they expire");
        }
    }

    fn is_current(&self, image: ImageId, written: Seq, position: Seq) -> bool {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.are_known_to(image, written, position)
    }
}

impl RecentChanges {
    /// Whether whoever wrote about `image` at `written` knew all that changed up to `position`.
    fn are_known_to(&self, image: ImageId, written: Seq, position: Seq) -> bool {
        (self.since..=position).contains(&written)
            && self.last.get(&image).is_none_or(|changed| *changed <= written)
    }

    fn note(&mut self, image: ImageId, seq: Seq) {
        self.last.insert(image, seq);
        self.order.push_back((seq, image));
        while self.order.len() > REMEMBERED {
            let Some((oldest, image)) = self.order.pop_front() else { return };
            self.since = self.since.max(oldest);
            // Only if it did not change again.
            if self.last.get(&image) == Some(&oldest) {
                self.last.remove(&image);
            }
        }
    }
}

/// Whether answers about images in this state are kept: nothing but the events of [`outdates`] can
/// change them.
fn is_kept(state: State) -> bool {
    matches!(state, State::Ready | State::NeedsHuman | State::Failed)
}

/// Whether this event takes a finished image out of the state that it had, or tells of a verdict on it.
fn outdates(event: &Event) -> bool {
    event.verdict || matches!(event.state, State::Queued | State::Superseded | State::Removed)
}

#[cfg(test)]
mod tests {
    use lobar_core::time::Stamp;

    use super::*;

    fn id(n: usize) -> ImageId {
        ImageId(Uuid::from_u128(n as u128))
    }

    #[test]
    fn an_entry_counts_only_if_this_process_can_tell_that_nothing_changed_since() {
        let mut changes = RecentChanges { since: Seq(100), ..RecentChanges::default() };
        let current = |changes: &RecentChanges, image, written| {
            changes.are_known_to(id(image), Seq(written), Seq(110))
        };
        assert!(current(&changes, 1, 105));
        assert!(!current(&changes, 1, 99), "written before this process began to remember");
        assert!(!current(&changes, 1, 111), "written by a reader ahead of this process");
        changes.note(id(1), Seq(105));
        assert!(!current(&changes, 1, 104));
        assert!(current(&changes, 1, 105) && current(&changes, 2, 104));
    }

    #[test]
    fn what_is_not_remembered_any_more_makes_older_entries_worthless() {
        let mut changes = RecentChanges::default();
        for n in 1..=REMEMBERED + 10 {
            changes.note(id(n), Seq(n as i64));
        }
        let position = Seq(i64::MAX);
        assert!(!changes.are_known_to(id(0), Seq(9), position));
        assert!(changes.are_known_to(id(0), Seq(10), position));
        assert_eq!(changes.last.len(), REMEMBERED);
    }

    #[test]
    fn every_way_out_of_a_kept_state_begins_with_a_state_that_outdates() {
        // From a finished state an image goes to these only; work begins with `queued`.
        let event = |state, verdict| Event {
            seq: Seq(1),
            image: id(1),
            state,
            at: Stamp(0),
            verdict,
            trace: None,
        };
        for next in [State::Queued, State::Superseded, State::Removed] {
            assert!(outdates(&event(next, false)) && !is_kept(next));
        }
        assert!(!is_kept(State::Analysing));
        assert!(outdates(&event(State::Ready, true)) && !outdates(&event(State::Ready, false)));
    }
}
