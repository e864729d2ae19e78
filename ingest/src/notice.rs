//! Says in the log that messages go to quarantine: at once, and then at most once a minute a reason, however many
//! there are. Says why and what to do, and nothing of the messages.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lobar_core::time::Stamp;

use crate::item::QuarantineReason;

/// Between two lines about one reason.
const QUIET: Duration = Duration::from_secs(60);

/// What was put aside of one reason.
#[derive(Debug, Default)]
struct Told {
    at: Option<Stamp>,
    since: u64,
}

/// What was said of each reason.
#[derive(Debug, Default)]
pub(crate) struct Notices(Mutex<[Told; QuarantineReason::ALL.len()]>);

impl Notices {
    /// One more message is in quarantine. Answers how many there are since the last line, when a line is due.
    fn due(&self, why: QuarantineReason, now: Stamp) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = all.get_mut(why as usize)?;
        told.since += 1;
        // A clock that was stepped back must not silence it.
        let quiet = told.at.is_some_and(|at| at <= now && now.since(at) < QUIET);
        if quiet {
            return None;
        }
        told.at = Some(now);
        Some(std::mem::take(&mut told.since))
    }

    /// One more message is in quarantine.
    pub(crate) fn put_aside(&self, why: QuarantineReason, buckets: &[String], now: Stamp) {
        let Some(messages) = self.due(why, now) else { return };
        let reason = why.as_str();
        let (found, remedy) = words(why);
        let buckets = buckets.join(", ");
        tracing::error!(
            reason,
            messages,
            buckets,
            "notifications are put in quarantine instead of being analysed: {found}; {remedy}. `lobar quarantine list` \
             shows them, and `lobar quarantine replay` brings them back"
        );
    }
}

/// What was found, and what to do.
fn words(why: QuarantineReason) -> (&'static str, &'static str) {
    match why {
        QuarantineReason::WrongSource => (
            "they are of another bucket than LOBAR_BUCKET names, or of another service",
            "correct LOBAR_BUCKET, or the notifications that reach the uploads queue",
        ),
        QuarantineReason::UnsupportedVersion => {
            ("their event format is newer than this release", "a newer release may read them")
        }
        QuarantineReason::Malformed => {
            ("they are not events of an object store", "see what else is sent to the uploads queue")
        }
        QuarantineReason::BadKey => {
            ("they name a key that no object can have", "see what sends them")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_of_at_once_and_then_once_a_minute_with_its_number() {
        let notices = Notices::default();
        let at = |seconds: i64| Stamp(seconds * 1_000_000);
        let why = QuarantineReason::WrongSource;
        assert_eq!(notices.due(why, at(100)), Some(1), "the first at once");
        for second in 101..160 {
            assert_eq!(notices.due(why, at(second)), None);
        }
        assert_eq!(notices.due(QuarantineReason::BadKey, at(130)), Some(1), "another reason");
        assert_eq!(notices.due(why, at(160)), Some(60));
        assert_eq!(notices.due(why, at(10)), Some(1), "a clock stepped back silences nothing");
    }
}
