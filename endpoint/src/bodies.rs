//! Files that hold the bytes of objects, named by time-ordered ids: `bodies/0192f3/a1/0192f3a1…`.
//! A folder holds about a minute's files. No name comes from a client. A file that no row of the
//! catalogue names is invisible, and is removed at the next start.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

/// The folder of all bodies.
pub(super) struct Bodies {
    root: PathBuf,
}

impl Bodies {
    pub(super) fn open(root: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        Ok(Self { root })
    }

    fn path(&self, id: Uuid) -> PathBuf {
        let name = id.simple().to_string();
        self.root.join(&name[..6]).join(&name[6..8]).join(&name)
    }

    /// Starts a new file.
    pub(super) fn create(self: &Arc<Self>) -> io::Result<Draft> {
        let id = Uuid::now_v7();
        let path = self.path(id);
        let file = match File::create_new(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_folders(&path)?;
                File::create_new(&path)?
            }
            other => other?,
        };
        Ok(Draft { body: Body { id, bodies: self.clone(), keep: false }, file, size: 0 })
    }

    /// Makes the folders above `path`, so that they survive a power cut.
    fn make_folders(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        for made in folder.ancestors().skip(1).take(2) {
            File::open(made)?.sync_all()?;
        }
        Ok(())
    }

    /// Writes a file without a name, of which nothing stays: any number of checks may run at once.
    pub(super) fn check(&self) -> io::Result<()> {
        let mut file = tempfile::tempfile_in(&self.root)?;
        file.write_all(&[0; 4096])?;
        file.sync_data()
    }

    /// Opens a body to read.
    pub(super) fn read(&self, id: Uuid) -> io::Result<File> {
        File::open(self.path(id))
    }

    /// Removes a body; one that is gone already is as good.
    pub(super) fn remove(&self, id: Uuid) -> io::Result<()> {
        match fs::remove_file(self.path(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Every id that lies in the folder, a small folder at a time.
    pub(super) fn folders(&self) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for first in fs::read_dir(&self.root)? {
            let first = first?.path();
            if first.is_dir() {
                for second in fs::read_dir(&first)? {
                    found.push(second?.path());
                }
            }
        }
        Ok(found)
    }

    /// The ids in one folder. Files of other names are none of ours and stay.
    pub(super) fn ids(folder: &Path) -> io::Result<Vec<Uuid>> {
        let names = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name()));
        names
            .filter_map(|name| match name {
                Ok(name) => name.to_str().and_then(|name| name.parse().ok()).map(Ok),
                Err(error) => Some(Err(error)),
            })
            .collect()
    }

    /// Removes a folder, and the one above, when they are empty.
    pub(super) fn tidy(folder: &Path) {
        // Refused by the system when something lies inside: that is the wanted outcome.
        let _ = fs::remove_dir(folder);
        let _ = folder.parent().map(fs::remove_dir);
    }
}

/// A file on its way to becoming a body. Dropped early, it is removed.
pub(super) struct Draft {
    body: Body,
    file: File,
    size: u64,
}

impl Draft {
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.size += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// Makes file and name durable.
    pub(super) fn seal(self) -> io::Result<(Body, u64)> {
        self.file.sync_data()?;
        if let Some(folder) = self.body.bodies.path(self.body.id).parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok((self.body, self.size))
    }
}

/// A complete file that nothing refers to yet. Dropped before [`Body::keep`], it is removed.
pub(super) struct Body {
    id: Uuid,
    bodies: Arc<Bodies>,
    keep: bool,
}

impl Body {
    /// Hands the file over to whoever writes the row that names it.
    pub(super) fn keep(mut self) -> Uuid {
        self.keep = true;
        self.id
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = self.bodies.remove(self.id)
        {
            tracing::warn!(%error, "embedded S3: an unused file not deleted; the next start deletes it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_checks_run_at_once_and_leave_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let bodies = Bodies::open(folder.path().join("bodies")).expect("a folder of bodies");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let check = || (0..50).try_for_each(|_| bodies.check());
                scope.spawn(move || check().expect("the folder takes files"));
            }
        });
        assert_eq!(fs::read_dir(&bodies.root).expect("a folder").count(), 0);
    }
}
