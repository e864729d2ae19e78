//! Objects whose fetch fails for now, again and again: is it the object, or the bucket?
//!
//! One object may answer 503 for ever while its bucket delivers all others. Work on it must end. A bucket that is
//! away fails in the same way and must cost no image, so a failure counts only when another object was delivered
//! since the one before. What is known here ends with the process, which makes the bound later, never earlier.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lobar_core::object::ImageId;

/// Images remembered. Of more, the one that was tried longest ago is forgotten.
const REMEMBERED: usize = 1024;

/// The failures of this process. See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct FailingFetches(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Objects that were delivered.
    delivered: u64,
    /// Failed fetches, to tell which image was tried longest ago.
    failed: u64,
    failing: HashMap<ImageId, Failing>,
}

#[derive(Debug)]
struct Failing {
    /// Failures in a row before each of which another object was delivered.
    alone: u32,
    /// What `delivered` and `failed` were at its last failure.
    delivered: u64,
    last: u64,
}

impl FailingFetches {
    /// The bucket delivered this object, or said what is wrong with it.
    pub(crate) fn answered(&self, image: ImageId, delivered: bool) {
        let mut state = self.state();
        state.failing.remove(&image);
        state.delivered += u64::from(delivered);
    }

    /// The fetch of this object failed for now. Answers how many of its failures in a row were its own, since
    /// others were delivered in between.
    pub(crate) fn failed(&self, image: ImageId) -> u32 {
        let mut state = self.state();
        let (delivered, last) = (state.delivered, state.failed);
        state.failed += 1;
        if let Some(failing) = state.failing.get_mut(&image) {
            if failing.delivered < delivered {
                failing.alone = failing.alone.saturating_add(1);
            }
            (failing.delivered, failing.last) = (delivered, last);
            return failing.alone;
        }
        if state.failing.len() >= REMEMBERED {
            let oldest = state.failing.iter().min_by_key(|(_, failing)| failing.last);
            if let Some(oldest) = oldest.map(|(image, _)| *image) {
                state.failing.remove(&oldest);
            }
        }
        state.failing.insert(image, Failing { alone: 0, delivered, last });
        0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use lobar_core::object::ObjectVersion;

    use super::*;

    fn image(n: usize) -> ImageId {
        let (bucket, key) = ("uploads".into(), n.to_string());
        let (version, etag, sequencer, size) = (None, None, None, None);
        ObjectVersion { bucket, key, version, etag, sequencer, size }.id()
    }

    #[test]
    fn failures_count_that_come_after_another_object_was_delivered() {
        let fetches = FailingFetches::default();
        fetches.answered(image(1), true);
        assert_eq!(fetches.failed(image(7)), 0, "what was delivered before says nothing yet");
        for expected in 1..4 {
            fetches.answered(image(1), true);
            assert_eq!(fetches.failed(image(7)), expected);
            assert_eq!(fetches.failed(image(7)), expected, "nothing was delivered in between");
        }
    }

    #[test]
    fn while_nothing_is_delivered_no_failure_counts() {
        let fetches = FailingFetches::default();
        for _ in 0..100 {
            assert_eq!((fetches.failed(image(7)), fetches.failed(image(8))), (0, 0));
            fetches.answered(image(9), false);
        }
    }

    #[test]
    fn an_object_that_is_delivered_at_last_begins_anew() {
        let fetches = FailingFetches::default();
        fetches.failed(image(7));
        fetches.answered(image(1), true);
        assert_eq!(fetches.failed(image(7)), 1);
        fetches.answered(image(7), true);
        assert_eq!(fetches.failed(image(7)), 0);
    }

    #[test]
    fn of_more_images_than_are_remembered_the_one_tried_longest_ago_is_forgotten() {
        let fetches = FailingFetches::default();
        for n in 0..=REMEMBERED {
            fetches.failed(image(n));
        }
        fetches.answered(image(5000), true);
        assert_eq!(fetches.failed(image(1)), 1);
        assert_eq!(fetches.failed(image(0)), 0, "forgotten");
        assert_eq!(fetches.state().failing.len(), REMEMBERED);
    }
}
