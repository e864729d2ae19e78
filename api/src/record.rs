//! Writing the audit record: who saw and did what.
//!
//! Changes are recorded before they are answered. What was only seen is gathered for a moment and written together, so that
//! reading waits for no transaction; it is tried until the store takes it, and while more waits than there is room for,
//! nothing more is shown: what nobody can record, nobody sees. A process that is killed loses the moment.
//!
//! A store that is away comes back by itself. One that refuses entries for good (a right that was taken away, a table that
//! is damaged) needs somebody: from the first such answer on the check `audit` of `/readyz` fails, and nothing that asks for
//! a right is shown or changed, until the store takes what waits. It is asked every few seconds, so that whoever mends it
//! need not start anything again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lobar_core::access::{Role, SiteName};
use lobar_core::audit::{Action, Actor, Audit, NewEntry};
use lobar_core::failure::PortError;
use lobar_core::image::Image;
use lobar_core::object::ImageId;
use lobar_core::retry::Backoff;
use lobar_core::time::{Clock, Stamp};
use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::access::{Allowed, Need};
use crate::problem::{Kind, Problem};
use crate::readiness::Check;
use crate::request::RequestId;

/// Entries that wait to be written.
const WAITING: usize = 10_000;
/// Entries that are written together.
const TOGETHER: usize = 256;
/// How long entries are gathered.
const GATHERED: Duration = Duration::from_millis(200);
/// Between tries, while the store is away.
const RESTS: Backoff = Backoff { first: Duration::from_millis(200), max: Duration::from_secs(5) };
/// The same person is shown the same thing again and again by a page that follows events: once in this time is recorded.
const SAME: Duration = Duration::from_secs(60);
const UNWRITABLE: &str =
    "The audit record cannot be written; nothing is shown or changed until it can.";
/// Views that are remembered for that.
const REMEMBERED: usize = 50_000;

/// An image in a list is recorded once in this time for each caller.
const LISTED: Duration = Duration::from_secs(3600);
/// Images in lists that are remembered for that.
const LISTED_REMEMBERED: usize = 200_000;
/// Refusals of one caller that are recorded in a minute: enough to be found by, and too few to fill the record with.
const REFUSED: u32 = 30;
/// Names pages of lists.
const PAGES: Uuid = Uuid::from_u128(0x51f0_77aa_2c3b_4e19_8d64_0e9b_5a21_c7d3);

/// One thing that one caller was shown.
type Seen = (Uuid, Action, Option<Uuid>);

/// See the module's documentation.
pub(crate) struct Recorder {
    audit: Arc<dyn Audit>,
    clock: Arc<dyn Clock>,
    waiting: Sender<NewEntry>,
    seen: Mutex<HashMap<Seen, Stamp>>,
    taken: Taken,
    /// Images that a caller was shown in a list.
    listed: Mutex<HashMap<(Uuid, Uuid), Stamp>>,
    /// Since when how many refusals of a caller were recorded.
    refused: Mutex<HashMap<Uuid, (Stamp, u32)>>,
}

/// Entries on their way to the store.
pub(crate) struct Writer {
    audit: Arc<dyn Audit>,
    waiting: Receiver<NewEntry>,
    taken: Taken,
}

/// Whether the store takes entries, or refuses them for good.
#[derive(Clone)]
struct Taken {
    refused: Arc<AtomicBool>,
    check: Check,
}

impl Taken {
    fn note(&self, answer: Result<(), &PortError>) {
        match answer {
            Ok(()) if self.refused.swap(false, Ordering::Relaxed) => {
                tracing::info!("the audit record takes entries again");
                self.check.pass();
            }
            Err(error) if !error.is_transient() => {
                if !self.refused.swap(true, Ordering::Relaxed) {
                    tracing::error!(operation = error.what, %error, "not ready: the store refuses audit entries; nothing is shown or changed until it takes them");
                }
                self.check.fail("the store refuses entries of the audit record");
            }
            _ => {}
        }
    }
}

/// A recorder, and what writes for it: see [`Writer::run`]. `check` tells whether the store takes entries.
pub(crate) fn recorder(
    audit: Arc<dyn Audit>,
    clock: Arc<dyn Clock>,
    check: Check,
) -> (Recorder, Writer) {
    let (sender, waiting) = channel(WAITING);
    check.pass();
    let taken = Taken { refused: Arc::default(), check };
    let writer = Writer { audit: Arc::clone(&audit), waiting, taken: taken.clone() };
    let recorder = Recorder {
        audit,
        clock,
        waiting: sender,
        seen: Mutex::default(),
        taken,
        listed: Mutex::default(),
        refused: Mutex::default(),
    };
    (recorder, writer)
}

/// Begins an entry about what an allowed caller does. Its role is the one that allows it at `site`.
pub(crate) fn entry<N: Need>(allowed: &Allowed<N>, action: Action, site: Option<&str>) -> NewEntry {
    let role = allowed.role(site).or_else(|| site.is_none().then(|| allowed.any_role()).flatten());
    by(Actor::from(&allowed.caller().who), role, action, site)
}

/// The same, about an image.
pub(crate) fn about<N: Need>(allowed: &Allowed<N>, action: Action, image: &Image) -> NewEntry {
    let mut entry = entry(allowed, action, image.object.site());
    entry.image = Some(image.id);
    entry
}

/// An image of a site where the caller does not have the right was asked for.
pub(crate) fn refused<N: Need>(
    allowed: &Allowed<N>,
    image: Option<ImageId>,
    site: Option<&str>,
) -> NewEntry {
    let mut refused = by(Actor::from(&allowed.caller().who), None, Action::Refused, site);
    refused.image = image;
    refused.detail = json!({ "right": N::RIGHT.as_str() });
    refused
}

/// The same, about an account or a token, and what was done.
pub(crate) fn on<N: Need>(
    allowed: &Allowed<N>,
    action: Action,
    subject: Uuid,
    detail: Value,
) -> NewEntry {
    let mut entry = entry(allowed, action, None);
    (entry.subject, entry.detail) = (Some(subject), detail);
    entry
}

/// What somebody does, signed in or not.
pub(crate) fn by(actor: Actor, role: Option<Role>, action: Action, site: Option<&str>) -> NewEntry {
    let mut entry = NewEntry::new(action, actor);
    entry.role = role;
    entry.site = site.and_then(SiteName::parse);
    entry.request = RequestId::current().map(|id| id.to_string());
    entry
}

impl Recorder {
    /// Whether what is asked for now can be recorded.
    ///
    /// # Errors
    /// While the store refuses entries for good: nothing must be shown or changed.
    pub(crate) fn ready(&self) -> Result<(), Problem> {
        match self.taken.refused.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(Problem::new(Kind::Unavailable, UNWRITABLE)),
        }
    }

    /// Records what was seen, soon. Seen again within a minute it is not recorded again.
    ///
    /// # Errors
    /// While more waits to be recorded than there is room for: it must not be shown.
    pub(crate) fn note(&self, entry: NewEntry) -> Result<(), Problem> {
        let who = entry.actor.id.unwrap_or_default();
        let seen = (who, entry.action, entry.image.map(|image| image.0).or(entry.subject));
        if !self.is_new(seen) {
            return Ok(());
        }
        self.note_each(entry).inspect_err(|_| {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&seen);
        })
    }

    /// Records a page of a list, soon, with those of its images that the caller was not shown in a list within the hour. A
    /// page without such images is recorded once a minute. `page` says which page of what it is.
    ///
    /// # Errors
    /// As [`Recorder::note`].
    pub(crate) fn note_list(
        &self,
        mut entry: NewEntry,
        page: &str,
        images: &[Uuid],
    ) -> Result<(), Problem> {
        let who = entry.actor.id.unwrap_or_default();
        let fresh = self.not_listed(who, images);
        let seen = (who, entry.action, Some(Uuid::new_v5(&PAGES, page.as_bytes())));
        if !self.is_new(seen) && fresh.is_empty() {
            return Ok(());
        }
        if let Value::Object(detail) = &mut entry.detail {
            detail.insert("ids".into(), fresh.iter().map(Uuid::to_string).collect());
        }
        self.note_each(entry).inspect_err(|_| {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&seen);
        })?;
        self.note_listed(who, fresh);
        Ok(())
    }

    /// Records the thumbnail of an image, soon, as one that was listed: not where it was on a list within the hour.
    ///
    /// # Errors
    /// As [`Recorder::note`].
    pub(crate) fn note_thumbnail(&self, mut entry: NewEntry, id: ImageId) -> Result<(), Problem> {
        let who = entry.actor.id.unwrap_or_default();
        let fresh = self.not_listed(who, &[id.0]);
        if fresh.is_empty() {
            return Ok(());
        }
        entry.detail = json!({ "thumbnail": true });
        self.note_each(entry)?;
        self.note_listed(who, fresh);
        Ok(())
    }

    fn not_listed(&self, who: Uuid, images: &[Uuid]) -> Vec<Uuid> {
        let now = self.clock.now();
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh =
            |image: &Uuid| listed.get(&(who, *image)).is_none_or(|at| now.since(*at) >= LISTED);
        images.iter().copied().filter(is_fresh).collect()
    }

    fn note_listed(&self, who: Uuid, images: Vec<Uuid>) {
        let now = self.clock.now();
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if listed.len() + images.len() > LISTED_REMEMBERED {
            listed.retain(|_, at| now.since(*at) < LISTED);
        }
        // What finds no room is recorded again the next time.
        if listed.len() + images.len() <= LISTED_REMEMBERED {
            listed.extend(images.into_iter().map(|image| ((who, image), now)));
        }
    }

    /// Records that something was refused, soon; a few times a minute for each caller.
    ///
    /// # Errors
    /// As [`Recorder::note`].
    pub(crate) fn note_refused(&self, entry: NewEntry) -> Result<(), Problem> {
        let (who, now) = (entry.actor.id.unwrap_or_default(), self.clock.now());
        {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            if refused.len() >= REMEMBERED {
                refused.retain(|_, (since, _)| now.since(*since) < SAME);
            }
            let (since, count) = refused.entry(who).or_insert((now, 0));
            if now.since(*since) >= SAME {
                (*since, *count) = (now, 0);
            }
            if *count >= REFUSED {
                return Ok(());
            }
            *count += 1;
        }
        self.note_each(entry)
    }

    /// The same, however often.
    pub(crate) fn note_each(&self, entry: NewEntry) -> Result<(), Problem> {
        self.waiting.try_send(entry).map_err(|error| {
            let detail = match error {
                TrySendError::Full(_) => UNWRITABLE,
                TrySendError::Closed(_) => "The server is stopping.",
            };
            Problem::new(Kind::Unavailable, detail)
        })
    }

    /// The same for what is put in, which takes half of the room at most: whoever uploads keeps nobody from reading.
    pub(crate) fn note_upload(&self, entry: NewEntry) -> Result<(), Problem> {
        self.check_room()?;
        self.note_each(entry)
    }

    /// Whether there is that room, asked before something is put in.
    pub(crate) fn check_room(&self) -> Result<(), Problem> {
        if self.waiting.capacity() < WAITING / 2 {
            return Err(Problem::new(Kind::Busy, "Many uploads wait to be recorded; try again."));
        }
        Ok(())
    }

    /// Records what was changed, now; where the store does not take it, soon.
    ///
    /// # Errors
    /// While more waits to be recorded than there is room for.
    pub(crate) async fn record(&self, entry: NewEntry) -> Result<(), Problem> {
        let written = self.audit.append(std::slice::from_ref(&entry)).await;
        self.taken.note(written.as_ref().copied());
        let Err(error) = written else { return Ok(()) };
        tracing::warn!(operation = error.what, %error, "audit entry not written; trying again until it is");
        let full = |_| Problem::new(Kind::Unavailable, UNWRITABLE);
        self.waiting.try_send(entry).map_err(full)?;
        // It stands in line; but whoever asked is not told that all is well.
        self.ready()
    }

    fn is_new(&self, seen: Seen) -> bool {
        let now = self.clock.now();
        let mut known = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&seen).is_some_and(|at| now.since(*at) < SAME) {
            return false;
        }
        if known.len() >= REMEMBERED {
            known.retain(|_, at| now.since(*at) < SAME);
        }
        if known.len() < REMEMBERED {
            known.insert(seen, now);
        }
        true
    }
}

impl Writer {
    /// Writes until `stop`, and then what still waits, if the store takes it within `drain`.
    pub(crate) async fn run(mut self, stop: CancellationToken, drain: Duration) {
        let mut entries = Vec::with_capacity(TOGETHER);
        while stop
            .run_until_cancelled(self.waiting.recv_many(&mut entries, TOGETHER))
            .await
            .is_some()
        {
            let is_full = entries.len() >= TOGETHER;
            if !is_full && stop.run_until_cancelled(sleep(GATHERED)).await.is_some() {
                while entries.len() < TOGETHER
                    && let Ok(entry) = self.waiting.try_recv()
                {
                    entries.push(entry);
                }
            }
            if stop.run_until_cancelled(self.write(&entries)).await.is_none() {
                break;
            }
            entries.clear();
        }
        let rest = async {
            loop {
                self.write(&entries).await;
                entries.clear();
                while entries.len() < TOGETHER
                    && let Ok(entry) = self.waiting.try_recv()
                {
                    entries.push(entry);
                }
                if entries.is_empty() {
                    return;
                }
            }
        };
        if tokio::time::timeout(drain, rest).await.is_err() {
            tracing::error!(
                "audit entries were not written before the process ended: what was seen in the last moments is not on record"
            );
        }
    }

    async fn write(&self, entries: &[NewEntry]) {
        let mut tries = 0;
        while !entries.is_empty() {
            let written = self.audit.append(entries).await;
            self.taken.note(written.as_ref().copied());
            let Err(error) = written else { return };
            tracing::warn!(operation = error.what, %error, entries = entries.len(), "audit entries not written; trying again");
            sleep(RESTS.delay(tries, 0.5)).await;
            tries += 1;
        }
    }
}
