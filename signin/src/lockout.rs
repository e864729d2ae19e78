//! Pauses after failures to sign in.
//!
//! They grow to a minute instead of ending in a lock: a guesser gets a try a minute at last, and who guesses at a doctor's
//! name cannot keep the doctor out. A try within a pause is refused without looking at the password, and is not counted: it makes the
//! pause no longer.

use std::time::Duration;

use lobar_core::accounts::Account;
use lobar_core::time::Stamp;

/// Failures without a pause: what somebody mistypes.
pub const FREE: u32 = 4;

/// The first pause; each further failure doubles it.
pub const FIRST: Duration = Duration::from_secs(1);

/// The longest pause.
pub const LONGEST: Duration = Duration::from_secs(60);

/// How long after so many failures in a row the next try is refused.
pub fn pause(failures: u32) -> Duration {
    match failures.checked_sub(FREE + 1) {
        None => Duration::ZERO,
        Some(doublings) => 1_u32
            .checked_shl(doublings)
            .map_or(LONGEST, |times| FIRST.saturating_mul(times).min(LONGEST)),
    }
}

/// What is left of the pause after these failures.
///
/// # Errors
/// How long to wait, when there is something left. A clock that was set back does not lengthen it.
pub fn may_try_after(failures: u32, failed_at: Option<Stamp>, now: Stamp) -> Result<(), Duration> {
    let Some(failed_at) = failed_at else { return Ok(()) };
    let left = pause(failures).saturating_sub(now.since(failed_at));
    if left.is_zero() { Ok(()) } else { Err(left) }
}

/// Whether this account may try to sign in now.
///
/// # Errors
/// How long to wait.
pub fn may_try(account: &Account, now: Stamp) -> Result<(), Duration> {
    may_try_after(account.failures, account.failed_at, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_begin_after_four_failures_and_double_up_to_a_minute() {
        let seconds: Vec<_> = (0..18).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 60]);
        assert_eq!(pause(u32::MAX), LONGEST);
    }

    #[test]
    fn a_try_is_refused_until_its_pause_is_over() {
        let failed = Stamp(1_000_000);
        let tried = |micros| may_try_after(6, Some(failed), Stamp(micros));
        assert_eq!(tried(1_000_000), Err(Duration::from_secs(2)));
        assert_eq!(tried(2_500_000), Err(Duration::from_millis(500)));
        assert_eq!(tried(3_000_000), Ok(()));
        assert_eq!(tried(0), Err(Duration::from_secs(2)), "the clock was set back");
        assert_eq!(may_try_after(0, None, failed), Ok(()));
        assert_eq!(may_try_after(4, Some(failed), failed), Ok(()));
    }
}
