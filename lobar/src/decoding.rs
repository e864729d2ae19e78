//! Decoding of DICOM in children of this process (`docs/adr/0030`): each is this executable again, as `decode-dicom`.

use std::path::PathBuf;
use std::time::Duration;

use lobar_imaging::isolation::{self, Program};
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
    });
}

/// The child: no settings, no logs, no output. It ends when its parent has no more files, and not before: a stop that is
/// told to all processes lets the parent finish what it has in hand.
pub fn serve() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let _handlers = runtime.map_err(Failure::failed)?.block_on(async {
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        kinds.map(signal).into_iter().collect::<Result<Vec<_>, _>>().map_err(Failure::failed)
    })?;
    isolation::serve().map_err(Failure::failed)
}
