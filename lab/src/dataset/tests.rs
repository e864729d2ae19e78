//! Folders as they lie on disk.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::path::{Path, PathBuf};

use super::*;

/// A folder that is removed when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("lobar-dataset-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn picture(&self, at: &str, level: u8) -> &Self {
        let path = self.0.join(at);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::GrayImage::from_fn(300, 260, |x, y| image::Luma([level ^ (x / 3 + y / 5) as u8]))
            .save(path)
            .unwrap();
        self
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn pictures_are_read_with_label_cause_and_patient() {
    let folder = Folder::new("read");
    folder
        .picture("train/NORMAL/IM-0115-0001.png", 10)
        .picture("train/PNEUMONIA/person1_bacteria_2.png", 20)
        .picture("test/PNEUMONIA/person1_virus_6.png", 30);
    let samples = read(folder.path(), &Split::ALL).unwrap();
    let seen: Vec<_> =
        samples.iter().map(|it| (it.split, it.class, it.subtype, it.patient.as_str())).collect();
    assert_eq!(
        seen,
        [
            (Split::Train, Class::Normal, None, "IM-0115"),
            (Split::Train, Class::Pneumonia, Some(Etiology::Bacterial), "bacteria-person1"),
            (Split::Test, Class::Pneumonia, Some(Etiology::Viral), "virus-person1"),
        ]
    );
    assert!(
        samples.iter().all(|sample| sample.pixels.len() == 224 * 224 && sample.sha256.len() == 64)
    );
    assert_eq!(read(folder.path(), &[Split::Test]).unwrap().len(), 1);
}

#[test]
fn a_picture_whose_patient_is_unknown_is_refused_until_a_manifest_tells() {
    let folder = Folder::new("manifest");
    folder.picture("train/NORMAL/scan7.png", 10);
    let error = read(folder.path(), &Split::ALL).unwrap_err();
    assert!(
        matches!(&error, DatasetError::NoPatient { path } if path.ends_with("scan7.png")),
        "{error}"
    );
    let manifest = "file,patient,orig_w,orig_h\nscan7.png,child-3,1200,900\n";
    std::fs::write(folder.path().join("manifest.csv"), manifest).unwrap();
    let samples = read(folder.path(), &Split::ALL).unwrap();
    assert_eq!(
        (samples[0].patient.as_str(), samples[0].original_size),
        ("child-3", Some((1200, 900)))
    );
}

#[test]
fn a_damaged_picture_stops_the_reading_by_name() {
    let folder = Folder::new("damaged");
    folder.picture("train/NORMAL/IM-0115-0001.png", 10);
    let path = folder.path().join("train/NORMAL/IM-0116-0001.jpeg");
    std::fs::write(&path, b"no picture").unwrap();
    let error = read(folder.path(), &Split::ALL).unwrap_err();
    assert!(
        matches!(&error, DatasetError::Decode { path: named, .. } if *named == path),
        "{error}"
    );
}

#[test]
fn an_empty_folder_is_refused() {
    let folder = Folder::new("empty");
    assert!(matches!(read(folder.path(), &Split::ALL), Err(DatasetError::Empty { .. })));
}

#[test]
fn the_digest_follows_files_and_labels_and_not_their_order() {
    let folder = Folder::new("digest");
    folder
        .picture("train/NORMAL/IM-0115-0001.png", 10)
        .picture("train/NORMAL/IM-0117-0001.png", 20);
    let mut samples = read(folder.path(), &Split::ALL).unwrap();
    let first = digest(&samples);
    samples.reverse();
    assert_eq!(digest(&samples), first);
    samples[0].class = Class::Pneumonia;
    assert_ne!(digest(&samples), first);
}
