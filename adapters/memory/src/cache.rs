//! The cache of one process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use lobar_core::cache::{Cache, Entry};
use lobar_core::failure::PortError;
use lobar_core::object::ImageId;
use lobar_core::position::Position;

/// Images that are remembered at most; an answer has about 2 kB.
const CAPACITY: usize = 10_000;

/// What is known of one image.
#[derive(Debug)]
struct Known {
    /// Nothing that is older may be put.
    position: Position,
    /// The tag and the body; `None` when it was forgotten.
    answer: Option<(String, Bytes)>,
    until: Instant,
}

#[derive(Debug, Default)]
struct Kept {
    images: HashMap<ImageId, Known>,
    /// In the order in which they came, the oldest first.
    order: VecDeque<ImageId>,
}

/// Answers kept in memory; the oldest make room.
#[derive(Debug, Default)]
pub struct MemoryCache(Mutex<Kept>);

impl MemoryCache {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// What is known of an image and not expired.
    fn known(&self, image: ImageId) -> Option<&Known> {
        self.images.get(&image).filter(|known| known.until > Instant::now())
    }

    fn keep(&mut self, image: ImageId, known: Known) {
        if self.images.insert(image, known).is_none() {
            self.order.push_back(image);
        }
        while self.order.len() > CAPACITY {
            if let Some(oldest) = self.order.pop_front() {
                self.images.remove(&oldest);
            }
        }
    }
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, image: ImageId) -> Result<Option<Entry>, PortError> {
        let kept = self.lock();
        let known = kept.known(image);
        Ok(known.and_then(|known| {
            let (tag, body) = known.answer.clone()?;
            Some(Entry { position: known.position, tag, body })
        }))
    }

    async fn put(&self, image: ImageId, entry: &Entry, keep: Duration) -> Result<bool, PortError> {
        let mut kept = self.lock();
        if kept.known(image).is_some_and(|known| known.position > entry.position) {
            return Ok(false);
        }
        let answer = Some((entry.tag.clone(), entry.body.clone()));
        kept.keep(image, Known { position: entry.position, answer, until: Instant::now() + keep });
        Ok(true)
    }

    async fn forget(
        &self,
        changes: &[(ImageId, Position)],
        keep: Duration,
    ) -> Result<(), PortError> {
        let mut kept = self.lock();
        for (image, position) in changes {
            if kept.known(*image).is_none_or(|known| known.position < *position) {
                let until = Instant::now() + keep;
                kept.keep(*image, Known { position: *position, answer: None, until });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_make_room() {
        let cache = MemoryCache::default();
        let id = |n: usize| ImageId(uuid::Uuid::from_u128(n as u128));
        let entry = Entry {
            position: Position::from_number(1),
            tag: "t".into(),
            body: Bytes::from_static(b"b"),
        };
        for n in 0..=CAPACITY {
            assert!(cache.put(id(n), &entry, Duration::from_secs(60)).await.expect("put"));
        }
        assert_eq!(cache.get(id(0)).await.expect("got"), None);
        assert_eq!(cache.get(id(1)).await.expect("got"), Some(entry));
        assert_eq!(cache.lock().images.len(), CAPACITY);
    }
}
