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

impl Told {
    /// Whether it is time for a line. A clock that was stepped back must not silence it.
    fn is_due(&self, now: Stamp) -> bool {
        self.at.is_none_or(|at| at > now || now.since(at) >= QUIET)
    }

    /// How many there are since the last line.
    fn tell(&mut self, now: Stamp) -> u64 {
        self.at = Some(now);
        std::mem::take(&mut self.since)
    }
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
        told.is_due(now).then(|| told.tell(now))
    }

    /// One more message is in quarantine.
    pub(crate) fn put_aside(&self, why: QuarantineReason, buckets: &[String], now: Stamp) {
        if let Some(messages) = self.due(why, now) {
            tell(why, messages, buckets);
        }
    }

    /// Tells of those that came within a minute of a line, and were the last.
    pub(crate) fn tell_rest(&self, buckets: &[String], now: Stamp) {
        for why in QuarantineReason::ALL {
            if let Some(messages) = self.rest(why, now) {
                tell(why, messages, buckets);
            }
        }
    }

    fn rest(&self, why: QuarantineReason, now: Stamp) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = all.get_mut(why as usize).filter(|told| told.since > 0)?;
        told.is_due(now).then(|| told.tell(now))
    }
}

fn tell(why: QuarantineReason, messages: u64, buckets: &[String]) {
    let reason = why.as_str();
    let (found, remedy) = words(why);
    if why == QuarantineReason::NoImage {
        tracing::info!(
            reason,
            messages,
            "{found} and are put aside; {remedy}. `lobar quarantine list` shows them"
        );
        return;
    }
    let buckets = buckets.join(", ");
    tracing::error!(
        reason,
        messages,
        buckets,
        "notifications are put in quarantine instead of being analysed: {found}; {remedy}. `lobar quarantine list` \
             shows them, and `lobar quarantine replay` brings them back"
    );
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
        QuarantineReason::NoImage => (
            "files are no images by name and content",
            "where some are, take their names out of LOBAR_JUNK_NAMES and replay them",
        ),
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
        assert_eq!(notices.due(why, at(161)), None);
        assert_eq!(notices.rest(why, at(219)), None, "not yet a minute");
        assert_eq!(
            notices.rest(why, at(220)),
            Some(1),
            "the last of a flood, which nothing follows"
        );
        assert_eq!(notices.rest(why, at(300)), None);
        assert_eq!(notices.due(why, at(10)), Some(1), "a clock stepped back silences nothing");
    }
}
