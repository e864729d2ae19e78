//! What stands between a process under test and its system: a clock that can be set, a disk that can be full. Neither
//! needs rights, and no other process sees it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A clock for processes that are started with [`Self::environment`].
#[derive(Clone, Debug)]
pub struct ShiftedClock {
    library: PathBuf,
    offset: PathBuf,
}

impl ShiftedClock {
    /// Makes one that goes right, in a folder that stays there for as long as it is used. Several may share the folder
    /// under different names.
    pub fn new(folder: &Path, name: &str) -> Self {
        let library = compiled(include_str!("clock.c"), folder, &format!("{name}-clock"));
        let clock = Self { library, offset: folder.join(format!("{name}-clock-offset")) };
        clock.set(0);
        clock
    }

    /// From now on processes see a time of day that is off by so many seconds.
    pub fn set(&self, seconds: i64) {
        // In one step: a reader never finds it empty.
        let new = self.offset.with_extension("new");
        std::fs::write(&new, seconds.to_string()).expect("written");
        std::fs::rename(new, &self.offset).expect("renamed");
    }

    /// What a process is started with to see it.
    pub fn environment(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.library), ("TEST_CLOCK_OFFSET", &self.offset)]
    }
}

/// A disk for processes that are started with [`Self::environment`]: all that they write to.
#[derive(Clone, Debug)]
pub struct Disk {
    library: PathBuf,
    full: PathBuf,
}

impl Disk {
    /// Makes one with room, in a folder that stays there for as long as it is used.
    pub fn new(folder: &Path) -> Self {
        let library = compiled(include_str!("disk.c"), folder, "disk");
        Self { library, full: folder.join("disk-full") }
    }

    /// From now on there is no room, or there is some.
    pub fn fill(&self, full: bool) {
        if full {
            std::fs::write(&self.full, "").expect("written");
        } else {
            std::fs::remove_file(&self.full).expect("removed");
        }
    }

    /// What a process is started with to write to it.
    pub fn environment(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.library), ("TEST_DISK_FULL", &self.full)]
    }
}

/// Builds a library. The linker of every Rust toolchain is a C compiler.
fn compiled(source: &str, folder: &Path, name: &str) -> PathBuf {
    let (file, library) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")));
    std::fs::write(&file, source).expect("written");
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(&file).arg("-ldl");
    assert!(compiler.status().expect("a C compiler").success());
    library
}
