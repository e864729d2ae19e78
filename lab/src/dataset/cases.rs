//! Labelled pictures that nothing is trained on: a folder of each class, whoever is shown.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::folder::{files, manifest_of, pictures, sample};
use super::{Class, DatasetError, Sample, Split};

/// Reads every picture of `DIR/{NORMAL,PNEUMONIA}`, or where there is neither of `DIR/{train,val}/{NORMAL,PNEUMONIA}`; a test
/// split is for evaluation and is left alone. A picture of nobody known is of a patient of its own, unless its file is that of
/// another one.
///
/// # Errors
/// See [`DatasetError`]; a picture that cannot be decoded stops the reading, as in [`read`](super::read).
pub fn read_cases(folder: &Path) -> Result<Vec<Sample>, DatasetError> {
    let manifest = manifest_of(folder)?;
    let own = |sha256: &str| Some(sha256.to_owned());
    cases(folder)?
        .into_par_iter()
        .map(|(split, class, path)| sample(split, class, &path, &manifest, own))
        .collect()
}

fn cases(folder: &Path) -> Result<Vec<(Split, Class, PathBuf)>, DatasetError> {
    let mut found = Vec::new();
    for class in Class::ALL {
        let of_class = pictures(&folder.join(class.folder()))?;
        found.extend(of_class.into_iter().map(|path| (Split::Train, class, path)));
    }
    found.sort();
    match found.is_empty() {
        true => files(folder, &[Split::Train, Split::Val]),
        false => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of one grey, another for each level.
    fn write(path: &Path, level: u8) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), 224, 224);
        encoder.set_color(png::ColorType::Grayscale);
        let pixels: Vec<u8> = (0..224 * 224).map(|n| level + (n % 7) as u8).collect();
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    }

    #[test]
    fn a_picture_of_nobody_known_is_of_a_patient_of_its_own_unless_its_file_is_another_s() {
        let folder = tempfile::tempdir().unwrap();
        for (name, level) in [
            ("NORMAL/a.png", 10),
            ("NORMAL/b.png", 10),
            ("NORMAL/IM-0001-0001.png", 20),
            ("PNEUMONIA/c.png", 30),
        ] {
            write(&folder.path().join(name), level);
        }
        let read = read_cases(folder.path()).unwrap();
        let patients: Vec<&str> = read.iter().map(|it| it.patient.as_str()).collect();
        assert_eq!((patients.len(), patients[0]), (4, "IM-0001"));
        assert!(patients[1] == patients[2] && patients[1] != patients[3]);
        assert_eq!(read[3].class, Class::Pneumonia);
    }

    #[test]
    fn of_a_folder_with_splits_the_test_split_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for (split, level) in [("train", 10), ("val", 20), ("test", 30)] {
            write(&folder.path().join(split).join("NORMAL/a.png"), level);
        }
        let read = read_cases(folder.path()).unwrap();
        assert_eq!(read.iter().map(|it| it.split).collect::<Vec<_>>(), [Split::Train, Split::Val]);
    }
}
