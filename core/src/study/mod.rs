//! Whose image it is, as DICOM has it (PS3.3, A.1.2): a patient, a study of them, a series of it, an instance.
//!
//! All of it is personal. It is kept apart from results, shown only to those who may see images of its site, and is
//! never in logs, metrics, events or spans: `Debug` of these types says nothing, and none has a `Display`.

mod age;
mod attributes;
mod bounded;
mod calendar;
mod derived;
mod made;
mod metadata;
mod name;
mod object_key;
mod pattern;
mod search;
mod studies;
mod uid;

pub use age::{AgeTold, read_age};
pub use attributes::{Attributes, Instance, Patient, PatientId, Series, Study};
pub use calendar::{age_on, day_of, made_at, time_of};
pub use derived::Uids;
pub use made::{OTHER_MODALITY, SECONDARY_CAPTURE, made};
pub use metadata::{METADATA, OTHER_PATIENT_SAID, encode, join, of_metadata};
pub use name::{may_be_family, name_key};
pub use object_key::{DataSetHash, instance_folder, instance_key, instance_of_key, unreadable_key};
pub use pattern::Pattern;
pub use search::{Condition, Found, Level, Name, Number, Results, Search, SearchError, Text};
pub use studies::{
    ANOTHER_PERSON, ANOTHER_VERSION, Changed, Correction, Identity, NEWER_VERSION, PatientError,
    Place, SAME_INSTANCE, Stored, Studies, UID_SHARED,
};
pub use uid::Uid;
