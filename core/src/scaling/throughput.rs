//! Arrival and completion rates, counted in buckets of ten seconds.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::time::Stamp;

const BUCKET: i64 = 10_000_000;
const BUCKETS: i64 = 60;
/// Buckets of a mean: a minute.
const LATELY: i64 = 6;

/// Images, counted in buckets of ten seconds.
#[derive(Debug, Default)]
pub struct Throughput(Mutex<VecDeque<(i64, u64)>>);

impl Throughput {
    /// Counts `images` that arrived or were finished at `at`.
    pub fn count(&self, images: u64, at: Stamp) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = at.0.div_euclid(BUCKET);
        match buckets.back_mut() {
            // An event that is a little late counts where counting is.
            Some((last, count)) if *last >= bucket => *count += images,
            _ => buckets.push_back((bucket, images)),
        }
        while buckets.front().is_some_and(|(first, _)| *first <= bucket - BUCKETS) {
            buckets.pop_front();
        }
    }

    /// Images a second in the best ten seconds of the last ten minutes, so that quiet times do not
    /// make the workers look slow; `None` when there was none.
    pub fn best(&self, now: Stamp) -> Option<f64> {
        let buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = now.0.div_euclid(BUCKET) - BUCKETS;
        let best = buckets.iter().filter(|(at, _)| *at > oldest).map(|(_, count)| *count).max()?;
        Some(best as f64 / (BUCKET as f64 / 1e6))
    }

    /// Images a second over the last minute.
    pub fn lately(&self, now: Stamp) -> f64 {
        let buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The bucket of now is not full yet.
        let last = now.0.div_euclid(BUCKET);
        let counted = buckets.iter().filter(|(at, _)| (last - LATELY..last).contains(at));
        let images: u64 = counted.map(|(_, count)| *count).sum();
        images as f64 / ((LATELY * BUCKET) as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_best_ten_seconds_and_is_forgotten_after_ten_minutes() {
        let throughput = Throughput::default();
        assert_eq!(throughput.best(Stamp(0)), None);
        for i in 0..50 {
            throughput.count(1, Stamp(i * 100_000));
        }
        throughput.count(1, Stamp(2 * BUCKET));
        assert_eq!(throughput.best(Stamp(3 * BUCKET)), Some(5.0));
        assert_eq!(throughput.best(Stamp(61 * BUCKET)), Some(0.1));
        assert_eq!(throughput.best(Stamp(700 * BUCKET)), None);
    }

    #[test]
    fn what_arrives_is_a_mean_over_the_last_full_minute() {
        let throughput = Throughput::default();
        for i in 0..120 {
            throughput.count(1, Stamp(i * 500_000));
        }
        assert_eq!(throughput.lately(Stamp(6 * BUCKET)), 2.0);
        assert_eq!(throughput.lately(Stamp(9 * BUCKET)), 1.0);
        assert_eq!(throughput.lately(Stamp(12 * BUCKET)), 0.0);
    }
}
