//! The audit record: who sent how many instances, and that somebody was rejected.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lobar_core::audit::{Action, Actor, ActorKind, Audit, NewEntry};
use lobar_core::failure::chain;
use serde_json::json;

use crate::Peer;

/// How many rejections are recorded in a minute: whoever knocks again and again shall not fill the record.
const REFUSED: u32 = 60;
const MINUTE: Duration = Duration::from_secs(60);

/// What was put into the bucket for a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Instances that were answered with success.
    pub(crate) stored: u64,
    /// Those that the bucket has, or may have, although they were answered otherwise: they cannot be read, or it was slow.
    pub(crate) others: u64,
}

impl Tally {
    pub(crate) fn all(self) -> u64 {
        self.stored + self.others
    }
}

pub(crate) struct Recorder {
    audit: Arc<dyn Audit>,
    /// Since when how many rejections were recorded.
    refused: Mutex<(Instant, u32)>,
}

impl Recorder {
    pub(crate) fn new(audit: Arc<dyn Audit>) -> Self {
        Self { audit, refused: Mutex::new((Instant::now(), 0)) }
    }

    /// An association was rejected.
    pub(crate) async fn refused(&self, reason: &'static str) {
        let mut entry = NewEntry::new(Action::Refused, Actor::nobody());
        entry.detail = json!({ "by": "dicom", "reason": reason });
        self.append(entry).await;
    }

    /// Whether one more rejection is to be told of and recorded: not when there are too many.
    pub(crate) fn is_due(&self) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.0.elapsed() > MINUTE {
            *refused = (Instant::now(), 0);
        }
        refused.1 = refused.1.saturating_add(1);
        refused.1 <= REFUSED
    }

    /// What a peer stored since this was recorded last. Nothing is no entry.
    pub(crate) async fn received(&self, peer: &Peer, tally: Tally) {
        if tally.all() == 0 {
            return;
        }
        let name = peer.title.to_string();
        let actor = Actor { kind: ActorKind::Machine, id: None, name };
        let mut entry = NewEntry::new(Action::Uploaded, actor);
        entry.site = Some(peer.site.clone());
        entry.detail = json!({ "by": "dicom", "instances": tally.stored });
        if tally.others > 0 {
            entry.detail["others"] = tally.others.into();
        }
        self.append(entry).await;
    }

    async fn append(&self, entry: NewEntry) {
        if let Err(error) = self.audit.append(&[entry]).await {
            tracing::warn!(error = chain(&error), "an association is not in the audit record");
        }
    }
}
