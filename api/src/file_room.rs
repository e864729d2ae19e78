//! Room for the files that are held in memory while their pictures are drawn.
//!
//! As much as the largest file takes, shared by all: many usual files, or one that is large.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Files are counted in units of so many bytes.
const UNIT: u64 = 1 << 10;

/// The room, and who has what of it.
pub(crate) struct FileRoom {
    free: Arc<Semaphore>,
    largest: u64,
}

/// A part of the room; free again when it is dropped.
pub(crate) struct Room {
    bytes: u64,
    _permit: Option<OwnedSemaphorePermit>,
}

impl FileRoom {
    /// Room for one file of `largest` bytes.
    pub(crate) fn new(largest: u64) -> Self {
        Self { free: Arc::new(Semaphore::new(units(largest) as usize)), largest }
    }

    /// Waits for room for a file that is said to have `size` bytes; `None` means any file. First come,
    /// first served, so a large file is not passed over for ever.
    pub(crate) async fn of(&self, size: Option<u64>) -> Room {
        let bytes = size.unwrap_or(self.largest).min(self.largest);
        // It is never closed.
        let _permit = self.free.clone().acquire_many_owned(units(bytes)).await.ok();
        Room { bytes, _permit }
    }
}

impl Room {
    /// How large the file may be, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// What a future says when it is asked once.
    fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn usual_files_share_the_room_and_a_large_one_has_it_alone() {
        let room = FileRoom::new(64 << 20);
        let usual: Vec<_> = (0..4).map(|_| poll(room.of(Some(1 << 20)))).collect();
        assert!(usual.iter().all(Poll::is_ready));
        assert!(poll(room.of(None)).is_pending());
        drop(usual);
        let Poll::Ready(any) = poll(room.of(None)) else { panic!("the room is free") };
        assert_eq!(any.bytes(), 64 << 20);
        assert!(poll(room.of(Some(1))).is_pending());
        drop(any);
        // What says that it is larger than accepted is refused where it is fetched.
        let Poll::Ready(large) = poll(room.of(Some(u64::MAX))) else { panic!("the room is free") };
        assert_eq!(large.bytes(), 64 << 20);
    }
}
