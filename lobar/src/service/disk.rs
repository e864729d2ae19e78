//! How much room there is where the data folder lies, asked at each scrape.

use std::path::PathBuf;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, Result};

/// Free and all bytes of a folder's file system; absent where they cannot be had.
pub struct DiskGauge {
    folder: PathBuf,
    free: Gauge,
    all: Gauge,
}

impl DiskGauge {
    /// A collector, to be registered.
    pub fn new(folder: PathBuf) -> Result<Self> {
        let free = "Bytes that are free for Lobar's user where the data folder lies.";
        let all = "Bytes of the file system where the data folder lies.";
        Ok(Self {
            folder,
            free: Gauge::new("lobar_disk_free_bytes", free)?,
            all: Gauge::new("lobar_disk_bytes", all)?,
        })
    }
}

impl Collector for DiskGauge {
    fn desc(&self) -> Vec<&Desc> {
        [self.free.desc(), self.all.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(found) = rustix::fs::statvfs(&self.folder) else { return Vec::new() };
        // Fragments of this size; what is left to others than root.
        self.free.set(found.f_bavail as f64 * found.f_frsize as f64);
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
        let disk = DiskGauge::new(folder.path().to_owned()).expect("a metric");
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
