//! How many may come at once.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::{AeTitle, DicomMetrics, Limits};

/// Counts connections and associations.
pub(crate) struct Admission {
    limits: Arc<Limits>,
    metrics: DicomMetrics,
    waiting: Mutex<Queue>,
    open: Mutex<HashMap<Peer, usize>>,
}

type Peer = (AeTitle, IpAddr);

/// Connections on which no association was asked for yet, the oldest first.
#[derive(Default)]
struct Queue {
    next: u64,
    connections: VecDeque<(u64, CancellationToken)>,
}

impl Admission {
    pub(crate) fn new(limits: Arc<Limits>, metrics: DicomMetrics) -> Arc<Self> {
        Arc::new(Self { limits, metrics, waiting: Mutex::default(), open: Mutex::default() })
    }

    /// A new connection. Where there are too many, the oldest gives way: who means it asks at once.
    pub(crate) fn wait(self: &Arc<Self>) -> Waiting {
        let mut queue = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, token) = (queue.next, CancellationToken::new());
        queue.next += 1;
        queue.connections.push_back((number, token.clone()));
        if queue.connections.len() > self.limits.connections
            && let Some((_, oldest)) = queue.connections.pop_front()
        {
            oldest.cancel();
        }
        Waiting { admission: Arc::clone(self), number, token }
    }

    /// An association of this peer; `None` where there are as many as there may be.
    pub(crate) fn enter(self: &Arc<Self>, title: &AeTitle, from: IpAddr) -> Option<Slot> {
        let peer = (title.clone(), from.to_canonical());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let own = open.get(&peer).copied().unwrap_or_default();
        if all >= self.limits.associations || own >= self.limits.associations_per_peer {
            return None;
        }
        open.insert(peer.clone(), own + 1);
        self.metrics.open(all + 1);
        Some(Slot { admission: Arc::clone(self), peer })
    }
}

/// A connection on which no association was asked for yet.
pub(crate) struct Waiting {
    admission: Arc<Admission>,
    number: u64,
    token: CancellationToken,
}

impl Waiting {
    /// Does something, unless it has to give way to another connection before it is done.
    pub(crate) async fn unless_it_gives_way(&self, what: impl Future<Output = ()>) {
        let _ = self.token.run_until_cancelled(Box::pin(what)).await;
    }

    /// Until it has to give way to another.
    pub(crate) async fn gives_way(&self) {
        self.token.cancelled().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut queue = self.admission.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        queue.connections.retain(|(number, _)| *number != self.number);
    }
}

/// The place of an open association.
pub(crate) struct Slot {
    admission: Arc<Admission>,
    peer: Peer,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = open.get_mut(&self.peer) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.peer);
            }
        }
        self.admission.metrics.open(open.values().sum());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(limits: Limits) -> Arc<Admission> {
        let metrics = DicomMetrics::register(&prometheus::Registry::new()).expect("registers");
        Admission::new(Arc::new(limits), metrics)
    }

    #[test]
    fn one_peer_cannot_take_all_places() {
        let limits = Limits { associations: 3, associations_per_peer: 2, ..Limits::default() };
        let admission = admission(limits);
        let enter = |title: &str| {
            admission.enter(&title.parse().expect("one"), "10.0.0.1".parse().expect("one"))
        };
        let (one, _two) = (enter("A").expect("room"), enter("A").expect("room"));
        assert!(enter("A").is_none());
        let _three = enter("B").expect("room");
        assert!(enter("C").is_none());
        drop(one);
        assert!(enter("C").is_some());
    }

    #[test]
    fn the_oldest_connection_that_asks_for_nothing_gives_way() {
        let admission = admission(Limits { connections: 2, ..Limits::default() });
        let (one, two, three) = (admission.wait(), admission.wait(), admission.wait());
        assert!(one.token.is_cancelled());
        assert!(!two.token.is_cancelled() && !three.token.is_cancelled());
        drop(two);
        let _four = admission.wait();
        assert!(!three.token.is_cancelled());
    }
}
