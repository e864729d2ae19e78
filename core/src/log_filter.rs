//! Log filter: drops log lines of third-party crates within our calls. S3 libraries log URLs and
//! headers with object keys, which are personal data.

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// Passes on what this program's own crates say, and drops the rest.
struct OursOnly {
    inner: Dispatch,
    level: LevelFilter,
}

fn ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("lobar")
}

impl Subscriber for OursOnly {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if ours(metadata) { Interest::sometimes() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        ours(metadata) && self.inner.enabled(metadata)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.inner.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.inner.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.inner.record_follows_from(span, follows);
    }

    fn event(&self, event: &Event<'_>) {
        if ours(event.metadata()) {
            self.inner.event(event);
        }
    }

    fn enter(&self, span: &Id) {
        self.inner.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.inner.exit(span);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.inner.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        self.inner.try_close(id)
    }
}

/// The subscriber in force here, without what others say. Make it once and attach it to futures with
/// `tracing::instrument::WithSubscriber`: each one that is made is asked about every log line.
pub fn ours_only() -> Dispatch {
    let inner = tracing::dispatcher::get_default(Dispatch::clone);
    Dispatch::new(OursOnly { inner, level: LevelFilter::current() })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    struct Targets(Arc<Mutex<Vec<String>>>);

    impl Subscriber for Targets {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            let mut seen = self.0.lock().expect("not poisoned");
            seen.push(event.metadata().target().to_owned());
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn only_this_program_is_heard() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        tracing::subscriber::with_default(Targets(seen.clone()), || {
            let quiet = ours_only();
            tracing::dispatcher::with_default(&quiet, || {
                tracing::error!(target: "s3s::ops", "a key");
                tracing::error!(target: "lobar_endpoint", "ours");
            });
        });
        assert_eq!(*seen.lock().expect("not poisoned"), ["lobar_endpoint"]);
    }
}
