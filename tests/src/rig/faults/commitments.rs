//! Requests for storage commitment.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::commitment::{
    CommitmentClaim, CommitmentOverview, CommitmentRequest, CommitmentRoom, Commitments, DueReport,
};
use lobar_core::failure::PortError;

use super::Switch;
use crate::rig::line::Line;

/// Requests in a store with a switch.
pub struct FaultyCommitments {
    /// The store itself.
    pub inner: Arc<dyn Commitments>,
    line: Arc<Line>,
    /// Off, it is away.
    pub switch: Switch,
}

impl FaultyCommitments {
    pub(in crate::rig) fn new(inner: Arc<dyn Commitments>, line: Arc<Line>) -> Self {
        Self { inner, line, switch: Switch::default() }
    }
}

#[async_trait]
impl Commitments for FaultyCommitments {
    async fn keep(
        &self,
        request: &CommitmentRequest,
        room: CommitmentRoom,
        lease: Duration,
    ) -> Result<Option<DueReport>, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.keep(request, room, lease)).await
    }
    async fn claim(&self, lease: Duration, limit: usize) -> Result<Vec<DueReport>, PortError> {
        self.switch.pass()?;
        self.inner.claim(lease, limit).await
    }
    async fn extend(&self, claim: CommitmentClaim, lease: Duration) -> Result<bool, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.extend(claim, lease)).await
    }
    async fn put_back(
        &self,
        claim: CommitmentClaim,
        after: Duration,
        tried: bool,
    ) -> Result<bool, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.put_back(claim, after, tried)).await
    }
    async fn finish(&self, claim: CommitmentClaim) -> Result<bool, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.finish(claim)).await
    }
    async fn give_up(&self, claim: CommitmentClaim) -> Result<bool, PortError> {
        self.switch.pass()?;
        self.line.around(self.inner.give_up(claim)).await
    }
    async fn commitments(&self) -> Result<CommitmentOverview, PortError> {
        self.switch.pass()?;
        self.inner.commitments().await
    }
}
