//! Response cache: rendered responses of finished images, in front of the store.
//!
//! The cache alone is not trusted: this process remembers recent events from its own follower, and uses an entry
//! only if its writer had come to one of them and knew every change of the image since. So no response is older than
//! the follower's position, whatever the cache lost or missed, and none tells of a time that a restore of the store has
//! undone.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lobar_core::cache::{Cache, Entry};
use lobar_core::event::Event;
use lobar_core::exposure::Answer;
use lobar_core::image::{Image, Lane, Reason, State};
use lobar_core::object::ImageId;
use lobar_core::position::Position;
use lobar_core::time::Stamp;
use lobar_core::verdict::Verdict;
use prometheus::{IntCounterVec, Opts, Registry};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::exposure::Withheld;
use crate::item::ImageItem;
use crate::readership::ReadingBody;
use crate::timestamp;
use crate::verdict::VerdictMark;
use crate::verdict_tag;
use crate::whose::Whose;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(10 * 60);
/// How long after a change slower readers are kept from putting what they read before it.
const FORGOTTEN: Duration = Duration::from_secs(3 * 60);
/// Events that a process remembers: some megabytes.
const REMEMBERED: usize = 150_000;
/// Names bodies: a UUID of version 5 has 122 bits of SHA-1.
const BODIES: Uuid = Uuid::from_u128(0x6d1f_86a4_4b0e_4d2a_9c57_0e2f_7c6a_9b13);

/// What is sent to a client.
#[derive(Clone, Debug)]
pub(crate) struct CachedResponse {
    /// The ETag without its quotes: strong, of the body alone.
    pub(crate) tag: String,
    pub(crate) body: Bytes,
}

/// The events of the last minutes.
#[derive(Debug, Default)]
struct RecentEvents {
    /// In order, each with the image whose answers it outdates.
    order: VecDeque<(Position, Option<ImageId>)>,
    /// What outdated the answers about an image last.
    last: HashMap<ImageId, Position>,
}

/// See the module's documentation.
pub(crate) struct ResponseCache {
    cache: Option<Arc<dyn Cache>>,
    events: Mutex<RecentEvents>,
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

    /// What must be known of it before it is sent; `None` where it cannot be read, from what another release kept.
    pub(crate) fn told(&self) -> Option<Told> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The same answer with whose image it is, which no cache keeps. Its tag is of that body.
    pub(crate) fn with_whose(self, whose: Option<Whose>) -> Self {
        let Some(whose) = whose else { return self };
        let with = || {
            let mut body: Map<String, Value> = serde_json::from_slice(&self.body).ok()?;
            let Ok(Value::Object(known)) = serde_json::to_value(whose) else { return None };
            body.extend(known);
            serde_json::to_vec(&body).ok()
        };
        let Some(body) = with() else { return self };
        let tag = Uuid::new_v5(&BODIES, &body).simple().to_string();
        Self { tag, body: body.into() }
    }

    /// The same answer with who has read it, which no cache keeps. Its tag is of that body.
    pub(crate) fn with_reading(self, reading: Option<ReadingBody>) -> Self {
        let with = || {
            let mut body: Map<String, Value> = serde_json::from_slice(&self.body).ok()?;
            body.insert("reading".into(), serde_json::to_value(reading).ok()?);
            serde_json::to_vec(&body).ok()
        };
        let Some(body) = with() else { return self };
        let tag = Uuid::new_v5(&BODIES, &body).simple().to_string();
        Self { tag, body: body.into() }
    }

    /// The same answer where it cannot be read whose image it is: that says so, since null would say that nothing is known.
    pub(crate) fn with_identity_unavailable(self) -> Self {
        let with = || {
            let mut body: Map<String, Value> = serde_json::from_slice(&self.body).ok()?;
            body.insert("identity_unavailable".into(), true.into());
            serde_json::to_vec(&body).ok()
        };
        let Some(body) = with() else { return self };
        let tag = Uuid::new_v5(&BODIES, &body).simple().to_string();
        Self { tag, body: body.into() }
    }

    /// The same answer with the caller's own verdicts alone; without any where even those cannot be read. Its tag is of that body.
    pub(crate) fn with_own_verdicts(&self, own: Option<&[Verdict]>) -> Option<Self> {
        let mut body: Map<String, Value> = serde_json::from_slice(&self.body).ok()?;
        let known = body.get("verdicts_etag").and_then(Value::as_str);
        let known = known.and_then(|tag| verdict_tag::parse(tag.trim_matches('"')));
        let seen = known.zip(own).map(|(known, own)| verdict_tag::seen(known.finished_at, own));
        let newest = own.and_then(|own| own.iter().rfind(|verdict| verdict.counts()));
        let mark = newest.map(VerdictMark::from);
        body.insert("verdict".into(), serde_json::to_value(mark).ok()?);
        let etag = seen.map(verdict_tag::quoted);
        body.insert("verdicts_etag".into(), serde_json::to_value(etag).ok()?);
        let body = serde_json::to_vec(&body).ok()?;
        let tag = Uuid::new_v5(&BODIES, &body).simple().to_string();
        Some(Self { tag, body: body.into() })
    }

    /// The same answer without the result and what anybody said of it. Its tag is of that body alone.
    pub(crate) fn withhold(&self, why: Withheld) -> Option<Self> {
        let mut body: Map<String, Value> = serde_json::from_slice(&self.body).ok()?;
        body.insert("result".into(), Value::Null);
        body.insert("verdict".into(), Value::Null);
        body.insert("verdicts_etag".into(), Value::Null);
        body.insert("withheld".into(), why.word().into());
        let body = serde_json::to_vec(&body).ok()?;
        let tag = Uuid::new_v5(&BODIES, &body).simple().to_string();
        Some(Self { tag, body: body.into() })
    }
}

/// What an answer about an image tells, as far as it decides who may see it.
#[derive(Deserialize)]
pub(crate) struct Told {
    /// The site of its image; `None` where that is unknown.
    pub(crate) site: Option<String>,
    priority: String,
    status: String,
    received_at: String,
    /// Whose result it has, if any.
    pub(crate) result: Option<ToldResult>,
}

/// See [`Told::result`].
#[derive(Deserialize)]
pub(crate) struct ToldResult {
    model: ToldModel,
}

#[derive(Deserialize)]
struct ToldModel {
    version: String,
    sha256: String,
}

impl Told {
    /// Its state; one that is not known needs a human.
    pub(crate) fn state(&self) -> State {
        State::parse(&self.status).unwrap_or(State::NeedsHuman)
    }

    /// When it was received; `None` for a text that is no time.
    pub(crate) fn received_at(&self) -> Option<Stamp> {
        timestamp::stamp(&self.received_at)
    }

    /// Its lane. A word that is not known is none that is urgent.
    pub(crate) fn lane(&self) -> Lane {
        Lane::parse(&self.priority).unwrap_or_default()
    }
}

impl From<&ToldResult> for Answer {
    fn from(result: &ToldResult) -> Self {
        let ToldModel { version, sha256 } = &result.model;
        Self { model_version: version.clone(), model_sha256: sha256.clone() }
    }
}

impl ResponseCache {
    /// Remembers from now on, which is before the follower begins.
    pub(crate) fn register(
        cache: Option<Arc<dyn Cache>>,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let help = "Answers about one image that were looked for in the cache, by what came of it.";
        let lookups =
            IntCounterVec::new(Opts::new("lobar_api_cache_lookups_total", help), &["outcome"])?;
        for outcome in ["hit", "miss", "error"] {
            lookups.with_label_values(&[outcome]).inc_by(0);
        }
        registry.register(Box::new(lookups.clone()))?;
        Ok(Self { cache, events: Mutex::default(), lookups })
    }

    /// The kept answer, when it is as new as the follower at `position`.
    pub(crate) async fn kept(&self, image: ImageId, position: Position) -> Option<CachedResponse> {
        let cache = self.cache.as_ref()?;
        let (outcome, answer) = match cache.get(image).await {
            Ok(Some(entry)) if self.is_current(image, entry.position, position) => {
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
    pub(crate) async fn keep(&self, image: &Image, position: Position, answer: &CachedResponse) {
        // Another process may be of a release that can read what this one cannot.
        let readable = !image.reason.is_some_and(Reason::is_unreadable);
        let kept = readable && is_kept(image.state);
        let Some(cache) = self.cache.as_ref().filter(|_| kept) else { return };
        let CachedResponse { tag, body } = answer.clone();
        let entry = Entry { position, tag, body };
        if let Err(error) = cache.put(image.id, &entry, KEPT).await {
            tracing::debug!(%error, "cache not written; the next request asks the store");
        }
    }

    /// Remembers what the follower read. It must be called before the follower's position moves.
    pub(crate) fn note(&self, events: &[Event]) {
        if self.cache.is_none() {
            return;
        }
        let mut recent = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            recent.note(event.position(), outdates(event).then_some(event.image));
        }
    }

    /// What was followed is not what the store holds now: no entry from before is used again.
    pub(crate) fn begin_anew(&self) {
        *self.events.lock().unwrap_or_else(PoisonError::into_inner) = RecentEvents::default();
    }

    /// The images whose answers these events outdate, and since when: what is to be [forgotten](Self::forget).
    pub(crate) fn outdated_by(&self, events: &[Event]) -> Vec<(ImageId, Position)> {
        let changed = events.iter().filter(|event| self.cache.is_some() && outdates(event));
        changed.map(|event| (event.image, event.position())).collect()
    }

    /// Takes outdated answers out of the cache, for all processes. Nothing depends on it here.
    pub(crate) async fn forget(&self, changed: &[(ImageId, Position)]) {
        let Some(cache) = &self.cache else { return };
        if !changed.is_empty()
            && let Err(error) = cache.forget(changed, FORGOTTEN).await
        {
            tracing::debug!(%error, "cache not invalidated; changed images stay until they expire");
        }
    }

    fn is_current(&self, image: ImageId, written: Position, position: Position) -> bool {
        let recent = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        recent.are_known_to(image, written, position)
    }
}

impl RecentEvents {
    /// Whether whoever wrote about `image` at `written` had come to an event that this process knows, and knew all
    /// that changed up to `position`. An event of a time that a restore has undone is known to nobody who came after.
    fn are_known_to(&self, image: ImageId, written: Position, position: Position) -> bool {
        written <= position
            && self.order.binary_search_by_key(&written, |(event, _)| *event).is_ok()
            && self.last.get(&image).is_none_or(|changed| *changed <= written)
    }

    fn note(&mut self, position: Position, outdated: Option<ImageId>) {
        if let Some(image) = outdated {
            self.last.insert(image, position);
        }
        self.order.push_back((position, outdated));
        while self.order.len() > REMEMBERED {
            let Some((oldest, outdated)) = self.order.pop_front() else { return };
            // Only if it did not change again.
            if let Some(image) = outdated.filter(|image| self.last.get(image) == Some(&oldest)) {
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
    use lobar_core::event::Seq;
    use lobar_core::time::Stamp;

    use super::*;

    fn id(n: usize) -> ImageId {
        ImageId(Uuid::from_u128(n as u128))
    }

    fn event(state: State, verdict: bool) -> Event {
        let (seq, image, at) = (Seq(1), id(1), Stamp(0));
        Event { seq, image, site: None, state, at, verdict, trace: None }
    }

    fn at(seq: i64) -> Position {
        Position::of(&Event { seq: Seq(seq), ..event(State::Ready, false) })
    }

    #[test]
    fn an_entry_counts_only_if_this_process_can_tell_that_nothing_changed_since() {
        let mut recent = RecentEvents::default();
        (100..=110).for_each(|seq| recent.note(at(seq), None));
        let current = |recent: &RecentEvents, image, written| {
            recent.are_known_to(id(image), written, at(108))
        };
        assert!(current(&recent, 1, at(105)));
        assert!(!current(&recent, 1, at(99)), "written before this process began to remember");
        assert!(!current(&recent, 1, at(109)), "written by a reader ahead of this process");
        let undone = Event { seq: Seq(105), at: Stamp(7), ..event(State::Ready, false) };
        assert!(!current(&recent, 1, undone.position()), "written in a time that was undone");
        recent.last.insert(id(1), at(105));
        assert!(!current(&recent, 1, at(104)));
        assert!(current(&recent, 1, at(105)) && current(&recent, 2, at(104)));
    }

    #[test]
    fn what_is_not_remembered_any_more_makes_older_entries_worthless() {
        let mut recent = RecentEvents::default();
        for n in 1..=REMEMBERED + 10 {
            recent.note(at(n as i64), Some(id(n)));
        }
        let position = at(i64::from(u32::MAX));
        assert!(!recent.are_known_to(id(0), at(10), position));
        assert!(recent.are_known_to(id(0), at(11), position));
        assert_eq!(recent.last.len(), REMEMBERED);
    }

    #[test]
    fn every_way_out_of_a_kept_state_begins_with_a_state_that_outdates() {
        // From a finished state an image goes to these only; work begins with `queued`.
        for next in [State::Queued, State::Superseded, State::Removed] {
            assert!(outdates(&event(next, false)) && !is_kept(next));
        }
        assert!(!is_kept(State::Analysing));
        assert!(outdates(&event(State::Ready, true)) && !outdates(&event(State::Ready, false)));
    }
}
