//! Port of the quarantine: messages that ingest put aside ([`Store::quarantine`](crate::store::Store::quarantine)), kept
//! until an operator decides. Messages hold object keys, which are personal data: only [`Quarantine::entry`] shows one.
//!
//! What it promises, each sentence a test of the contract suite:
//!
//! - A message that was put aside waits with its reason and its bytes.
//! - Lists are pages, newest first, and no entry is missed or shown twice.
//! - Only what waits is listed unless all is asked for.
//! - What waits is counted by reason.
//! - A replayed entry waits no more and keeps its bytes.
//! - A replayed entry can be replayed again.
//! - A discarded entry loses its bytes and stays discarded.
//! - An entry whose state cannot be read is neither replayed nor discarded, and keeps its bytes.
//! - An unknown entry is told of as unknown.
//! - An entry whose state cannot be read is told of and hides no other.
//! - Everything survives closing and opening.

use std::fmt;

use async_trait::async_trait;

use crate::failure::PortError;
use crate::queue::{Outgoing, Queue};
use crate::time::Stamp;

/// The reasons that this release gives. What else is stored is of another release.
pub const REASONS: [&str; 6] =
    ["malformed", "bad_key", "unsupported_version", "wrong_source", "refused", NO_IMAGE];

/// The reason of what is put aside on purpose: by name and content it is no image ([`junk`](crate::junk)). Nobody need
/// decide on it.
pub const NO_IMAGE: &str = "no_image";

/// What an entry is known by; higher ones were put aside later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub i64);

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// Nobody has decided yet.
    Waiting,
    /// Put back onto its queue.
    Replayed,
    /// Judged to be nothing of ours; its bytes are gone.
    Discarded,
    /// Another release's word, or damage.
    Unreadable,
}

impl EntryState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Replayed, Self::Discarded, Self::Unreadable];

    /// The word used in storage and HTTP.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Replayed => "replayed",
            Self::Discarded => "discarded",
            Self::Unreadable => "unreadable",
        }
    }

    /// The state of a stored word.
    pub fn parse(word: &str) -> Self {
        let known = [Self::Waiting, Self::Replayed, Self::Discarded];
        known.into_iter().find(|state| state.word() == word).unwrap_or(Self::Unreadable)
    }
}

/// A message that was put aside, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is known by.
    pub id: EntryId,
    /// The queue that it came from: `uploads`.
    pub source: String,
    /// Why it was put aside: one of [`REASONS`], or another release's word.
    pub reason: String,
    /// What became of it.
    pub state: EntryState,
    /// When it was put aside.
    pub at: Stamp,
    /// Length of the message in bytes; 0 once discarded.
    pub bytes: u64,
    /// When its state was changed last, and by whom.
    pub changed: Option<(Stamp, String)>,
}

/// An entry with its message.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptMessage {
    /// What is known of it.
    pub entry: Entry,
    /// The message; empty once discarded. Personal: not for logs.
    pub body: Vec<u8>,
}

/// Without the message.
impl fmt::Debug for KeptMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptMessage").field("entry", &self.entry).finish_non_exhaustive()
    }
}

/// Why an entry stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// There is no entry of this id.
    #[error("the quarantine has no entry {0}")]
    Unknown(EntryId),
    /// Its bytes are gone.
    #[error("entry {0} was discarded, and its message with it")]
    Discarded(EntryId),
    /// Another release or damage gave it a state, and only who can read that knows what may be done.
    #[error("entry {0} has a state that this release cannot read")]
    Unreadable(EntryId),
    /// The store or the queue could not be asked.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// See the module's documentation.
#[async_trait]
pub trait Quarantine: Send + Sync {
    /// Up to `limit` entries put aside before `before`, newest first; with `all`, also those that wait no more.
    async fn list(
        &self,
        all: bool,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<Entry>, PortError>;

    /// One entry with its message.
    async fn entry(&self, id: EntryId) -> Result<Option<KeptMessage>, PortError>;

    /// How many entries wait, by reason; reasons of which none waits are left out.
    async fn waiting(&self) -> Result<Vec<(String, u64)>, PortError>;

    /// Notes that the message is on its queue again. Call it after that is durable: see [`replay`].
    async fn mark_replayed(&self, id: EntryId, by: &str) -> Result<Entry, QuarantineError>;

    /// Notes that the message is nothing of ours, and removes its bytes.
    async fn discard(&self, id: EntryId, by: &str) -> Result<Entry, QuarantineError>;
}

/// Puts a message back onto the uploads queue, and then marks its entry. Killed between the two, the entry still waits
/// and the message is on the queue: replaying it again sends it twice, which ingest takes for one.
///
/// # Errors
/// See [`QuarantineError`]; the entry is as it was.
pub async fn replay(
    quarantine: &dyn Quarantine,
    uploads: &dyn Queue,
    id: EntryId,
    by: &str,
) -> Result<Entry, QuarantineError> {
    let kept = quarantine.entry(id).await?.ok_or(QuarantineError::Unknown(id))?;
    match kept.entry.state {
        EntryState::Waiting | EntryState::Replayed => {}
        EntryState::Discarded => return Err(QuarantineError::Discarded(id)),
        EntryState::Unreadable => return Err(QuarantineError::Unreadable(id)),
    }
    let sent = uploads.send(vec![Outgoing::now(kept.body)]).await;
    for result in sent {
        result?;
    }
    quarantine.mark_replayed(id, by).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_back_from_its_word_and_another_word_is_unreadable() {
        for state in [EntryState::Waiting, EntryState::Replayed, EntryState::Discarded] {
            assert_eq!(EntryState::parse(state.word()), state);
        }
        assert_eq!(EntryState::parse("expired"), EntryState::Unreadable);
    }

    #[test]
    fn debug_tells_nothing_of_the_message() {
        let entry = Entry {
            id: EntryId(7),
            source: "uploads".into(),
            reason: "bad_key".into(),
            state: EntryState::Waiting,
            at: Stamp(1),
            bytes: 4,
            changed: None,
        };
        let told = format!("{:?}", KeptMessage { entry, body: b"name".to_vec() });
        assert!(!told.contains("110") && told.contains("bad_key"), "{told}");
    }
}
