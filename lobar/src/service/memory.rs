//! How much memory this process may use, and the shares of it that files and decoding get.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// What a picture that is decoded may take when the system does not say how much memory there is.
const UNKNOWN: u64 = 1 << 30;

/// Bytes that all decoding in this process may take together: half of what the process may use. The other
/// half is for files in flight, the network, and the rest.
pub fn for_decoding() -> u64 {
    usable(Path::new("/")).map_or(UNKNOWN, |bytes| bytes / 2)
}

/// What fetched files may take beside [`FILES_OF_A_CORE`]: four of the largest that are accepted.
#[cfg(feature = "torch")]
const FILES: u64 = 256 << 20;
/// What they may take for each core that decodes: two of an uncompressed X-ray's size.
#[cfg(feature = "torch")]
const FILES_OF_A_CORE: u64 = 32 << 20;

/// Bytes that the files which the worker has fetched may take together: what keeps so many `cores` busy, and an eighth of what the
/// process may use at most.
#[cfg(feature = "torch")]
pub fn for_files(cores: usize) -> u64 {
    let wanted = FILES + cores as u64 * FILES_OF_A_CORE;
    usable(Path::new("/")).map_or(wanted, |bytes| wanted.min(bytes / 8))
}

/// What an engine takes for the activations of a full batch.
#[cfg(feature = "torch")]
const ENGINE: u64 = 256 << 20;

/// Engines on the same weights that there is memory for: a quarter of what the process may use; 1 at least.
#[cfg(feature = "torch")]
pub fn for_replicas() -> usize {
    let engines = usable(Path::new("/")).unwrap_or(UNKNOWN) / 4 / ENGINE;
    usize::try_from(engines).unwrap_or(usize::MAX).max(1)
}

/// The least of the machine's memory and the limits of the process's control groups (`memory.max`, or
/// `memory.limit_in_bytes` of version 1), bytes.
fn usable(root: &Path) -> Option<u64> {
    let machine = read_to_string(root.join("proc/meminfo")).ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    });
    let group = |file: PathBuf| read_to_string(file).ok()?.trim().parse().ok();
    groups(root).into_iter().filter_map(group).chain(machine).min()
}

/// The files that may hold a limit: of the process's own group and of each group around it.
fn groups(root: &Path) -> Vec<PathBuf> {
    let mounted = root.join("sys/fs/cgroup");
    let own = read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut files = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
        let (mount, file) = match controllers {
            "" => (mounted.clone(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (mounted.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let group = Path::new(group.trim_start_matches('/'));
        files.extend(group.ancestors().map(|part| mount.join(part).join(file)));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        root
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\n");

    #[test]
    fn the_least_of_all_limits_holds() {
        let used = |files: &[(&str, &str)]| usable(machine(files).path());
        assert_eq!(used(&[]), None);
        assert_eq!(used(&[MEMINFO]), Some(16 << 30));
        let container =
            [MEMINFO, ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "536870912\n")];
        assert_eq!(used(&container), Some(512 << 20));
        let unit = [
            MEMINFO,
            ("proc/self/cgroup", "0::/system.slice/lobar.service\n"),
            ("sys/fs/cgroup/system.slice/lobar.service/memory.max", "max\n"),
            ("sys/fs/cgroup/system.slice/memory.max", "1073741824\n"),
        ];
        assert_eq!(used(&unit), Some(1 << 30));
        let first_version = [
            MEMINFO,
            ("proc/self/cgroup", "5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"),
        ];
        assert_eq!(used(&first_version), Some(512 << 20));
    }
}
