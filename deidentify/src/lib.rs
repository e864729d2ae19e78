//! DICOM files without persons: the Basic Application Level Confidentiality Profile of PS3.15, Annex E, for the images
//! that a chest X-ray comes as: Computed Radiography, Digital X-Ray and single-frame Secondary Capture.
//!
//! What is not named is removed: private attributes, overlays, curves and whatever a later edition adds go without
//! having to be known. Of what is kept no text stands as it came: it is a term of a closed list, a number, a pseudonym or
//! a UID of this export. So a name that a device wrote into the wrong attribute has nowhere to stay.
//!
//! The table is in [`table`]; what is done to a value is in `clean`; pixels are in `pixels`; the result is read again
//! and held against the same table by `check` before it is given out.

mod bounds;
mod check;
mod clean;
mod dates;
mod file;
mod form;
mod key;
mod method;
mod pixels;
mod refusal;
pub mod table;

pub use file::{Deidentified, deidentify, open};
pub use key::Key;
pub use pixels::Rectangle;
pub use refusal::Refusal;

/// The edition of the standard whose Table E.1-1 was followed.
pub const EDITION: &str = "PS3.15 2024b";
/// The same, as the codes of what was done name it.
const YEAR: &str = "2024b";

/// What is to be done beyond the basic profile.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What becomes of dates and times.
    pub dates: Dates,
    /// Rectangles of the image that are blackened, in pixels; of uncompressed images only.
    pub masks: Vec<Rectangle>,
}

/// What becomes of dates and times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dates {
    /// They go.
    #[default]
    Removed,
    /// All dates of a patient are moved back by the same number of days, 1 to 3,652; times of day stay (113107).
    Shifted,
}
