//! Rows of requests for storage commitment.

use std::time::Duration;

use lobar_core::access::SiteName;
use lobar_core::commitment::{
    CommitmentClaim, CommitmentRequest, DueReport, Requester, SopReference,
};
use lobar_core::study::Uid;
use lobar_core::time::Stamp;
use uuid::Uuid;

/// A row of `commitment` that waits.
#[derive(sqlx::FromRow)]
pub struct CommitmentRow {
    pub(super) id: Uuid,
    fence: i64,
    site: String,
    title: String,
    called: String,
    host: String,
    certificate: Option<Vec<u8>>,
    transaction_uid: String,
    asked_at: i64,
    tries: i64,
}

impl CommitmentRow {
    /// The report that is due; `None` where the row cannot be read.
    pub(super) fn due(self, references: Vec<SopReference>, now: Stamp) -> Option<DueReport> {
        let certificate = match self.certificate {
            Some(bytes) => Some(bytes.try_into().ok()?),
            None => None,
        };
        let requester = Requester {
            site: SiteName::parse(&self.site)?,
            title: self.title,
            called: self.called,
            host: self.host.parse().ok()?,
            certificate,
        };
        let transaction = Uid::parse(&self.transaction_uid)?;
        Some(DueReport {
            claim: CommitmentClaim { id: self.id, fence: self.fence },
            request: CommitmentRequest { requester, transaction, references },
            age: age(self.asked_at, now),
            tries: u32::try_from(self.tries).unwrap_or(0),
        })
    }
}

fn age(asked_at: i64, now: Stamp) -> Duration {
    now.since(Stamp(asked_at))
}

/// What a row names; `None` where it cannot be read.
pub(super) fn reference(class: &str, instance: &str) -> Option<SopReference> {
    Some(SopReference { class: Uid::parse(class)?, instance: Uid::parse(instance)? })
}
