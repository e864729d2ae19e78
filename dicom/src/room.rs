//! Memory for data sets on their way: what is taken is given back when it is dropped.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::BytesMut;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::AeTitle;

/// A permit stands for so many bytes.
const UNIT: usize = 64 << 10;

type Peer = (AeTitle, IpAddr);

/// The memory that all associations share.
pub(crate) struct Room {
    units: usize,
    all: Arc<Semaphore>,
    shares: Mutex<HashMap<Peer, Weak<Semaphore>>>,
}

impl Room {
    /// So many bytes.
    pub(crate) fn of(bytes: usize) -> Self {
        let units = bytes.div_ceil(UNIT);
        Self { units, all: Arc::new(Semaphore::new(units)), shares: Mutex::default() }
    }

    /// What one peer may take of it, on all its associations together: half.
    pub(crate) fn share(&self, title: &AeTitle, from: IpAddr) -> Share {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = (title.clone(), from.to_canonical());
        let own = shares.get(&peer).and_then(Weak::upgrade).unwrap_or_else(|| {
            shares.retain(|_, share| share.strong_count() > 0);
            let own = Arc::new(Semaphore::new(self.units.div_ceil(2)));
            shares.insert(peer, Arc::downgrade(&own));
            own
        });
        Share { all: Arc::clone(&self.all), own }
    }
}

/// The part of a peer.
#[derive(Clone)]
pub(crate) struct Share {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
}

impl Share {
    /// Something that grows in it, at most to `limit` bytes beyond what it begins with.
    pub(crate) fn spool(&self, begun: BytesMut, limit: usize) -> Spool {
        let start = begun.len();
        Spool { share: self.clone(), bytes: begun, start, limit, taken: None }
    }

    fn take(&self, units: usize) -> Option<Held> {
        let units = u32::try_from(units).ok()?;
        let own = Arc::clone(&self.own).try_acquire_many_owned(units).ok()?;
        let all = Arc::clone(&self.all).try_acquire_many_owned(units).ok()?;
        Some(Held { own, all })
    }
}

/// Room that is taken.
pub(crate) struct Held {
    own: OwnedSemaphorePermit,
    all: OwnedSemaphorePermit,
}

/// Bytes that grow.
pub(crate) struct Spool {
    share: Share,
    bytes: BytesMut,
    start: usize,
    limit: usize,
    taken: Option<Held>,
}

/// Why bytes do not grow.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It would be longer than it may be.
    TooLong,
    /// There is no room now.
    Full,
}

impl Spool {
    /// Adds bytes.
    pub(crate) fn add(&mut self, more: &[u8]) -> Result<(), Refused> {
        let length = self.bytes.len() - self.start + more.len();
        if length > self.limit {
            return Err(Refused::TooLong);
        }
        let held = self.taken.as_ref().map_or(0, |taken| taken.all.num_permits());
        let wanted = length.div_ceil(UNIT).saturating_sub(held);
        if wanted > 0 {
            let more = self.share.take(wanted).ok_or(Refused::Full)?;
            match &mut self.taken {
                Some(taken) => {
                    taken.own.merge(more.own);
                    taken.all.merge(more.all);
                }
                None => self.taken = Some(more),
            }
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    /// All of it, and what holds its room.
    pub(crate) fn end(self) -> (BytesMut, Option<Held>) {
        (self.bytes, self.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(room: &Room, title: &str) -> Share {
        room.share(&title.parse().expect("a title"), [10, 0, 0, 1].into())
    }

    #[test]
    fn one_does_not_grow_beyond_its_limit_nor_all_beyond_the_room() {
        let room = Room::of(4 * UNIT);
        let (a, b, c) = (share(&room, "A"), share(&room, "B"), share(&room, "C"));
        let mut one = a.spool(BytesMut::from(&b"head"[..]), UNIT);
        assert_eq!(one.add(&vec![0; UNIT]), Ok(()));
        assert_eq!(one.add(&[0]), Err(Refused::TooLong));
        let mut other = b.spool(BytesMut::new(), 100 * UNIT);
        assert_eq!(other.add(&vec![0; 2 * UNIT]), Ok(()));
        let mut third = c.spool(BytesMut::new(), 100 * UNIT);
        assert_eq!(third.add(&vec![0; UNIT]), Ok(()));
        assert_eq!(third.add(&[0]), Err(Refused::Full));
        drop(one);
        assert_eq!(third.add(&[0]), Ok(()), "the room of another that is gone");
        let (_, held) = third.end();
        drop((held, other));
        assert_eq!(a.spool(BytesMut::new(), 100 * UNIT).add(&vec![0; 2 * UNIT]), Ok(()));
    }

    #[test]
    fn a_peer_takes_half_of_the_room_at_most_however_many_associations_it_has() {
        let room = Room::of(4 * UNIT);
        let mut one = share(&room, "A").spool(BytesMut::new(), 100 * UNIT);
        let mut two = share(&room, "A").spool(BytesMut::new(), 100 * UNIT);
        assert_eq!(one.add(&vec![0; UNIT]), Ok(()));
        assert_eq!(two.add(&vec![0; UNIT]), Ok(()));
        assert_eq!(one.add(&[0]), Err(Refused::Full));
        let mut other = share(&room, "B").spool(BytesMut::new(), 100 * UNIT);
        assert_eq!(other.add(&vec![0; 2 * UNIT]), Ok(()));
    }
}
