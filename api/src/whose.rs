//! Whose image it is, as clients see it.
//!
//! It is read for each answer and kept in no cache: it is personal, and people change it.

use std::collections::BTreeMap;

use lobar_core::object::ImageId;
use lobar_core::study::{
    Identity, Instance, Patient, PatientId, Series, Study, Uid, age_on, day_of,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::context::Context;
use crate::problem::{Kind, Problem};

/// What is known of whose image it is; every member null where nothing is.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Whose {
    pub(crate) patient: Option<PatientBody>,
    pub(crate) study: Option<StudyBody>,
    pub(crate) series: Option<SeriesBody>,
    pub(crate) instance: Option<InstanceBody>,
}

/// The patient.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct PatientBody {
    /// Their id at the site; null where the image names none.
    id: Option<String>,
    /// Who gave out the id; empty where that is the site.
    issuer: String,
    /// As DICOM writes names: `Doe^Jane`.
    name: Option<String>,
    /// `YYYYMMDD`.
    birth_date: Option<String>,
    /// `M`, `F`, `O`.
    #[schema(value_type = Option<String>)]
    sex: Option<String>,
    /// Their age at the study as DICOM writes ages: `004Y`, `018M`, `012D`. Computed from the birth date where that is
    /// known, else as the image says it.
    #[schema(example = "004Y")]
    age: Option<String>,
    /// The id that the image itself names, where its study was moved or its patient merged since.
    former: Option<String>,
    /// The name that the image itself has, where it is another.
    given_name: Option<String>,
}

/// The examination.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct StudyBody {
    /// Study Instance UID; a derived one where the image has none.
    uid: Option<String>,
    /// Study ID.
    id: Option<String>,
    accession: Option<String>,
    /// `YYYYMMDD`.
    date: Option<String>,
    /// `HHMMSS`, or as much of it as is known.
    time: Option<String>,
    description: Option<String>,
    referring_physician: Option<String>,
}

/// The series.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct SeriesBody {
    uid: Option<String>,
    /// `CR`, `DX`.
    modality: Option<String>,
    number: Option<i32>,
    description: Option<String>,
    body_part: Option<String>,
}

/// The image as an instance.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct InstanceBody {
    uid: Option<String>,
    /// SOP Class UID.
    class: Option<String>,
    transfer_syntax: Option<String>,
    number: Option<i32>,
    /// `PA`, `AP`, `LL`.
    view_position: Option<String>,
    rows: Option<u32>,
    columns: Option<u32>,
    bits_stored: Option<u16>,
    /// The older version of this instance whose place it took.
    replaces: Option<Uuid>,
    /// What is to be known of whose image it is, also where there is no result: codes (docs/patients.md).
    warnings: Vec<String>,
}

macro_rules! silent {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}

silent!(PatientBody, StudyBody, SeriesBody, InstanceBody, PatientKeyBody);

impl From<Identity> for Whose {
    fn from(identity: Identity) -> Self {
        let Identity { attributes, given, made_at, replaces, warnings, .. } = identity;
        let Patient { id, name, birth_date, sex, age } = attributes.patient;
        let day = attributes.study.date.clone().unwrap_or_else(|| day_of(made_at));
        let age = birth_date.as_deref().and_then(|born| age_on(&day, born)).or(age);
        let former = Some(given.id).filter(|given| !given.id.is_empty() && *given != id);
        let given_name = given.name.filter(|given| name.as_ref() != Some(given));
        let patient = PatientBody {
            id: Some(id.id).filter(|id| !id.is_empty()),
            issuer: id.issuer,
            name,
            birth_date,
            sex,
            age,
            former: former.map(|given| given.id),
            given_name,
        };
        let text = |uid: Option<Uid>| uid.map(|uid| uid.as_str().to_owned());
        let Study { uid, id, accession, date, time, description, referring_physician } =
            attributes.study;
        let uid = text(uid);
        let study = StudyBody { uid, id, accession, date, time, description, referring_physician };
        let Series { uid, modality, number, description, body_part } = attributes.series;
        let series = SeriesBody { uid: text(uid), modality, number, description, body_part };
        let Instance {
            uid,
            class,
            transfer_syntax,
            number,
            view_position,
            rows,
            columns,
            bits_stored,
            ..
        } = attributes.instance;
        let instance = InstanceBody {
            uid: text(uid),
            class: text(class),
            transfer_syntax: text(transfer_syntax),
            number,
            view_position,
            rows,
            columns,
            bits_stored,
            replaces: replaces.map(|image| image.0),
            warnings,
        };
        Self {
            patient: Some(patient),
            study: Some(study),
            series: Some(series),
            instance: Some(instance),
        }
    }
}

/// A patient's id within a site.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PatientKeyBody {
    /// Who gave out the id; left out where that is the site.
    #[serde(default)]
    issuer: String,
    /// The id.
    id: String,
}

impl PatientKeyBody {
    /// The id, as it is kept.
    ///
    /// # Errors
    /// It is empty, too long, or has control characters in it.
    pub(crate) fn read(&self) -> Result<PatientId, Problem> {
        kept(&self.issuer, &self.id)
    }
}

/// A patient's id that is searched for, as it is kept.
///
/// # Errors
/// As [`PatientKeyBody::read`].
pub(crate) fn patient_id(id: &str) -> Result<String, Problem> {
    kept("", id).map(|kept| kept.id)
}

fn kept(issuer: &str, id: &str) -> Result<PatientId, Problem> {
    let id = PatientId { issuer: issuer.to_owned(), id: id.to_owned() }.bounded();
    match id.id.is_empty() {
        true => Err(Problem::new(
            Kind::BadParameter,
            "A patient's `id` and its `issuer` have at most 128 characters, none of them a control character; the id is not empty.",
        )),
        false => Ok(id),
    }
}

impl Context {
    /// Whose these images are.
    pub(crate) async fn whose(
        &self,
        images: Vec<ImageId>,
    ) -> Result<BTreeMap<ImageId, Whose>, Problem> {
        if images.is_empty() {
            return Ok(BTreeMap::new());
        }
        let found = self.ask_port(&self.studies, |port| async move { port.of(&images).await });
        Ok(found.await?.into_iter().map(|(image, known)| (image, known.into())).collect())
    }
}
