//! A few pictures of each class, to look at.

use std::path::PathBuf;

use super::PictureRecord;
use crate::dataset::{Class, Split, decoded};

/// Pictures shown of each class.
const EACH: usize = 12;

/// A picture to look at.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// Its place among all files.
    pub(crate) number: usize,
    /// File name, where names are asked for.
    pub(crate) name: Option<String>,
    /// Its label.
    pub(crate) class: Class,
    /// 224×224 grey levels.
    pub(crate) pixels: Vec<u8>,
}

/// The same of the same folder, and spread over it: those with the lowest digests, of the training
/// folder where it has the class.
pub(super) fn samples(files: &[(Split, Class, PathBuf)], records: &[PictureRecord]) -> Vec<Shown> {
    let mut shown = Vec::new();
    for class in Class::ALL {
        let mut of: Vec<&PictureRecord> = records.iter().filter(|it| it.class == class).collect();
        of.sort_by_key(|it| (it.split, it.sha256));
        for record in of.into_iter().take(EACH) {
            let bytes =
                files.get(record.number - 1).and_then(|(.., path)| std::fs::read(path).ok());
            // Read a moment ago; gone since, it is not shown.
            if let Some(Ok(seen)) = bytes.map(|bytes| decoded(&bytes)) {
                shown.push(Shown {
                    number: record.number,
                    name: Some(record.name.clone()),
                    class,
                    pixels: seen.input.pixels().to_vec(),
                });
            }
        }
    }
    shown
}
