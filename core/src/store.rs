//! The port of the store: images, their states, their findings and their events.
//!
//! Coarse verbs, each one transaction. Every change of an image's state writes an [`Event`] in the
//! same transaction. What it promises, each sentence a test of the contract suite:
//!
//! - An image is admitted once however often it is notified.
//! - A newer version of the same key supersedes the older ones.
//! - An older version that arrives late is stored as superseded.
//! - Versions without an order supersede in the order of arrival.
//! - A superseded image in a worker's hands loses its fence.
//! - The same content put again after another is current again.
//! - A version that is current again after a deletion is queued as if new.
//! - A version that was itself deleted never comes back.
//! - An image whose object could not be read is queued as if new when the object is put again.
//! - A deletion from before an image was seen current leaves it alone.
//! - A claim takes a queued image and counts its first attempt.
//! - Claims after the first count no attempt, until it is counted where the work begins.
//! - An attempt is not counted for an old fence.
//! - A claim on an image that another worker holds takes it over with a new fence.
//! - A finished image cannot be claimed.
//! - An unknown image cannot be claimed.
//! - An image claimed too often goes to quarantine instead.
//! - A completion with the current fence is accepted and visible with its event.
//! - A completion with an old fence is refused and changes nothing.
//! - The event of a completion carries its trace context.
//! - One stale completion in a batch does not spoil the others.
//! - A released image is queued again and its attempt does not count.
//! - A retried image is queued again and its attempt counts.
//! - Counting and giving back again what was counted or given back changes nothing.
//! - Removing an object cancels its pending work and marks the image.
//! - Removing an object before it was admitted marks it when it is.
//! - Removing a key removes all versions that are older.
//! - An upload after a removal without order is a new one.
//! - Lists are pages by key, newest first, and no image is missed or shown twice.
//! - Filters narrow a list and its total.
//! - A list holds images of the asked sites only, and its total counts no other.
//! - Images of unknown site are listed for all sites only.
//! - An event names the site of its image.
//! - The overview tells of each registered site and of no other.
//! - Events are numbered in the order of commit, without gaps for a reader that resumes.
//! - The history of an image is its own events, the oldest first.
//! - Concurrent writers never let a reader miss an event.
//! - A reader resumes at every position that it was given, and from the start.
//! - A position of events that a restore has lost is not resumed at, even where their numbers are given again.
//! - A reader whose next events were pruned is told so, and resumes with what is kept.
//! - Readers that resume while events are pruned miss nothing that is not said.
//! - A finding of every earlier release is read.
//! - An image whose finding cannot be read needs a human and hides no other.
//! - An image whose state or reason cannot be read needs a human and hides no other.
//! - An image that cannot be read is finished and is not claimed again.
//! - An image that cannot be read is superseded and removed like any other.
//! - An event whose state cannot be read tells of its image and hides no other.
//! - Events are pruned from the oldest on, and the newest stays.
//! - What waits in quarantine is never pruned.
//! - An image whose result is pruned is removed, with its verdicts, and says why.
//! - What is younger or unfinished is not pruned.
//! - The sweeper finds what stayed unfinished too long, once a period.
//! - A store that takes changes says so, and one whose tables cannot be written does not.
//! - States of many images are answered in the order of the question.
//! - A probe that arrived is told of once.
//! - A probe that nobody asked for is forgotten after a day.
//! - Of several that store the bytes of a dead image once more one at a time may, until it is done or its lease lapses.
//! - Everything survives closing and opening the store.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::access::{SiteName, Sites};
use crate::audit::Digest;
use crate::batch::BatchId;
use crate::event::{Event, Seq};
use crate::failure::PortError;
use crate::finding::{Finding, ModelRef};
use crate::image::{Image, Lane, Lanes, NewImage, Reason, State};
use crate::object::{ImageId, ObjectVersion};
use crate::position::Position;
use crate::study::{Attributes, name_key};
use crate::time::Stamp;
use crate::trace::TraceContext;

/// What became of one admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Seen for the first time; it is queued and needs a job.
    New(ImageId),
    /// Seen before and not finished. A job may be missing, so put one again: work is idempotent.
    Pending(ImageId),
    /// Seen before and finished, or superseded or removed from the start: needs no job.
    Settled(ImageId),
}

impl Admission {
    /// The image's id.
    pub fn id(self) -> ImageId {
        match self {
            Admission::New(id) | Admission::Pending(id) | Admission::Settled(id) => id,
        }
    }
}

/// The right to finish one image: a later claim makes an earlier fence void.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub i64);

/// What became of one claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The caller may work on it.
    Granted(Claimed),
    /// It is finished already (or was quarantined by this very claim): nothing to do.
    Settled(State),
    /// The store has never heard of it.
    Unknown,
}

/// An image in a worker's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Which image.
    pub id: ImageId,
    /// What to finish it with.
    pub fence: Fence,
    /// Which attempt this is: 1 on the first.
    pub attempt: u32,
    /// Whether it is counted: the first one is. A later one follows an attempt that ended without a report,
    /// and is counted where the work begins ([`Store::count_attempts`]): an image that was only held when its
    /// worker died is not to blame for it.
    pub counted: bool,
    /// What to fetch.
    pub object: ObjectVersion,
    /// Its lane.
    pub lane: Lane,
    /// When it was admitted.
    pub received_at: Stamp,
}

/// A claim as it is counted or given back. The attempt's number makes that idempotent: who does not know whether
/// it was done does it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which image.
    pub id: ImageId,
    /// By which claim.
    pub fence: Fence,
    /// Which attempt the claim is for.
    pub attempt: u32,
}

impl Claimed {
    /// What it is counted or given back by.
    pub fn held(&self) -> Held {
        Held { id: self.id, fence: self.fence, attempt: self.attempt }
    }
}

/// How work on an image ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Assessed.
    Ready(Box<Finding>),
    /// Not assessed; a person must look.
    NeedsHuman {
        /// Why.
        reason: Reason,
        /// A sentence more, without personal data.
        detail: String,
    },
    /// Given up after many tries; a person must look.
    Failed {
        /// Why.
        reason: Reason,
        /// A sentence more, without personal data.
        detail: String,
    },
    /// The version is gone because a newer one took its place.
    Superseded,
}

/// One finished piece of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// Which image.
    pub id: ImageId,
    /// The fence its claim gave.
    pub fence: Fence,
    /// How it ended.
    pub outcome: Outcome,
    /// What the event of it continues: the span of the commit.
    pub trace: Option<TraceContext>,
    /// What it is about, for the record ([`audit`](crate::audit)).
    pub basis: Basis,
}

/// What an outcome was found on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    /// SHA-256 of the object's bytes; `None` where none were read.
    pub input: Option<Digest>,
    /// The model that was asked; `None` where none was.
    pub model: Option<ModelRef>,
    /// Whose image it is ([`study`](crate::study)), [bounded](Attributes::bounded); `None` where nothing is known of it.
    pub identity: Option<Box<Attributes>>,
}

/// Which images to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Only images of these sites. There is no default: whoever asks says at which.
    pub sites: Sites,
    /// Only these states; all when empty. Filters and totals go by what is stored: an image whose finding cannot be
    /// read is listed where the finding put it, and tells there that it needs a human.
    pub states: Vec<State>,
    /// Only flagged, or only not flagged, as stored. Images without a finding are neither.
    pub flagged: Option<bool>,
    /// Only images of patients of this id, or of whom it was merged into.
    pub patient: Option<PatientKey>,
    /// Only images that this text finds.
    pub search: Option<SearchText>,
    /// Only images of this batch.
    pub batch: Option<BatchId>,
}

/// What somebody types to find a patient's images: the id of a patient or one that was merged into theirs, or an accession
/// number, each to the letter; or the beginning of a name, without case and accents, in which a space or a comma may stand
/// for what parts family and given name. Of a name in another script any of its groups is meant. Personal: `Debug` says
/// nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SearchText(pub String);

impl SearchText {
    /// A name is looked for by so many characters at least: fewer begin half of all names.
    pub const SHORTEST_NAME: usize = 2;

    /// What names that are meant begin with, as [`name_key`] writes them; none where the text is too short for a name.
    pub fn name_beginnings(&self) -> Vec<String> {
        let parted = |text: &str| {
            let (family, given) = text.split_once(',')?;
            Some(format!("{}^{}", family.trim(), given.trim()))
        };
        let key = name_key(self.0.trim());
        if key.chars().count() < Self::SHORTEST_NAME {
            return Vec::new();
        }
        match parted(&key) {
            Some(parted) => vec![name_key(&parted)],
            None if key.contains(' ') => vec![key.replacen(' ', "^", 1), key],
            None => vec![key],
        }
    }
}

impl std::fmt::Debug for SearchText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SearchText(…)")
    }
}

/// A patient's id that is looked for. Personal: `Debug` says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct PatientKey(pub String);

impl std::fmt::Debug for PatientKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PatientKey(…)")
    }
}

impl Filter {
    /// Every image of these sites.
    pub fn at(sites: Sites) -> Self {
        Self { sites, states: Vec::new(), flagged: None, patient: None, search: None, batch: None }
    }
}

/// Where a page ends and the next begins: newest first, by time received, then id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageKey {
    /// The last row's time.
    pub received_at: Stamp,
    /// The last row's id.
    pub id: ImageId,
}

/// One page of images.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The images, newest first.
    pub items: Vec<Image>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<PageKey>,
    /// How many images the filter matches in all.
    pub total: u64,
}

/// What is kept for a time only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Retained {
    /// Events, by when they were written. The newest stays.
    Events,
    /// Messages in quarantine that were replayed or discarded, by when they were. What waits stays.
    Quarantine,
    /// Results of images, by when the images were received: the finding or the reason, and the verdicts.
    Results,
    /// Entries of the [audit record](crate::audit), by when they were recorded. The newest stays, and an entry says what
    /// went.
    Audit,
    /// The [exposure record](crate::exposure): first opinions by when they were given, and what readers met by when they
    /// did. What belongs to a first opinion stays as long as it.
    Exposure,
}

impl Retained {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Events, Self::Quarantine, Self::Results, Self::Audit, Self::Exposure];

    /// The word used in storage and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Quarantine => "quarantine",
            Self::Results => "results",
            Self::Audit => "audit",
            Self::Exposure => "exposure",
        }
    }
}

/// What comes after a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// Nothing lies between the position and these.
    Joined(Vec<Event>),
    /// Events after the position are gone: they were [pruned](Store::prune).
    Pruned {
        /// What is kept comes after this.
        after: Position,
    },
    /// The log has no such event. The store was restored to a state from before it, or the position was never given.
    Unknown {
        /// The position after the newest event that there is.
        newest: Position,
    },
}

/// Figures over everything, for metrics and health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// Images in each state; states without images may be missing.
    pub by_state: Vec<(State, u64)>,
    /// When the oldest unfinished image of each lane was received.
    pub oldest_unfinished: Lanes<Option<Stamp>>,
    /// Unfinished images of each lane.
    pub unfinished: Lanes<u64>,
    /// The same of each registered site, by name; of the first [`SITES`](Self::SITES) where there are more. Images of
    /// other sites and of unknown ones are what is left of the whole.
    pub sites: Vec<SiteOverview>,
}

impl Overview {
    /// Most sites that are told of one by one: each is a handful of time series.
    pub const SITES: usize = 200;
}

/// Figures over the images of one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteOverview {
    /// Which.
    pub site: SiteName,
    /// Images in each state; states without images may be missing.
    pub by_state: Vec<(State, u64)>,
    /// When its oldest unfinished image was received.
    pub oldest_unfinished: Option<Stamp>,
    /// Its unfinished images of each lane.
    pub unfinished: Lanes<u64>,
}

/// A message nobody could read, or that is not ours, kept for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Where it came from: `uploads`, `jobs`.
    pub source: String,
    /// Why it was put aside: a stable code such as `malformed` or `wrong_source`.
    pub reason: String,
    /// The message itself.
    pub body: Vec<u8>,
}

/// See the module's documentation.
#[async_trait]
pub trait Store: Send + Sync {
    /// Admits images; one answer an item, in order.
    async fn admit(&self, images: &[NewImage]) -> Result<Vec<Admission>, PortError>;

    /// An object was deleted. `version` and `etag` both missing means every version of the key that
    /// is not known to be newer than the deletion, by their sequencers. Answers what it changed.
    async fn remove(&self, object: &ObjectVersion) -> Result<Vec<ImageId>, PortError>;

    /// An object was seen to be what a reader of its key gets, though its image says that it was superseded or removed:
    /// the image is queued again, as if new, and the others of its key are superseded. Answers whether it was; not if
    /// any image of the key changed after `unchanged_since`, since what was seen may be older than that.
    async fn restore(
        &self,
        object: &ObjectVersion,
        unchanged_since: Stamp,
    ) -> Result<bool, PortError>;

    /// Takes images for work; one answer an item, in order. An id that is named twice is claimed
    /// once, and both answers are the same. An image of which `max_attempts` are counted becomes `failed` ([`Reason::RepeatedFailure`]) instead.
    async fn claim(&self, ids: &[ImageId], max_attempts: u32) -> Result<Vec<Claim>, PortError>;

    /// Finishes work, all in one transaction; one answer an item, in order: whether it was
    /// accepted. Refused means that another claim came between, or that it is finished already.
    async fn complete(&self, completions: &[Completion]) -> Result<Vec<bool>, PortError>;

    /// Counts the attempt of claims that counted none, right before what could end the process; one answer an
    /// item, in order: whether it is counted. Not counted means that another claim came between, or that
    /// the image is finished already.
    async fn count_attempts(&self, held: &[Held]) -> Result<Vec<bool>, PortError>;

    /// Gives images back untried: queued again, the attempt not counted. Old fences are ignored.
    async fn release(&self, held: &[Held]) -> Result<(), PortError>;

    /// Gives images back after a failed try: queued again, the attempt counted. Old fences are ignored.
    async fn retry(&self, held: &[Held]) -> Result<(), PortError>;

    /// Up to `limit` images that have been queued or analysing without any change for
    /// `older_than`, and marks them as looked at, so that the next sweep waits as long again.
    async fn sweep(
        &self,
        older_than: Duration,
        limit: usize,
    ) -> Result<Vec<(ImageId, Lane)>, PortError>;

    /// One image.
    async fn image(&self, id: ImageId) -> Result<Option<Image>, PortError>;

    /// The states of images, as stored; one answer an id, in order, `None` for one that is not known.
    async fn states(&self, ids: &[ImageId]) -> Result<Vec<Option<State>>, PortError>;

    /// A page of images after `after`, newest first.
    async fn list(
        &self,
        filter: &Filter,
        after: Option<PageKey>,
        limit: usize,
    ) -> Result<Page, PortError>;

    /// Up to `limit` events numbered above `after`, in order, whatever `after` is: see [`Store::resume`].
    async fn events(&self, after: Seq, limit: usize) -> Result<Vec<Event>, PortError>;

    /// Up to `limit` events of one image, the oldest first. Those that were pruned are missing.
    async fn image_events(&self, id: ImageId, limit: usize) -> Result<Vec<Event>, PortError>;

    /// Up to `limit` events after a position, or why they do not join it. Events that it answers were all kept at one
    /// moment: nothing is pruned from between them.
    async fn resume(&self, position: Position, limit: usize) -> Result<Resumed, PortError>;

    /// The position after the newest event.
    async fn newest_position(&self) -> Result<Position, PortError>;

    /// Figures over everything.
    async fn overview(&self) -> Result<Overview, PortError>;

    /// Deletes up to `limit` of what is older than `older_than`, the oldest events first; answers how many. Fewer than
    /// `limit` means that no more are that old, or that another process prunes the same at this moment.
    ///
    /// An image whose result is deleted stays, as [`State::Removed`] and with a detail that says why: an event tells of
    /// it. Unfinished images are left alone.
    async fn prune(
        &self,
        what: Retained,
        older_than: Duration,
        limit: usize,
    ) -> Result<usize, PortError>;

    /// Keeps a message that nobody could read, or that is not ours: see [`quarantine`](crate::quarantine).
    async fn quarantine(&self, message: &Quarantined) -> Result<(), PortError>;

    /// Whether changes are taken now: makes one that means nothing.
    ///
    /// # Errors
    /// When the store cannot be reached, or refuses the change, whatever its reason.
    async fn check(&self) -> Result<(), PortError>;

    /// The notification of a probe arrived: an object that is no upload, put into the bucket to see whether it is told of.
    async fn note_probe(&self, probe: Uuid) -> Result<(), PortError>;

    /// Whether a probe's notification has arrived. It is forgotten by that.
    async fn take_probe(&self, probe: Uuid) -> Result<bool, PortError>;

    /// Holds a dead image for who is about to [store its bytes once more](crate::resend); answers until when. `None` where
    /// another one holds it.
    async fn hold_resend(
        &self,
        image: ImageId,
        lease: Duration,
    ) -> Result<Option<Stamp>, PortError>;

    /// Lets go of a dead image that was held until `held`.
    async fn release_resend(&self, image: ImageId, held: Stamp) -> Result<(), PortError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_searched_as_people_type_it() {
        let beginnings = |text: &str| SearchText(text.into()).name_beginnings();
        assert_eq!(beginnings("Müller"), ["muller"]);
        assert_eq!(beginnings(" Doe, Ja"), ["doe^ja"]);
        assert_eq!(beginnings("Doe,"), ["doe"]);
        assert_eq!(beginnings("doe jane"), ["doe^jane", "doe jane"]);
        assert_eq!(beginnings("山田"), ["山田"]);
        assert_eq!(beginnings("d"), [""; 0]);
        assert_eq!(format!("{:?}", SearchText("Doe".into())), "SearchText(…)");
    }
}
