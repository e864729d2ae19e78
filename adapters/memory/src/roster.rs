//! The workers of one process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lobar_core::failure::PortError;
use lobar_core::roster::{Member, Presence, Roster};
use uuid::Uuid;

/// Who announced themselves, and until when that holds.
#[derive(Debug, Default)]
pub struct MemoryRoster(Mutex<HashMap<Uuid, (Presence, Instant)>>);

impl MemoryRoster {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, (Presence, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Roster for MemoryRoster {
    async fn announce(
        &self,
        worker: Uuid,
        presence: &Presence,
        keep: Duration,
    ) -> Result<(), PortError> {
        self.lock().insert(worker, (*presence, Instant::now() + keep));
        Ok(())
    }

    async fn leave(&self, worker: Uuid) -> Result<(), PortError> {
        self.lock().remove(&worker);
        Ok(())
    }

    async fn members(&self) -> Result<Vec<Member>, PortError> {
        let mut present = self.lock();
        let now = Instant::now();
        present.retain(|_, (_, until)| *until > now);
        let members = present.iter();
        Ok(members
            .map(|(worker, (presence, _))| Member { worker: *worker, presence: *presence })
            .collect())
    }
}
