//! What the system lets a child take.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Ticks a second in what Linux tells of processes: the same on every machine that Lobar is built for.
const TICKS: u64 = 100;

fn lower(resource: Resource, bound: u64) -> io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(resource);
    let bound = [current.filter(|_| resource != Resource::Cpu), maximum, Some(bound)];
    let bound = bound.into_iter().flatten().min();
    Ok(setrlimit(resource, Rlimit { current: bound, maximum })?)
}

/// No core dump, which would hold a patient's image.
pub(super) fn begin() -> io::Result<()> {
    lower(Resource::Core, 0)
}

/// Memory beyond what this process has: of the executable and its libraries, while nothing was decoded yet.
pub(super) fn memory(bytes: u64) -> io::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    // What counts against the bound (getrlimit(2), RLIMIT_DATA).
    let data = (kib("VmData:").unwrap_or(0) + kib("VmStk:").unwrap_or(0)) << 10;
    lower(Resource::Data, data.saturating_add(bytes))
}

/// Time on a processor from now on: what is left of a child whose parent was killed ends, too.
pub(super) fn time(seconds: u64) -> io::Result<()> {
    lower(Resource::Cpu, used_seconds()?.saturating_add(seconds))
}

/// Processor time of this process so far, whole seconds.
fn used_seconds() -> io::Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field is a name in brackets and may hold anything; user and system time are 14 and 15, proc_pid_stat(5).
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_ascii_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks / TICKS)
}
