//! Rows as the database keeps them.

use lobar_core::object::ImageId;
use lobar_core::study::{Attributes, Identity, Instance, Patient, PatientId, Series, Study, Uid};
use lobar_core::time::Stamp;
use uuid::Uuid;

/// An image and its instance, to be compared with others of the same site and uid.
#[derive(sqlx::FromRow)]
pub struct SiblingRow {
    pub(super) image: Uuid,
    pub(super) site: Option<String>,
    pub(super) uid: String,
    pub(super) sha256: Option<Vec<u8>>,
    pub(super) warnings: String,
    pub(super) patient: Uuid,
    pub(super) patient_id: Option<String>,
    pub(super) study_uid: String,
    pub(super) state: String,
    pub(super) flag: String,
    pub(super) lane: String,
    pub(super) received_at: i64,
    pub(super) detail: Option<String>,
}

/// A patient.
#[derive(sqlx::FromRow)]
pub struct PatientRow {
    pub(super) id: Uuid,
    pub(super) site: Option<String>,
    pub(super) issuer: String,
    pub(super) patient_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) birth_date: Option<String>,
    pub(super) sex: Option<String>,
}

/// A patient as an image says it.
#[derive(sqlx::FromRow)]
pub struct GivenRow {
    pub(super) given_issuer: String,
    pub(super) given_id: Option<String>,
    pub(super) given_name: Option<String>,
    pub(super) given_birth_date: Option<String>,
    pub(super) given_sex: Option<String>,
}

/// An id that was merged into a patient's.
#[derive(sqlx::FromRow)]
pub struct AliasRow {
    pub(super) site: String,
    pub(super) issuer: String,
    pub(super) patient_id: String,
    pub(super) patient: Uuid,
    pub(super) former: Uuid,
    pub(super) name: Option<String>,
    pub(super) birth_date: Option<String>,
    pub(super) sex: Option<String>,
    /// What the merge filled in of the other patient: words of `name`, `birth_date`, `sex`.
    pub(super) filled: String,
}

/// A study that was moved away from an id.
#[derive(sqlx::FromRow)]
pub struct MovedRow {
    pub(super) site: String,
    pub(super) issuer: String,
    pub(super) patient_id: String,
    pub(super) uid: String,
    pub(super) study: Uuid,
}

/// A study of a patient, or a series of a study.
#[derive(sqlx::FromRow)]
pub struct ChildRow {
    pub(super) id: Uuid,
    pub(super) parent: Uuid,
    pub(super) uid: String,
}

/// Where an image belongs.
#[derive(sqlx::FromRow)]
pub struct PlaceRow {
    pub(super) study: Uuid,
    pub(super) patient: Uuid,
    pub(super) made_at: i64,
    pub(super) received_at: i64,
}

/// Everything that is known of whose image it is.
#[derive(sqlx::FromRow)]
pub struct IdentityRow {
    image: Uuid,
    patient: Uuid,
    issuer: String,
    patient_id: Option<String>,
    name: Option<String>,
    birth_date: Option<String>,
    sex: Option<String>,
    study: Uuid,
    study_uid: String,
    study_id: Option<String>,
    accession: Option<String>,
    study_date: Option<String>,
    study_time: Option<String>,
    study_description: Option<String>,
    referring_physician: Option<String>,
    series_uid: String,
    modality: Option<String>,
    series_number: Option<i64>,
    series_description: Option<String>,
    body_part: Option<String>,
    uid: String,
    replaces: Option<Uuid>,
    given_issuer: String,
    given_id: Option<String>,
    given_name: Option<String>,
    given_birth_date: Option<String>,
    given_sex: Option<String>,
    warnings: String,
    made_at: i64,
    sop_class: Option<String>,
    transfer_syntax: Option<String>,
    number: Option<i64>,
    view_position: Option<String>,
    acquired_date: Option<String>,
    acquired_time: Option<String>,
    pixel_rows: Option<i64>,
    pixel_columns: Option<i64>,
    bits_stored: Option<i64>,
    photometric_interpretation: Option<String>,
    frames: Option<i64>,
    burned_in_annotation: Option<i64>,
    patient_age: Option<String>,
}

/// The columns of [`IdentityRow`], of the tables by their own names.
pub(super) const IDENTITY: &str = "instance.image, patient.id as patient, patient.issuer,
    patient.patient_id, patient.name, patient.birth_date, patient.sex, study.id as study,
    study.uid as study_uid, study.study_id, study.accession, study.study_date, study.study_time,
    study.description as study_description, study.referring_physician, series.uid as series_uid,
    series.modality, series.number as series_number, series.description as series_description,
    series.body_part, instance.uid, instance.replaces, instance.given_issuer, instance.given_id,
    instance.given_name, instance.given_birth_date, instance.given_sex, instance.warnings,
    instance.made_at, instance.sop_class, instance.transfer_syntax, instance.number,
    instance.view_position, instance.acquired_date, instance.acquired_time, instance.pixel_rows,
    instance.pixel_columns, instance.bits_stored, instance.photometric_interpretation,
    instance.frames, instance.burned_in_annotation, instance.patient_age";

impl IdentityRow {
    pub(super) fn identity(self) -> (ImageId, Identity) {
        let uid = |text: &str| Uid::parse(text);
        let attributes = Attributes {
            patient: Patient {
                id: PatientId { issuer: self.issuer, id: self.patient_id.unwrap_or_default() },
                name: self.name,
                birth_date: self.birth_date,
                sex: self.sex,
                age: self.patient_age,
            },
            study: Study {
                uid: uid(&self.study_uid),
                id: self.study_id,
                accession: self.accession,
                date: self.study_date,
                time: self.study_time,
                description: self.study_description,
                referring_physician: self.referring_physician,
            },
            series: Series {
                uid: uid(&self.series_uid),
                modality: self.modality,
                number: self.series_number.and_then(narrow),
                description: self.series_description,
                body_part: self.body_part,
            },
            instance: Instance {
                class: self.sop_class.as_deref().and_then(uid),
                uid: uid(&self.uid),
                transfer_syntax: self.transfer_syntax.as_deref().and_then(uid),
                number: self.number.and_then(narrow),
                view_position: self.view_position,
                date: self.acquired_date,
                time: self.acquired_time,
                rows: self.pixel_rows.and_then(narrow),
                columns: self.pixel_columns.and_then(narrow),
                bits_stored: self.bits_stored.and_then(narrow),
                photometric_interpretation: self.photometric_interpretation,
                frames: self.frames.and_then(narrow),
                burned_in_annotation: self.burned_in_annotation.map(|word| word == 1),
            },
        };
        let identity = Identity {
            attributes,
            patient: self.patient,
            study: self.study,
            given: Patient {
                id: PatientId { issuer: self.given_issuer, id: self.given_id.unwrap_or_default() },
                name: self.given_name,
                birth_date: self.given_birth_date,
                sex: self.given_sex,
                age: None,
            },
            warnings: self.warnings.split_whitespace().map(str::to_owned).collect(),
            made_at: Stamp(self.made_at),
            replaces: self.replaces.map(ImageId),
        };
        (ImageId(self.image), identity)
    }
}

fn narrow<T: TryFrom<i64>>(number: i64) -> Option<T> {
    T::try_from(number).ok()
}
