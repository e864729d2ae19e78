//! How long to wait before trying again.

use std::time::Duration;

/// Exponential backoff with full jitter over its upper half
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Ceiling of the first wait.
    pub first: Duration,
    /// Ceiling of every wait.
    pub max: Duration,
}

impl Backoff {
    /// The wait before try number `attempt` (0 for the first retry). `jitter` is random in 0..=1;
    /// the answer lies between half the ceiling and the ceiling, and is never zero.
    pub fn delay(&self, attempt: u32, jitter: f64) -> Duration {
        let ceiling = self.first.saturating_mul(1 << attempt.min(20)).min(self.max);
        let share = 0.5 + 0.5 * jitter.clamp(0.0, 1.0);
        ceiling.mul_f64(share).max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff =
        Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5) };

    #[test]
    fn waits_double_up_to_the_ceiling() {
        assert_eq!(BACKOFF.delay(0, 1.0), Duration::from_millis(100));
        assert_eq!(BACKOFF.delay(3, 1.0), Duration::from_millis(800));
        assert_eq!(BACKOFF.delay(60, 1.0), Duration::from_secs(5));
    }

    #[test]
    fn jitter_takes_off_at_most_half() {
        assert_eq!(BACKOFF.delay(0, 0.0), Duration::from_millis(50));
        assert_eq!(BACKOFF.delay(0, f64::NAN.max(0.0)), Duration::from_millis(50));
    }
}
