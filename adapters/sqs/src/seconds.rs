//! Time as SQS counts it: in whole seconds, within bounds.

use std::time::Duration;

/// SQS's bounds on a lease, in seconds.
const LEASE: (u64, u64) = (1, 12 * 3600);

/// A time in whole seconds, never less than was asked for, between the least and the most.
pub(super) fn seconds(time: Duration, (least, most): (u64, u64)) -> i32 {
    let whole = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    i32::try_from(whole.clamp(least, most)).unwrap_or(i32::MAX)
}

/// A lease in SQS's seconds.
pub(super) fn lease_seconds(lease: Duration) -> i32 {
    seconds(lease, LEASE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_rounded_up_to_whole_seconds_within_bounds() {
        assert_eq!(lease_seconds(Duration::from_millis(2_001)), 3);
        assert_eq!(lease_seconds(Duration::from_secs(3)), 3);
        assert_eq!(lease_seconds(Duration::ZERO), 1);
        assert_eq!(lease_seconds(Duration::MAX), 43_200);
    }
}
