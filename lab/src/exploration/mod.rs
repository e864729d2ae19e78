//! What lies in a data folder: the page a scientist wants before training.
//!
//! Reading here is lenient where [`crate::dataset::read`] is strict: an unreadable picture, an unknown
//! patient, a patient on two sides are findings, not errors. Nothing is changed and nothing is kept.

mod burnt_in;
mod duplicates;
mod numbers;
mod picture_record;
mod samples;
mod survey;
mod warnings;

pub use burnt_in::BurntIn;
pub use duplicates::{Group, NEAR_BITS};
pub use numbers::{ClassSpread, SingleNumber, Spread};
pub use picture_record::{PictureRecord, UnreadableFile};
pub use survey::{PatientsShared, SplitCounts, Survey, survey};
