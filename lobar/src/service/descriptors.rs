//! File descriptors: a stream of events holds one for as long as a page is open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that event streams leave to everything else: databases, brokers, requests, files.
const RESERVED: u64 = 512;
/// More streams than one process should have, however many descriptors there are.
const MOST_STREAMS: u64 = 20_000;

/// Raises the soft limit, commonly 1,024, to the hard one. Answers how many event streams fit beside
/// everything else.
pub fn raise() -> usize {
    let before = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: before.maximum, maximum: before.maximum };
    let limit = match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => before.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised; fewer pages can watch");
            before.current
        }
    };
    streams(limit)
}

/// How many event streams fit below a limit; `None` is no limit.
fn streams(limit: Option<u64>) -> usize {
    let room = limit.map_or(MOST_STREAMS, |limit| limit.saturating_sub(RESERVED).max(limit / 4));
    usize::try_from(room.min(MOST_STREAMS)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_leave_room_for_everything_else() {
        assert_eq!(streams(Some(1024)), 512);
        assert_eq!(streams(Some(256)), 64);
        assert_eq!(streams(Some(1 << 20)), 20_000);
        assert_eq!(streams(None), 20_000);
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
