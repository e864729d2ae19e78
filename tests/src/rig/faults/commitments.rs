//! Requests for storage commitment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::commitment::{
    CommitmentClaim, CommitmentOverview, CommitmentRequest, CommitmentRoom, Commitments, DueReport,
};
use lobar_core::failure::PortError;
use lobar_core::time::ManualClock;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::Switch;
use crate::rig::line::Line;

/// Requests in a store with a switch.
pub struct FaultyCommitments {
    /// The store itself.
    pub inner: Arc<dyn Commitments>,
    line: Arc<Line>,
    /// Off, it is away.
    pub switch: Switch,
    /// What roles hold, by the fence of the claim. Locked while a call changes it, so that no time passes in the middle of one.
    held: Mutex<BTreeMap<Uuid, i64>>,
    tries: AtomicU32,
}

impl FaultyCommitments {
    pub(in crate::rig) fn new(inner: Arc<dyn Commitments>, line: Arc<Line>) -> Self {
        let (held, tries) = (Mutex::default(), AtomicU32::new(0));
        Self { inner, line, switch: Switch::default(), held, tries }
    }

    /// Lets time pass unless a role holds a request: its lease, which it extends in real time, would lapse while it works.
    /// Whether time passed.
    pub async fn pass(&self, clock: &ManualClock, by: Duration) -> bool {
        let held = self.held.lock().await;
        if held.is_empty() {
            clock.advance(by);
        }
        held.is_empty()
    }

    /// How often roles put a request back after a try.
    pub fn tries(&self) -> u32 {
        self.tries.load(Ordering::SeqCst)
    }

    /// The role was killed: what it held is nobody's once its leases have lapsed.
    pub async fn abandon(&self) {
        self.held.lock().await.clear();
    }

    /// A call by whoever holds a request; where it says so, or when it `ends` that, it is held no more.
    async fn by_holder(
        &self,
        claim: CommitmentClaim,
        ends: bool,
        call: impl Future<Output = Result<bool, PortError>>,
    ) -> Result<bool, PortError> {
        let mut held = self.held.lock().await;
        let answer = call.await?;
        if (ends || !answer) && held.get(&claim.id) == Some(&claim.fence) {
            held.remove(&claim.id);
        }
        Ok(answer)
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
        let keep = async {
            let mut held = self.held.lock().await;
            let kept = self.inner.keep(request, room, lease).await?;
            held.extend(kept.iter().map(|due| (due.claim.id, due.claim.fence)));
            Ok(kept)
        };
        self.line.around(keep).await
    }
    async fn claim(&self, lease: Duration, limit: usize) -> Result<Vec<DueReport>, PortError> {
        self.switch.pass()?;
        let mut held = self.held.lock().await;
        let claimed = self.inner.claim(lease, limit).await?;
        held.extend(claimed.iter().map(|due| (due.claim.id, due.claim.fence)));
        Ok(claimed)
    }
    async fn extend(&self, claim: CommitmentClaim, lease: Duration) -> Result<bool, PortError> {
        self.switch.pass()?;
        let extend = self.inner.extend(claim, lease);
        self.line.around(self.by_holder(claim, false, extend)).await
    }
    async fn put_back(
        &self,
        claim: CommitmentClaim,
        after: Duration,
        tried: bool,
    ) -> Result<bool, PortError> {
        self.switch.pass()?;
        let put_back = async {
            let is_back = self.inner.put_back(claim, after, tried).await?;
            self.tries.fetch_add(u32::from(is_back && tried), Ordering::SeqCst);
            Ok(is_back)
        };
        self.line.around(self.by_holder(claim, true, put_back)).await
    }
    async fn finish(&self, claim: CommitmentClaim) -> Result<bool, PortError> {
        self.switch.pass()?;
        let finish = self.inner.finish(claim);
        self.line.around(self.by_holder(claim, true, finish)).await
    }
    async fn give_up(&self, claim: CommitmentClaim) -> Result<bool, PortError> {
        self.switch.pass()?;
        let give_up = self.inner.give_up(claim);
        self.line.around(self.by_holder(claim, true, give_up)).await
    }
    async fn commitments(&self) -> Result<CommitmentOverview, PortError> {
        self.switch.pass()?;
        self.inner.commitments().await
    }
}
