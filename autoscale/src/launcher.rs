//! Worker processes: how one is started on its GPU or its cores, and told to end.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::CpuSet;
use tokio::process::{Child, Command};

/// What a process of one place is given beside what all are given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its own arguments, after those of all.
    pub arguments: Vec<OsString>,
    /// The cores that it runs on; all when there are none.
    pub cores: Vec<usize>,
}

/// Starts worker processes.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The executable.
    pub program: PathBuf,
    /// The arguments of all.
    pub arguments: Vec<OsString>,
    /// The places, one process each.
    pub places: Vec<Place>,
}

/// A process that runs.
#[derive(Debug)]
pub(crate) struct WorkerProcess(Child);

impl Launcher {
    /// Starts the process of `place`. Its standard input is a pipe that ends with this process, however that ends: a
    /// worker without its autoscaler drains and ends too.
    pub(crate) fn start(&self, place: usize) -> io::Result<WorkerProcess> {
        let place = &self.places[place];
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(&place.arguments).stdin(Stdio::piped());
        // A Ctrl-C on the terminal is for the autoscaler: a worker ends at once when it is told to stop a second time.
        command.process_group(0);
        let runtime = tokio::runtime::Handle::current();
        // A process has the cores of the thread that starts it, from its first instruction on.
        let start = || {
            let _runtime = runtime.enter();
            if !place.cores.is_empty() {
                let mut cores = CpuSet::new();
                place.cores.iter().for_each(|core| cores.set(*core));
                rustix::thread::sched_setaffinity(None, &cores)?;
            }
            command.spawn().map(WorkerProcess)
        };
        std::thread::scope(|scope| scope.spawn(start).join())
            .unwrap_or_else(|_| Err(io::Error::other("the thread that starts it panicked")))
    }
}

impl WorkerProcess {
    /// Its id; `None` once it has ended.
    pub(crate) fn id(&self) -> Option<u32> {
        self.0.id()
    }

    /// Waits until it has ended. Its standard input stays open.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        // `Child::wait` would close it, which tells the worker to end.
        let input = self.0.stdin.take();
        let ended = self.0.wait().await;
        drop(input);
        ended
    }
}

/// Tells a process that has not been waited for to finish what it has in hand and end.
pub(crate) fn drain(id: u32) -> io::Result<()> {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw);
    let id = id.ok_or_else(|| io::Error::other("no process has that id"))?;
    Ok(kill_process(id, Signal::TERM)?)
}

/// The cores that this process may run on, cut into as many groups as there are `places`; where there are more places
/// than cores, several share one.
///
/// # Errors
/// When the system does not say which cores these are.
pub fn core_groups(places: usize) -> io::Result<Vec<Vec<usize>>> {
    let allowed = rustix::thread::sched_getaffinity(None)?;
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
    Ok(cut(&cores, places))
}

fn cut(cores: &[usize], places: usize) -> Vec<Vec<usize>> {
    let group = |place: usize| match cores.len() {
        0 => Vec::new(),
        count if places > count => vec![cores[place % count]],
        count => cores[place * count / places..(place + 1) * count / places].to_vec(),
    };
    (0..places).map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launcher(script: &str, place: Place) -> Launcher {
        let arguments = ["-c", script].map(OsString::from).to_vec();
        Launcher { program: "/bin/sh".into(), arguments, places: vec![place] }
    }

    #[test]
    fn cores_are_cut_into_groups_and_shared_where_they_are_too_few() {
        assert_eq!(cut(&[0, 1, 2, 3, 8], 2), [vec![0, 1], vec![2, 3, 8]]);
        assert_eq!(cut(&[4, 5], 3), [[4], [5], [4]]);
        assert_eq!(cut(&[], 1), [Vec::<usize>::new()]);
    }

    #[tokio::test]
    async fn a_process_has_the_cores_and_arguments_of_its_place_and_a_process_group_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("said");
        let cores = core_groups(1).expect("known").remove(0);
        let core = cores.last().copied().expect("one");
        let arguments = vec!["worker".into(), file.clone().into()];
        let place = Place { arguments, cores: vec![core] };
        let script = "{ cut -d ' ' -f 5 /proc/$$/stat; echo $$; grep Cpus_allowed_list /proc/self/status; } > \"$1\"";
        let mut process = launcher(script, place).start(0).expect("started");
        assert!(process.ended().await.expect("ended").success());
        let said = std::fs::read_to_string(file).expect("written");
        assert_eq!(said.split_whitespace().last(), Some(core.to_string().as_str()), "{said}");
        let mut lines = said.lines();
        assert_eq!(lines.next(), lines.next(), "its group is called as it is: {said}");
        assert!(core_groups(1).expect("known").remove(0) == cores, "this process keeps its own");
    }

    #[tokio::test]
    async fn a_process_that_is_drained_gets_the_signal_and_its_input_stays_open_until_then() {
        // `cat` ends when its input does, and would then not be ended by the signal.
        let mut process = launcher("exec cat", Place::default()).start(0).expect("started");
        let id = process.id().expect("runs");
        {
            let mut ended = std::pin::pin!(process.ended());
            let early = tokio::time::timeout(std::time::Duration::from_millis(50), &mut ended);
            assert!(early.await.is_err(), "it ended by itself");
            drain(id).expect("told");
            let status = ended.await.expect("ended");
            use std::os::unix::process::ExitStatusExt as _;
            assert_eq!(status.signal(), Some(15), "{status}");
        }
        assert_eq!(process.id(), None);
    }
}
