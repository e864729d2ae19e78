//! How long things last, and how much is computed at once.

use std::num::NonZeroUsize;
use std::time::Duration;

/// How long sessions and links last, and how much is computed at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInSettings {
    /// A session that a person did not use for so long is over.
    pub idle: Duration,
    /// A session is over after so long, however much it is used.
    pub longest: Duration,
    /// A link can be redeemed for so long.
    pub link: Duration,
    /// A refusal of a name and password is told no sooner than this after it was asked, so that its time does not say
    /// what was wrong. Longer than a hash and a write take together.
    pub refused_after: Duration,
    /// Hashes of passwords that are computed at once, each on a processor and with 19 MiB.
    pub hashes: NonZeroUsize,
}

impl Default for SignInSettings {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        // Half of them, so that a flood of passwords leaves the rest to those who are signed in.
        let hashes = NonZeroUsize::new((processors / 2).min(4)).unwrap_or(NonZeroUsize::MIN);
        Self {
            idle: Duration::from_secs(30 * 60),
            longest: Duration::from_secs(12 * 60 * 60),
            link: Duration::from_secs(24 * 60 * 60),
            refused_after: Duration::from_millis(500),
            hashes,
        }
    }
}
