//! Whose image it is, as DICOM has it (PS3.3, A.1.2): a patient, a study of them, a series of it, an instance.
//!
//! All of it is personal. It is kept apart from results, shown only to those who may see images of its site, and is
//! never in logs, metrics, events or spans: `Debug` of these types says nothing, and none has a `Display`.

mod attributes;
mod object_key;
mod uid;

pub use attributes::{Attributes, Instance, Patient, PatientId, Series, Study};
pub use object_key::{instance_folder, instance_key, unreadable_key};
pub use uid::Uid;
