//! Uploads stored by this process that ingest may not have admitted yet, so that an id just given
//! out is known. The store takes precedence. Bounded; lost with the process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use lobar_core::image::Lane;
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;

const CAPACITY: usize = 4096;

/// One stored upload.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) site: String,
    pub(crate) lane: Lane,
    pub(crate) at: Stamp,
}

/// The newest uploads by id.
#[derive(Debug, Default)]
pub(crate) struct PendingUploads(Mutex<(HashMap<ImageId, Upload>, VecDeque<ImageId>)>);

impl PendingUploads {
    pub(crate) fn note(&self, id: ImageId, upload: Upload) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (by_id, order) = &mut *guard;
        if by_id.insert(id, upload).is_none() {
            order.push_back(id);
        }
        while order.len() > CAPACITY {
            if let Some(oldest) = order.pop_front() {
                by_id.remove(&oldest);
            }
        }
    }

    /// It never comes to be an image.
    pub(crate) fn forget(&self, id: ImageId) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0.remove(&id);
        guard.1.retain(|kept| *kept != id);
    }

    pub(crate) fn get(&self, id: ImageId) -> Option<Upload> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.get(&id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_uploads_are_forgotten_first() {
        let accepted = PendingUploads::default();
        let id = |n: usize| ImageId(uuid::Uuid::from_u128(n as u128));
        for n in 0..=CAPACITY {
            let upload = Upload { site: "a".into(), lane: Lane::Routine, at: Stamp(0) };
            accepted.note(id(n), upload);
        }
        assert!(accepted.get(id(0)).is_none());
        assert!(accepted.get(id(1)).is_some() && accepted.get(id(CAPACITY)).is_some());
    }
}
