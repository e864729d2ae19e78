//! Labelled pictures for training and evaluation.
//!
//! A folder laid out as `DIR/{train,val,test}/{NORMAL,PNEUMONIA}/*.jpeg`, the form in which Kermany
//! et al. 2018 (CC BY 4.0, doi 10.17632/rscbjbr9sj) is published. What is trained on and what is
//! measured on must never share a patient: pictures of one child look alike, and a random split by
//! image makes any figure too good. So every picture must name its patient, through its file name or
//! through a `manifest.csv`, and a folder where it does not is refused.
//!
//! Further folders may add pictures to train on ([`Partition::join`]); what is measured on stays that of the
//! first.

mod burnt_in;
mod cases;
mod digest;
mod folder;
mod identity;
mod join;
mod manifest;
mod partition;
mod resize;
mod sharpness;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use burnt_in::{Corner, burnt_in_text};
pub use cases::read_cases;
pub use digest::digest;
pub use folder::{Class, Etiology, Split, read};
pub(crate) use folder::{decoded, files, manifest_of};
pub use identity::{Identity, identify};
pub use join::Joined;
pub use manifest::{Manifest, Row};
pub use partition::{Partition, partition};
pub use resize::pictures;
pub use sharpness::sharpness;

/// One labelled picture, decoded and resized to the network's serving size.
#[derive(Clone, Debug)]
pub struct Sample {
    /// File name, without folder.
    pub name: String,
    /// The folder that it came from.
    pub split: Split,
    /// Its label.
    pub class: Class,
    /// What the pneumonia is caused by, where the label says so.
    pub subtype: Option<Etiology>,
    /// Who is shown: unique within a data set.
    pub patient: String,
    /// Width and height of the original in pixels, where the manifest knows, or else of the file unless it
    /// has the network's size already.
    pub original_size: Option<(u32, u32)>,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
    /// 224×224 grey levels, row by row.
    pub pixels: Vec<u8>,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A picture cannot be decoded.
    #[error("cannot decode {path}: {reason}. Remove or replace the file", path = path.display())]
    Decode {
        /// The picture.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// A picture's patient is unknown.
    #[error(
        "{path}: neither the file name nor manifest.csv says whose picture this is, so a \
         validation set cannot be kept apart from it. Put a manifest.csv with the columns file and \
         patient beside the folder", path = path.display()
    )]
    NoPatient {
        /// The picture.
        path: PathBuf,
    },
    /// One patient is both trained on and measured on.
    #[error(
        "the patient of {train} is in the {first} folder and, with {test}, in the {second} folder: \
         figures measured on it would be too good. Move all pictures of one patient to one side"
    )]
    SharedPatient {
        /// A file of the patient on the one side.
        train: String,
        /// A file of the patient on the other side.
        test: String,
        /// The one side.
        first: &'static str,
        /// The other side.
        second: &'static str,
    },
    /// A class or a whole split has no pictures.
    #[error("{path} holds no {what}. Expected DIR/{{train,val,test}}/{{NORMAL,PNEUMONIA}}/*.jpeg", path = path.display())]
    Empty {
        /// The data folder.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// The manifest is malformed.
    #[error("{path}, line {line}: {reason}", path = path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// One-based line number.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}
