//! What is going to happen, the next first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use lobar_core::time::Stamp;

/// Something happens. Workers and images are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// Somebody looks how many workers there should be.
    Look,
    /// A worker is up.
    Ready(usize),
    /// A worker has computed an image.
    Computed(usize),
    /// A worker is lost.
    Lost(usize),
    /// An image that a lost worker had in hand comes back.
    LeaseLapsed(usize),
}

/// What is going to happen. Of what happens at one moment the first comes that was put first.
#[derive(Debug)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<(Stamp, u64, Event)>>,
    put: u64,
}

impl Agenda {
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), put: 0 }
    }

    pub(super) fn put(&mut self, at: Stamp, event: Event) {
        self.put += 1;
        self.heap.push(Reverse((at, self.put, event)));
    }

    /// When the next thing happens.
    pub(super) fn next(&self) -> Stamp {
        self.heap.peek().map_or(Stamp(i64::MAX), |Reverse((at, ..))| *at)
    }

    pub(super) fn pop(&mut self) -> (Stamp, Event) {
        let Reverse((at, _, event)) = self.heap.pop().expect("the next look is always on it");
        (at, event)
    }
}
