//! Decoding of DICOM in children of this process (`docs/adr/0030`): each is this executable again, as `decode-dicom`.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use lobar_core::diagnostic::Diagnostic;
use lobar_imaging::isolation::{self, Ended, EndedBy, Program};
use prometheus::{IntCounterVec, Opts, Registry};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::service::memory;

/// The file that this process runs, also when another was put in its place since.
const SELF: &str = "/proc/self/exe";

/// How long a child may work on one file on a processor, seconds: twice what the largest picture of the slowest codec takes.
const PROCESSOR: u64 = 8;
/// The same by the clock, on a machine that is busy with other things.
const TIME: Duration = Duration::from_secs(30);
/// What a child may take beyond the executable and its libraries, bytes: the largest picture of JPEG 2000 fits. Children live
/// within the memory of their parent's control group, so it is no more than that has for decoding.
const MEMORY: u64 = 1 << 30;

/// From now on what this process decodes of DICOM is decoded by children. None is started before there is a file.
pub fn isolate() {
    isolation::use_children(Program {
        path: PathBuf::from(SELF),
        arguments: vec!["decode-dicom".into()],
        time: TIME,
        processor: PROCESSOR,
        memory: MEMORY.min(memory::for_decoding()),
        ended,
    });
}

/// `lobar_dicom_children_ended_total`: of this process, whichever role decodes.
static ENDED: LazyLock<Option<IntCounterVec>> = LazyLock::new(|| {
    let help =
        "Child processes that did not outlive a DICOM file that they decoded, by what ended them.";
    let ended = IntCounterVec::new(Opts::new("lobar_dicom_children_ended_total", help), &["by"]);
    let ended = ended.ok()?;
    for by in [EndedBy::Clock, EndedBy::Processor, EndedBy::MemoryOrCrash] {
        ended.with_label_values(&[by.code()]);
    }
    Some(ended)
});

/// Registers the metrics of decoding.
pub fn register(registry: &Registry) -> Result<(), Failure> {
    let Some(ended) = &*ENDED else { return Ok(()) };
    registry.register(Box::new(ended.clone())).map_err(Failure::failed)
}

/// What is said of a child that did not outlive a file.
fn ended(Ended { by, again }: Ended) {
    let reason = by.code();
    if let Some(ended) = &*ENDED {
        ended.with_label_values(&[reason]).inc();
    }
    if again {
        tracing::warn!(
            service = "decoding",
            reason,
            "a child process ended while it decoded a DICOM file; a fresh one tries the file once more, now"
        );
    } else {
        tracing::warn!(
            service = "decoding",
            reason,
            "a child process was ended by a DICOM file, which is not decoded: its image needs a human; the next file gets \
             a fresh one"
        );
    }
}

/// For `lobar doctor`: whether a child decodes.
pub fn examine() -> Option<Diagnostic> {
    const WHAT: &str = "decoding of DICOM";
    Some(match isolation::examine()? {
        Ok(()) => Diagnostic::good(WHAT, "a child process decodes a picture"),
        Err(found) => Diagnostic::fault(
            WHAT,
            found,
            "See that this user may start processes (limits of the container, `ulimit -u`), that /proc is there, and that \
             1 GiB of memory is free.",
        ),
    })
}

/// The child: no settings, no logs, no output. It ends when its parent has no more files, and not before: a stop that is
/// told to all processes lets the parent finish what it has in hand.
pub fn serve() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let _handlers = runtime.map_err(Failure::failed)?.block_on(async {
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        kinds.map(signal).into_iter().collect::<Result<Vec<_>, _>>().map_err(Failure::failed)
    })?;
    isolation::serve(lobar_api::read_instance).map_err(Failure::failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_was_ended_is_counted_by_what_ended_it() {
        let registry = Registry::new();
        register(&registry).expect("registered");
        ended(Ended { by: EndedBy::MemoryOrCrash, again: true });
        ended(Ended { by: EndedBy::MemoryOrCrash, again: false });
        ended(Ended { by: EndedBy::Clock, again: false });
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather());
        let text = text.expect("text");
        for (by, count) in [("clock", 1), ("processor", 0), ("memory_or_crash", 2)] {
            let line = format!("lobar_dicom_children_ended_total{{by=\"{by}\"}} {count}\n");
            assert!(text.contains(&line), "{text}");
        }
    }
}
