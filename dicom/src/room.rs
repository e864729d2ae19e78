//! Memory for data sets on their way: what is taken is given back when it is dropped.

use std::sync::Arc;

use bytes::BytesMut;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A permit stands for so many bytes.
const UNIT: usize = 64 << 10;

/// The memory that all associations share.
#[derive(Clone)]
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    /// So many bytes.
    pub(crate) fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.div_ceil(UNIT))))
    }

    /// Something that grows in it, at most to `limit` bytes beyond what it begins with.
    pub(crate) fn spool(&self, begun: BytesMut, limit: usize) -> Spool {
        let start = begun.len();
        Spool { room: self.clone(), bytes: begun, start, limit, taken: None }
    }
}

/// Bytes that grow.
pub(crate) struct Spool {
    room: Room,
    bytes: BytesMut,
    start: usize,
    limit: usize,
    taken: Option<OwnedSemaphorePermit>,
}

/// There is no room for more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Spool {
    /// Adds bytes.
    pub(crate) fn add(&mut self, more: &[u8]) -> Result<(), Full> {
        let length = self.bytes.len() - self.start + more.len();
        if length > self.limit {
            return Err(Full);
        }
        let held = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = length.div_ceil(UNIT).saturating_sub(held);
        if wanted > 0 {
            let wanted = u32::try_from(wanted).map_err(|_| Full)?;
            let permit =
                Arc::clone(&self.room.0).try_acquire_many_owned(wanted).map_err(|_| Full)?;
            match &mut self.taken {
                Some(taken) => taken.merge(permit),
                None => self.taken = Some(permit),
            }
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    /// All of it, and what holds its room.
    pub(crate) fn end(self) -> (BytesMut, Option<OwnedSemaphorePermit>) {
        (self.bytes, self.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_does_not_grow_beyond_its_limit_nor_all_beyond_the_room() {
        let room = Room::of(4 * UNIT);
        let mut one = room.spool(BytesMut::from(&b"head"[..]), UNIT);
        assert_eq!(one.add(&vec![0; UNIT]), Ok(()));
        assert_eq!(one.add(&[0]), Err(Full));
        let mut other = room.spool(BytesMut::new(), 100 * UNIT);
        assert_eq!(other.add(&vec![0; 3 * UNIT]), Ok(()));
        assert_eq!(other.add(&[0]), Err(Full));
        drop(one);
        assert_eq!(other.add(&[0]), Ok(()), "the room of another that is gone");
        let (_, held) = other.end();
        drop(held);
        assert_eq!(room.spool(BytesMut::new(), 100 * UNIT).add(&vec![0; 4 * UNIT]), Ok(()));
    }
}
