//! Writing the audit record of what owners of key pairs did here.
//!
//! Entries are gathered for a moment and written together, so that no request waits for a transaction of the store; they
//! are tried until the store takes them. While more waits than there is room for, nothing is let through. A process that is
//! killed loses the moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lobar_core::access::{Caller, Role, SiteName};
use lobar_core::audit::{Action, Actor, Audit, NewEntry};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::retry::Backoff;
use lobar_core::time::{Clock, Stamp};
use s3s::dto::{
    CompleteMultipartUploadOutput, CopyObjectOutput, ETag, GetObjectOutput, HeadObjectOutput,
    PostObjectOutput, PutObjectOutput,
};
use serde_json::json;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Entries that wait to be written. Requests under way, fewer than half of it, find room for what they did.
const WAITING: usize = 8_192;
/// Entries that are written together.
const TOGETHER: usize = 256;
/// How long entries are gathered.
const GATHERED: Duration = Duration::from_millis(200);
/// Between tries, while the store is away.
const RESTS: Backoff = Backoff { first: Duration::from_millis(200), max: Duration::from_secs(5) };
/// The same that was refused, read or listed again within this time is not recorded again.
const SAME: Duration = Duration::from_secs(60);
/// What is remembered for that.
const REMEMBERED: usize = 50_000;
/// It is gone through at most this often.
const CLEARED: Duration = Duration::from_secs(1);
/// How long the last entries may take when the process stops.
const LAST: Duration = Duration::from_secs(5);

/// See the module's documentation.
pub(super) struct Recorder {
    clock: Arc<dyn Clock>,
    waiting: Sender<NewEntry>,
    recent: Mutex<Recent>,
}

/// What was recorded a moment ago.
#[derive(Default)]
struct Recent {
    at: HashMap<String, Stamp>,
    /// When what is over was last taken out.
    cleared: Option<Stamp>,
}

/// Entries on their way to the store.
pub(super) struct RecordWriter {
    audit: Arc<dyn Audit>,
    waiting: Receiver<NewEntry>,
}

/// A recorder, and what writes for it: see [`RecordWriter::run`].
pub(super) fn recorder(audit: Arc<dyn Audit>, clock: Arc<dyn Clock>) -> (Recorder, RecordWriter) {
    let (sender, waiting) = channel(WAITING);
    let recorder = Recorder { clock, waiting: sender, recent: Mutex::default() };
    (recorder, RecordWriter { audit, waiting })
}

/// What somebody does at a site.
pub(super) fn entry(
    action: Action,
    caller: &Caller,
    role: Option<Role>,
    site: Option<&str>,
    request: Option<String>,
) -> NewEntry {
    let mut entry = NewEntry::new(action, Actor::from(&caller.who));
    (entry.role, entry.request) = (role, request);
    entry.site = site.and_then(SiteName::parse);
    entry.detail = json!({ "by": "s3" });
    entry
}

/// The same, of an operation that is told apart from others of its action.
pub(super) fn of_operation(operation: &'static str, mut entry: NewEntry) -> NewEntry {
    entry.detail = json!({ "by": "s3", "operation": operation });
    entry
}

/// An answer that says which version of an object it is of.
pub(super) trait OfVersion {
    /// The version and the entity tag, as far as they are told.
    fn version(&self) -> (Option<&String>, Option<&ETag>);
}

macro_rules! of_version {
    ($($output:ty),+) => {
        $(impl OfVersion for $output {
            fn version(&self) -> (Option<&String>, Option<&ETag>) {
                (self.version_id.as_ref(), self.e_tag.as_ref())
            }
        })+
    };
}

of_version!(
    PutObjectOutput,
    PostObjectOutput,
    CompleteMultipartUploadOutput,
    GetObjectOutput,
    HeadObjectOutput
);

impl OfVersion for CopyObjectOutput {
    fn version(&self) -> (Option<&String>, Option<&ETag>) {
        let result = self.copy_object_result.as_ref();
        (self.version_id.as_ref(), result.and_then(|result| result.e_tag.as_ref()))
    }
}

/// The image that this version of an object is: the id that ingest gives it.
pub(super) fn image(bucket: String, key: String, output: &impl OfVersion) -> ImageId {
    let (version, etag) = output.version();
    let etag = etag.map(|etag| etag.value().to_owned());
    let version = version.cloned();
    ObjectVersion { bucket, key, version, etag, sequencer: None, size: None }.id()
}

impl Recorder {
    /// Whether what a request does can be recorded.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.capacity() >= WAITING / 2
    }

    /// Records what was done, soon.
    pub(super) fn note(&self, entry: NewEntry) {
        // What is only seen again and again is recorded once a minute; what is put in, each time.
        let image = entry.image.map(|image| image.to_string()).unwrap_or_default();
        let site = entry.site.as_ref().map_or("", SiteName::as_str);
        // What only looked at an object does not stand for what fetched it.
        let operation = entry.detail["operation"].as_str().unwrap_or_default();
        let what = format!("{} {operation}", entry.action.as_str());
        if entry.action == Action::Uploaded || self.is_new(&what, &image, site, &entry) {
            self.send(entry);
        }
    }

    /// Records that an operation was refused, once a minute: at whichever site, as whoever asks can make up sites.
    pub(super) fn refused(&self, operation: &'static str, mut entry: NewEntry) {
        entry = of_operation(operation, entry);
        if self.is_new(operation, "", "", &entry) {
            self.send(entry);
        }
    }

    fn send(&self, entry: NewEntry) {
        if self.waiting.try_send(entry).is_err() {
            tracing::error!(
                "embedded S3: an audit entry was lost: more waited to be written than there is room for"
            );
        }
    }

    fn is_new(&self, what: &str, image: &str, site: &str, entry: &NewEntry) -> bool {
        let who = entry.actor.id.unwrap_or_default();
        let seen = format!("{who} {what} {image} {site}");
        let now = self.clock.now();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let Recent { at: known, cleared } = &mut *recent;
        if known.get(&seen).is_some_and(|at| now.since(*at) < SAME) {
            return false;
        }
        if known.len() >= REMEMBERED && cleared.is_none_or(|at| now.since(at) >= CLEARED) {
            *cleared = Some(now);
            known.retain(|_, at| now.since(*at) < SAME);
        }
        if known.len() < REMEMBERED {
            known.insert(seen, now);
        }
        true
    }
}

impl RecordWriter {
    /// Writes until `stop`, and then what still waits.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut entries = Vec::with_capacity(TOGETHER);
        while stop
            .run_until_cancelled(self.waiting.recv_many(&mut entries, TOGETHER))
            .await
            .is_some_and(|received| received > 0)
        {
            // A full batch waits for no more.
            if entries.len() < TOGETHER {
                stop.run_until_cancelled(sleep(GATHERED)).await;
            }
            while entries.len() < TOGETHER
                && let Ok(entry) = self.waiting.try_recv()
            {
                entries.push(entry);
            }
            if stop.run_until_cancelled(self.write(&entries)).await.is_none() {
                break;
            }
            entries.clear();
        }
        let rest = async {
            while let Ok(entry) = self.waiting.try_recv() {
                entries.push(entry);
            }
            self.write(&entries).await;
        };
        if tokio::time::timeout(LAST, rest).await.is_err() {
            tracing::error!(
                "embedded S3: audit entries were not written before the process ended: what was done in the last moments is not on record"
            );
        }
    }

    async fn write(&self, entries: &[NewEntry]) {
        let mut tries = 0;
        while !entries.is_empty()
            && let Err(error) = self.audit.append(entries).await
        {
            tracing::warn!(operation = error.what, %error, entries = entries.len(), "embedded S3: audit entries not written; trying again");
            sleep(RESTS.delay(tries, 0.5)).await;
            tries += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use lobar_core::time::ManualClock;

    use super::*;

    #[test]
    fn a_refused_operation_is_recorded_once_a_minute_whatever_sites_are_made_up() {
        let clock = ManualClock::new(Stamp(1_700_000_000_000_000));
        let (waiting, mut written) = channel(WAITING);
        let recorder =
            Recorder { clock: Arc::new(clock.clone()), waiting, recent: Mutex::default() };
        let caller = Caller::local();
        let mut refuse = |operation| {
            for n in 0..1_000 {
                let site = format!("site{n}");
                recorder
                    .refused(operation, entry(Action::Refused, &caller, None, Some(&site), None));
            }
            std::iter::from_fn(|| written.try_recv().ok()).count()
        };
        assert_eq!((refuse("GetObject"), refuse("PutObject"), refuse("GetObject")), (1, 1, 0));
        clock.advance(SAME);
        assert_eq!(refuse("GetObject"), 1);
    }
}
