//! The workers of one process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lobar_core::failure::PortError;
use lobar_core::presence::{Presence, PresentWorker, WorkerLoad};
use uuid::Uuid;

/// Who announced themselves, and until when that holds.
#[derive(Debug, Default)]
pub struct MemoryPresence(Mutex<HashMap<Uuid, (WorkerLoad, Instant)>>);

impl MemoryPresence {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, (WorkerLoad, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Presence for MemoryPresence {
    async fn heartbeat(
        &self,
        worker: Uuid,
        load: &WorkerLoad,
        keep: Duration,
    ) -> Result<(), PortError> {
        self.lock().insert(worker, (*load, Instant::now() + keep));
        Ok(())
    }

    async fn leave(&self, worker: Uuid) -> Result<(), PortError> {
        self.lock().remove(&worker);
        Ok(())
    }

    async fn workers(&self) -> Result<Vec<PresentWorker>, PortError> {
        let mut present = self.lock();
        let now = Instant::now();
        present.retain(|_, (_, until)| *until > now);
        let members = present.iter();
        Ok(members
            .map(|(worker, (load, _))| PresentWorker { worker: *worker, load: *load })
            .collect())
    }
}
