//! Metrics that are absent unless their source was read of late.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

/// When a source of figures was read last.
#[derive(Clone, Default)]
pub(super) struct LastRead(Arc<Mutex<Option<Instant>>>);

impl LastRead {
    fn set(&self, at: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// It was read just now.
    pub(super) fn read(&self) {
        self.set(Some(Instant::now()));
    }

    /// It could not be read.
    pub(super) fn failed(&self) {
        self.set(None);
    }

    fn is_younger_than(&self, age: Duration) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|at| at.elapsed() < age)
    }
}

/// A metric that is absent unless its source was read of late.
pub(super) struct WhileFresh<C> {
    pub(super) metric: C,
    pub(super) source: LastRead,
    pub(super) stale: Duration,
}

impl<C: Collector> Collector for WhileFresh<C> {
    fn desc(&self) -> Vec<&Desc> {
        self.metric.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        match self.source.is_younger_than(self.stale) {
            true => self.metric.collect(),
            false => Vec::new(),
        }
    }
}

/// A collector behind a pointer, which is none itself.
pub(super) struct Boxed(pub(super) Box<dyn Collector>);

impl Collector for Boxed {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.0.collect()
    }
}
