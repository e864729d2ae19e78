//! Port of storage commitment (PS3.4, annex J): what peers asked about, kept until they were told which of it is stored.
//!
//! A request names instances, so it is personal. It is kept no longer than until its report was taken, or was given up.
//!
//! A report is due at a time, to whoever claims it first; a claim is a lease, and lapses unless it is extended. So a report is
//! sent at least once whatever process ends meanwhile, and by one process at a time.
//!
//! What it promises, each sentence a test of the contract suite:
//!
//! - A request that was kept is held by whoever kept it, with all that it names.
//! - A request that is held is due to nobody else until its lease lapses.
//! - A lease that is extended lapses later.
//! - What is put back is due when it says, and counts as tried only where it was.
//! - Of two that claim at the same time one gets a request.
//! - Requests are claimed in the order in which they are due.
//! - Who asks again takes the place of what they asked before, and nobody holds that any more.
//! - The same transaction of another peer or of another site is another request.
//! - As many requests wait as there may be, of all and of one peer, and asking again is no further one.
//! - A request whose report was taken is gone.
//! - A request that was given up names nothing, is not due, and is told of for thirty days.
//! - Whoever holds a request no more changes nothing.
//! - A request that names an erased image names nothing any more, is held by nobody, and is due at once.
//! - A request that cannot be read hides no other.
//! - Everything survives closing and opening.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::access::SiteName;
use crate::failure::PortError;
use crate::study::Uid;
use crate::time::Stamp;

/// How long requests that were given up are told of.
pub const GIVEN_UP_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Who asked, as it is found again in the list of those who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    /// The site to which what it sends belonged when it asked.
    pub site: SiteName,
    /// Its AE title.
    pub title: String,
    /// The AE title by which it called.
    pub called: String,
    /// The address from which it asked.
    pub host: IpAddr,
    /// SHA-256 of the certificate that it showed.
    pub certificate: Option<[u8; 32]>,
}

/// An instance that is asked about. Personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SopReference {
    /// SOP Class UID.
    pub class: Uid,
    /// SOP Instance UID.
    pub instance: Uid,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitmentRequest {
    /// Who asked.
    pub requester: Requester,
    /// Transaction UID.
    pub transaction: Uid,
    /// What is asked about, in the order of the request. Empty once one of these images was erased: then there is nothing true
    /// to be said of all of them, and the requester has to ask again.
    pub references: Vec<SopReference>,
}

/// A request that is held, until its lease lapses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CommitmentClaim {
    /// Which.
    pub id: Uuid,
    /// Its how manieth claim: an older one holds nothing.
    pub fence: i64,
}

impl fmt::Debug for CommitmentClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommitmentClaim({})", self.id)
    }
}

/// A report that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueReport {
    /// Holds it.
    pub claim: CommitmentClaim,
    /// What is asked.
    pub request: CommitmentRequest,
    /// How long ago it was asked, when it was claimed.
    pub age: Duration,
    /// How often it was tried to send it.
    pub tries: u32,
}

/// How many requests may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitmentRoom {
    /// In all.
    pub all: usize,
    /// Of one AE title at one site.
    pub of_one: usize,
}

/// What an operator is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitmentOverview {
    /// Requests whose report was not taken yet.
    pub waiting: u64,
    /// When the oldest of them was asked.
    pub oldest: Option<Stamp>,
    /// Requests that were given up within [`GIVEN_UP_KEPT`].
    pub given_up: u64,
}

/// See the module's documentation.
#[async_trait]
pub trait Commitments: Send + Sync {
    /// Keeps a request, and holds it for `lease`; when this answers, it is durable. `None` where as many wait as may.
    async fn keep(
        &self,
        request: &CommitmentRequest,
        room: CommitmentRoom,
        lease: Duration,
    ) -> Result<Option<DueReport>, PortError>;

    /// Holds up to `limit` requests whose report is due, for `lease`.
    async fn claim(&self, lease: Duration, limit: usize) -> Result<Vec<DueReport>, PortError>;

    /// Holds a request for `lease` from now on; false where it is held no more.
    async fn extend(&self, claim: CommitmentClaim, lease: Duration) -> Result<bool, PortError>;

    /// Lets go of a request: it is due again `after` this time. `tried` says whether it was tried to send its report. False
    /// where it was held no more, as for the next two.
    async fn put_back(
        &self,
        claim: CommitmentClaim,
        after: Duration,
        tried: bool,
    ) -> Result<bool, PortError>;

    /// Its report was taken.
    async fn finish(&self, claim: CommitmentClaim) -> Result<bool, PortError>;

    /// Its report will not be sent.
    async fn give_up(&self, claim: CommitmentClaim) -> Result<bool, PortError>;

    /// How many wait, and how many were given up.
    async fn commitments(&self) -> Result<CommitmentOverview, PortError>;
}
