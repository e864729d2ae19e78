//! The folder of exported pictures: `train/{NORMAL,PNEUMONIA}/ID.png` and `manifest.csv`.
//!
//! A picture that the manifest does not name is as good as absent, so a kill leaves nothing half known: files
//! come first, each whole, then the manifest, replaced at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lobar_core::failure::chain;
use lobar_core::object::ImageId;

use crate::dataset::{Class, Manifest, Split};
use crate::error::LabError;

/// The manifest's columns, as training reads them.
const HEADER: &str = "file,split,patient,orig_w,orig_h";
const MANIFEST: &str = "manifest.csv";

/// An exported picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Its label.
    pub class: Class,
    /// Stands for the bytes of the file that it was made from.
    pub content: String,
    /// Width and height of the original in pixels.
    pub size: (u32, u32),
}

/// See the module's documentation.
pub struct Folder {
    path: PathBuf,
    /// The pictures by image.
    pub pictures: BTreeMap<ImageId, Picture>,
}

impl Folder {
    /// Opens a folder, which is made if it is not there.
    ///
    /// # Errors
    /// When it holds other things than an export: they are not to be mixed, or overwritten.
    pub fn open(path: &Path) -> Result<Self, LabError> {
        let manifest = path.join(MANIFEST);
        let rows = match std::fs::read_to_string(&manifest) {
            Ok(text) if text.lines().next() == Some(HEADER) => {
                Manifest::read(&manifest).map_err(|e| LabError::failed(chain(&e)))?
            }
            Ok(_) => return Err(foreign(path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Manifest::default(),
            Err(error) => return Err(unwritable(&manifest)(error)),
        };
        let mut pictures = BTreeMap::new();
        for class in Class::ALL {
            let at = class_folder(path, class);
            std::fs::create_dir_all(&at).map_err(unwritable(&at))?;
            for entry in std::fs::read_dir(&at).map_err(unwritable(&at))? {
                let file = entry.map_err(unwritable(&at))?.path();
                let Some(id) = id_of(&file) else { return Err(foreign(path)) };
                let name = file_name(id);
                let row = rows.row(Split::Train.name(), &name);
                match row.and_then(|row| Some((row.patient.clone(), row.original_size?))) {
                    Some((content, size)) if file.ends_with(&name) => {
                        pictures.insert(id, Picture { class, content, size });
                    }
                    // Written before a kill and not known, or not even whole.
                    _ => std::fs::remove_file(&file).map_err(unwritable(&file))?,
                }
            }
        }
        Ok(Self { path: path.to_owned(), pictures })
    }

    /// Where a picture's file is.
    pub fn file(&self, id: ImageId, class: Class) -> PathBuf {
        class_folder(&self.path, class).join(file_name(id))
    }

    /// Adds a picture. The manifest names it from the next [`Folder::keep`] on.
    pub fn add(&mut self, id: ImageId, picture: Picture, png: &[u8]) -> Result<(), LabError> {
        let file = self.file(id, picture.class);
        replace(&file, png).map_err(unwritable(&file))?;
        self.pictures.insert(id, picture);
        Ok(())
    }

    /// Gives a picture another label.
    pub fn relabel(&mut self, id: ImageId, class: Class) -> Result<(), LabError> {
        let Some(before) = self.pictures.get(&id).map(|picture| picture.class) else {
            return Ok(());
        };
        let (from, to) = (self.file(id, before), self.file(id, class));
        std::fs::rename(&from, &to).map_err(unwritable(&to))?;
        if let Some(picture) = self.pictures.get_mut(&id) {
            picture.class = class;
        }
        Ok(())
    }

    /// Removes a picture.
    pub fn remove(&mut self, id: ImageId) -> Result<(), LabError> {
        if let Some(picture) = self.pictures.remove(&id) {
            let file = self.file(id, picture.class);
            std::fs::remove_file(&file).map_err(unwritable(&file))?;
        }
        Ok(())
    }

    /// Makes another folder of the same pictures. Their files are shared where the file system can.
    pub fn link_to(&self, path: &Path) -> Result<(), LabError> {
        let mut other = Self::open(path)?;
        for (id, picture) in &self.pictures {
            let (from, to) = (self.file(*id, picture.class), other.file(*id, picture.class));
            std::fs::hard_link(&from, &to)
                .or_else(|_| std::fs::copy(&from, &to).map(drop))
                .map_err(unwritable(&to))?;
            other.pictures.insert(*id, picture.clone());
        }
        other.keep()
    }

    /// Writes the manifest.
    pub fn keep(&self) -> Result<(), LabError> {
        let mut text = format!("{HEADER}\n");
        for (id, picture) in &self.pictures {
            let Picture { content, size: (width, height), .. } = picture;
            let (name, split) = (file_name(*id), Split::Train.name());
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name},{split},{content},{width},{height}");
        }
        let path = self.path.join(MANIFEST);
        replace(&path, text.as_bytes()).map_err(unwritable(&path))
    }
}

/// Writes a file beside its place, makes it durable, and puts it there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("partial");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

/// What the system said of a path.
pub(crate) fn unwritable(path: &Path) -> impl Fn(std::io::Error) -> LabError + '_ {
    move |error| LabError::failed(format!("{}: {error}", path.display()))
}

fn foreign(path: &Path) -> LabError {
    LabError::usage(format!(
        "{} holds files that were not exported by this command; name an empty folder, or one of an \
         earlier export",
        path.display()
    ))
}

fn class_folder(path: &Path, class: Class) -> PathBuf {
    path.join(Split::Train.name()).join(class.folder())
}

fn file_name(id: ImageId) -> String {
    format!("{id}.png")
}

/// The image of a file, be it not whole.
fn id_of(file: &Path) -> Option<ImageId> {
    let known = file.extension().is_some_and(|kind| kind == "png" || kind == "partial");
    file.file_stem()?.to_str()?.parse().ok().filter(|_| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> ImageId {
        ImageId(uuid::Uuid::from_u128(n))
    }

    fn picture(class: Class) -> Picture {
        Picture { class, content: "ab12".into(), size: (640, 480) }
    }

    #[test]
    fn what_was_kept_is_there_the_next_time_and_the_rest_is_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut folder = Folder::open(dir.path()).expect("opens");
        folder.add(id(1), picture(Class::Normal), b"one").expect("added");
        folder.add(id(2), picture(Class::Normal), b"two").expect("added");
        folder.relabel(id(2), Class::Pneumonia).expect("relabelled");
        folder.keep().expect("kept");
        let kept = folder.pictures.clone();
        // Killed before the manifest knows of the third, and while the fourth is written.
        folder.add(id(3), picture(Class::Normal), b"three").expect("added");
        let cut = folder.file(id(4), Class::Normal).with_extension("partial");
        std::fs::write(&cut, b"fo").expect("written");
        let mut folder = Folder::open(dir.path()).expect("opens");
        assert_eq!(folder.pictures, kept);
        assert!(!folder.file(id(3), Class::Normal).exists() && !cut.exists());
        assert_eq!(std::fs::read(folder.file(id(2), Class::Pneumonia)).expect("there"), b"two");
        // A copy stays as it was.
        let copy = dir.path().join("copy");
        folder.link_to(&copy).expect("linked");
        folder.remove(id(1)).expect("removed");
        folder.relabel(id(2), Class::Normal).expect("relabelled");
        assert_eq!(Folder::open(&copy).expect("opens").pictures, kept);
        assert!(!folder.file(id(1), Class::Normal).exists());
    }

    #[test]
    fn a_folder_of_somebody_else_s_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = dir.path().join("train/NORMAL");
        std::fs::create_dir_all(&at).expect("made");
        std::fs::write(at.join("IM-0001-0001.jpeg"), b"x").expect("written");
        assert!(matches!(Folder::open(dir.path()).err().expect("refused"), LabError::Usage(_)));
        assert!(at.join("IM-0001-0001.jpeg").exists());
        let other = tempfile::tempdir().expect("a folder");
        std::fs::write(other.path().join("manifest.csv"), "file,patient\n").expect("written");
        assert!(matches!(Folder::open(other.path()).err().expect("refused"), LabError::Usage(_)));
    }
}
