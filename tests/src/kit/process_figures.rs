//! What a process takes of the machine, as the kernel counts it.

use std::fs;

/// The figures of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessFigures {
    /// Resident memory in bytes.
    pub resident: u64,
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
}

impl ProcessFigures {
    /// Those of a process that runs on this machine.
    pub fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let figure = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
            line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
        };
        let resident: u64 = figure("VmRSS:");
        Self {
            resident: resident * 1024,
            descriptors: fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count(),
            threads: usize::try_from(figure("Threads:")).expect("few"),
        }
    }
}
