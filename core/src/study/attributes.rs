//! The attributes that are kept of an image. What a file leaves out, or has empty, is `None`; texts are decoded from
//! their character set (PS3.5, 6.1), without padding.

use std::fmt;

use super::Uid;

/// Whose image it is, and which.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Whom it shows.
    pub patient: Patient,
    /// The examination.
    pub study: Study,
    /// The part of it that one device made in one go.
    pub series: Series,
    /// The image.
    pub instance: Instance,
}

/// What names a patient within a site. Who has no id is nobody's prior.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PatientId {
    /// Issuer of Patient ID (0010,0021); empty where none is given, which stands for the site itself.
    pub issuer: String,
    /// Patient ID (0010,0020); empty where none is given.
    pub id: String,
}

/// PS3.3, C.7.1.1 and C.7.2.2.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Patient {
    /// Issuer and id.
    pub id: PatientId,
    /// Patient's Name (0010,0010) as it was given: `Doe^Jane`, with `=` before the ideographic and the phonetic group.
    pub name: Option<String>,
    /// Patient's Birth Date (0010,0030), `YYYYMMDD`.
    pub birth_date: Option<String>,
    /// Patient's Sex (0010,0040): `M`, `F`, `O`.
    pub sex: Option<String>,
    /// Patient's Age (0010,1010) at the study, as [`read_age`](super::read_age) reads it: `003Y`, `018M`, `012W`, `005D`.
    pub age: Option<String>,
}

/// PS3.3, C.7.2.1.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Study {
    /// Study Instance UID (0020,000D).
    pub uid: Option<Uid>,
    /// Study ID (0020,0010).
    pub id: Option<String>,
    /// Accession Number (0008,0050).
    pub accession: Option<String>,
    /// Study Date (0008,0020), `YYYYMMDD`.
    pub date: Option<String>,
    /// Study Time (0008,0030), `HHMMSS`, without what is less than a second.
    pub time: Option<String>,
    /// Study Description (0008,1030).
    pub description: Option<String>,
    /// Referring Physician's Name (0008,0090).
    pub referring_physician: Option<String>,
}

/// PS3.3, C.7.3.1.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Series {
    /// Series Instance UID (0020,000E).
    pub uid: Option<Uid>,
    /// Modality (0008,0060): `CR`, `DX`.
    pub modality: Option<String>,
    /// Series Number (0020,0011).
    pub number: Option<i32>,
    /// Series Description (0008,103E).
    pub description: Option<String>,
    /// Body Part Examined (0018,0015).
    pub body_part: Option<String>,
}

/// PS3.3, C.12.1, C.7.6.1 and C.7.6.3.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Instance {
    /// SOP Class UID (0008,0016).
    pub class: Option<Uid>,
    /// SOP Instance UID (0008,0018).
    pub uid: Option<Uid>,
    /// Transfer Syntax UID (0002,0010).
    pub transfer_syntax: Option<Uid>,
    /// Instance Number (0020,0013).
    pub number: Option<i32>,
    /// View Position (0018,5101): `PA`, `AP`, `LL`.
    pub view_position: Option<String>,
    /// Acquisition Date (0008,0022), or Content Date (0008,0023): `YYYYMMDD`.
    pub date: Option<String>,
    /// Acquisition Time (0008,0032), or Content Time (0008,0033): `HHMMSS`.
    pub time: Option<String>,
    /// Rows (0028,0010).
    pub rows: Option<u32>,
    /// Columns (0028,0011).
    pub columns: Option<u32>,
    /// Bits Stored (0028,0101).
    pub bits_stored: Option<u16>,
    /// Photometric Interpretation (0028,0004).
    pub photometric_interpretation: Option<String>,
    /// Number of Frames (0028,0008); `None` is one.
    pub frames: Option<u32>,
    /// Whether Burned In Annotation (0028,0301) says that a person can be read from the pixels.
    pub burned_in_annotation: Option<bool>,
}

macro_rules! silent {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}

silent!(Attributes, PatientId, Patient, Study, Series, Instance);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_names_nobody() {
        let patient = Patient { name: Some("Doe^Jane".into()), ..Patient::default() };
        let attributes = Attributes { patient, ..Attributes::default() };
        assert_eq!(format!("{attributes:?} {:?}", attributes.patient), "Attributes(…) Patient(…)");
    }
}
