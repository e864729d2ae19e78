//! DICOMweb (PS3.18). What others may do here, and what not: `docs/dicom-web.md`.

mod address;
mod keep;
mod metadata;
mod outcome;
pub(crate) mod part10;
pub(crate) mod related;
pub(crate) mod retrieve;
pub(crate) mod search;
pub(crate) mod store;
