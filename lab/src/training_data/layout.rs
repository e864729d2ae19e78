//! Which objects make a data set. Keys are other people's texts: what is taken here becomes a path below
//! the copy's folder, so nothing passes that could lead out of it.

use lobar_imaging::is_picture_ending;

use crate::dataset::{Class, Split};

/// What file names do not tell.
const MANIFEST: &str = "manifest.csv";
/// What a file system takes, in bytes.
const LONGEST: usize = 255;

/// Whether an object of this name, below the prefix, belongs to a data set.
pub(crate) fn belongs(name: &str) -> bool {
    name == MANIFEST || is_picture(name)
}

/// Whether it is one of the pictures: `{train,val,test}/{NORMAL,PNEUMONIA}/FILE`.
pub(crate) fn is_picture(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    let [split, class, file] = parts[..] else { return false };
    Split::ALL.iter().any(|one| one.name() == split)
        && Class::ALL.iter().any(|one| one.folder() == class)
        && is_file_name(file)
}

/// A plain name with the ending of a picture. Hidden ones are nobody's data, and ours while files arrive.
fn is_file_name(file: &str) -> bool {
    let Some((stem, ending)) = file.rsplit_once('.') else { return false };
    !stem.is_empty()
        && !file.starts_with('.')
        && file.len() <= LONGEST
        && !file.contains(|c: char| c.is_control() || c == '\\')
        && is_picture_ending(ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_and_the_manifest_belong() {
        for name in [
            "train/NORMAL/IM-0115-0001.jpeg",
            "val/PNEUMONIA/person1_virus_6.PNG",
            "test/NORMAL/a b..c.jpg",
            "test/PNEUMONIA/r\u{f6}ntgen.jpg",
        ] {
            assert!(is_picture(name) && belongs(name), "{name}");
        }
        assert!(belongs("manifest.csv") && !is_picture("manifest.csv"));
    }

    #[test]
    fn whatever_could_leave_the_folder_does_not_belong() {
        for name in [
            "",
            "/",
            "../train/NORMAL/a.jpg",
            "/train/NORMAL/a.jpg",
            "train/NORMAL/../../../a.jpg",
            "train/../NORMAL/a.jpg",
            "train//a.jpg",
            "train/NORMAL/",
            "train/NORMAL/..",
            "train/NORMAL/.jpg",
            "train/NORMAL/.hidden.jpg",
            "train/NORMAL/a\\..\\b.jpg",
            "train/NORMAL/a\0.jpg",
            "train/NORMAL/a\n.jpg",
            "train/NORMAL/deep/a.jpg",
            "x/manifest.csv",
            "../manifest.csv",
        ] {
            assert!(!belongs(name), "{name:?}");
        }
        assert!(!belongs(&format!("train/NORMAL/{}.jpg", "a".repeat(252))));
    }

    #[test]
    fn what_training_does_not_read_does_not_belong() {
        for name in [
            "train/NORMAL/notes.txt",
            "train/NORMAL/a",
            "train/BACTERIA/a.jpg",
            "Train/NORMAL/a.jpg",
            "train/normal/a.jpg",
            "a.jpg",
            "README.md",
        ] {
            assert!(!belongs(name), "{name}");
        }
    }
}
