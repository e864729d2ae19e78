//! How fast images have been finished: the best ten seconds of the last ten minutes, so that quiet
//! times do not make the workers look slow.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use lobar_core::time::Stamp;

const BUCKET: i64 = 10_000_000;
const BUCKETS: i64 = 60;

/// Finished images, counted in buckets of ten seconds.
#[derive(Debug, Default)]
pub(crate) struct Throughput(Mutex<VecDeque<(i64, u64)>>);

impl Throughput {
    /// Counts one image that was finished at `at`.
    pub(crate) fn finished(&self, at: Stamp) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = at.0.div_euclid(BUCKET);
        match buckets.back_mut() {
            // An event that is a little late counts where counting is.
            Some((last, count)) if *last >= bucket => *count += 1,
            _ => buckets.push_back((bucket, 1)),
        }
        while buckets.front().is_some_and(|(first, _)| *first <= bucket - BUCKETS) {
            buckets.pop_front();
        }
    }

    /// Images a second; `None` when none was finished in the last ten minutes.
    pub(crate) fn per_second(&self, now: Stamp) -> Option<f64> {
        let buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = now.0.div_euclid(BUCKET) - BUCKETS;
        let best = buckets.iter().filter(|(at, _)| *at > oldest).map(|(_, count)| *count).max()?;
        Some(best as f64 / (BUCKET as f64 / 1e6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_best_ten_seconds_and_is_forgotten_after_ten_minutes() {
        let throughput = Throughput::default();
        assert_eq!(throughput.per_second(Stamp(0)), None);
        for i in 0..50 {
            throughput.finished(Stamp(i * 100_000));
        }
        throughput.finished(Stamp(2 * BUCKET));
        assert_eq!(throughput.per_second(Stamp(3 * BUCKET)), Some(5.0));
        assert_eq!(throughput.per_second(Stamp(61 * BUCKET)), Some(0.1));
        assert_eq!(throughput.per_second(Stamp(700 * BUCKET)), None);
    }
}
