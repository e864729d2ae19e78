//! How much room there is where the data folder lies, asked at each scrape.

use std::path::PathBuf;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, Result};
use rustix::fs::StatVfs;

/// Free and all bytes of the file system of some folders that has the least room; absent where they cannot be had.
pub struct DiskGauge {
    folders: Vec<PathBuf>,
    free: Gauge,
    all: Gauge,
}

impl DiskGauge {
    /// A collector, to be registered.
    pub fn new(folders: Vec<PathBuf>) -> Result<Self> {
        let free = "Bytes that are free for Lobar's user where the data folder and its database files lie, on the file \
                    system with the least room.";
        let all = "Bytes of that file system.";
        Ok(Self {
            folders,
            free: Gauge::new("lobar_disk_free_bytes", free)?,
            all: Gauge::new("lobar_disk_bytes", all)?,
        })
    }
}

/// What is left to others than root, in bytes: fragments of this size.
fn free_bytes(found: &StatVfs) -> u64 {
    found.f_bavail.saturating_mul(found.f_frsize)
}

impl Collector for DiskGauge {
    fn desc(&self) -> Vec<&Desc> {
        [self.free.desc(), self.all.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let found: std::result::Result<Vec<_>, _> =
            self.folders.iter().map(rustix::fs::statvfs).collect();
        // What cannot be asked may be the one that is full.
        let Some(found) = found.ok().and_then(|all| all.into_iter().min_by_key(free_bytes)) else {
            return Vec::new();
        };
        self.free.set(free_bytes(&found) as f64);
        self.all.set(found.f_blocks as f64 * found.f_frsize as f64);
        [self.free.collect(), self.all.collect()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_a_folder_is_told_and_that_of_one_that_is_gone_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = DiskGauge::new(vec![folder.path().to_owned()]).expect("a metric");
        let told: Vec<f64> = disk
            .collect()
            .iter()
            .map(|family| family.get_metric()[0].get_gauge().get_value())
            .collect();
        let [free, all] = told[..] else { panic!("two figures: {told:?}") };
        assert!(0.0 < free && free <= all, "{free} of {all}");
        drop(folder);
        assert!(disk.collect().is_empty());
    }
}
