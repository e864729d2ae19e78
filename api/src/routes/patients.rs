//! `/v1/patients` and `POST /v1/images/{id}/patient`: merging, separating and correcting patients, and moving studies.
//!
//! Ids and names are in bodies only: addresses are logged by others.

use std::sync::Arc;

use actix_web::web::{Data, Path};
use lobar_core::access::SiteName;
use lobar_core::audit::{Action, NewEntry};
use lobar_core::object::ImageId;
use lobar_core::study::{Attributes, Changed, Correction, Patient, PatientError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::{Allowed, need};
use crate::context::Context;
use crate::json::Json;
use crate::problem::{Kind, Problem};
use crate::record::{entry, refused};
use crate::visible::visible;
use crate::whose::PatientKeyBody;

/// Two ids of one patient.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MergeBody {
    /// The site of both.
    site: String,
    /// The id that is no longer used.
    from: PatientKeyBody,
    /// The id that stays.
    into: PatientKeyBody,
}

/// An id that was merged by mistake.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeparateBody {
    /// Its site.
    site: String,
    /// The id that was merged into another.
    patient: PatientKeyBody,
}

/// What is right of a patient. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CorrectBody {
    /// The site.
    site: String,
    /// Whom it is about.
    patient: PatientKeyBody,
    /// As DICOM writes names: `Doe^Jane`.
    name: Option<String>,
    /// `YYYYMMDD` or `YYYY-MM-DD`.
    birth_date: Option<String>,
    /// `M`, `F`, `O`.
    sex: Option<String>,
}

/// Whose study it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoveBody {
    /// The right patient. Nobody of this id need be known yet.
    patient: PatientKeyBody,
}

/// What was changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PatientChange {
    /// The opaque id of the patient who has the images now, as the audit record names them.
    patient: Uuid,
    /// The images that are shown as another's, or otherwise, by it; none where nothing changed.
    images: Vec<Uuid>,
}

impl std::fmt::Debug for CorrectBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CorrectBody(…)")
    }
}

type Answer = Result<Json<PatientChange>, Problem>;

/// One patient has two ids (HL7 ADT A40): the images of both are `into`'s from now on, and later ones that come under the
/// old id too. `POST /v1/patients/separate` undoes it.
#[utoipa::path(post, path = "/v1/patients/merge", tag = "patients", request_body = MergeBody, responses(
    (status = 200, body = PatientChange),
    (status = 400, description = "A bad field, or twice the same id.", content_type = "application/problem+json"),
    (status = 404, description = "Nobody of the id `from` is known.", content_type = "application/problem+json"),
    (status = 409, description = "The id `from` was merged into another one.", content_type = "application/problem+json"),
))]
pub(crate) async fn merge(
    allowed: Allowed<need::ManagePatients>,
    context: Data<Context>,
    body: Json<MergeBody>,
) -> Answer {
    let (site, by) = at(&context, &allowed, &body.site)?;
    let (from, into) = (body.from.read()?, body.into.read()?);
    let changed = context.ask_port(&context.studies, move |port| async move {
        port.merge(&site, &from, &into, &by).await
    });
    told(&context, changed.await?).await
}

/// Undoes a merge: the id is a patient of its own again, with the studies whose images all name it.
#[utoipa::path(post, path = "/v1/patients/separate", tag = "patients", request_body = SeparateBody, responses(
    (status = 200, body = PatientChange),
    (status = 400, description = "A bad field.", content_type = "application/problem+json"),
    (status = 404, description = "The id was not merged into another one.", content_type = "application/problem+json"),
))]
pub(crate) async fn separate(
    allowed: Allowed<need::ManagePatients>,
    context: Data<Context>,
    body: Json<SeparateBody>,
) -> Answer {
    let (site, by) = at(&context, &allowed, &body.site)?;
    let from = body.patient.read()?;
    let changed = context.ask_port(&context.studies, move |port| async move {
        port.separate(&site, &from, &by).await
    });
    told(&context, changed.await?).await
}

/// Corrects the name, the birth date or the sex of a patient (HL7 ADT A08). It stands against what later images say.
#[utoipa::path(put, path = "/v1/patients", tag = "patients", request_body = CorrectBody, responses(
    (status = 200, body = PatientChange),
    (status = 400, description = "A bad field.", content_type = "application/problem+json"),
    (status = 404, description = "Nobody of this id is known.", content_type = "application/problem+json"),
    (status = 409, description = "The id was merged into another one.", content_type = "application/problem+json"),
))]
pub(crate) async fn correct(
    allowed: Allowed<need::ManagePatients>,
    context: Data<Context>,
    body: Json<CorrectBody>,
) -> Answer {
    let (site, by) = at(&context, &allowed, &body.site)?;
    let (id, correction) = (body.patient.read()?, body.correction()?);
    let changed = context.ask_port(&context.studies, move |port| async move {
        port.correct(&site, &id, &correction, &by).await
    });
    told(&context, changed.await?).await
}

/// The study of this image is another patient's: the wrong one was chosen at the modality. Its other images move with it,
/// and later ones of it that come under the wrong id.
#[utoipa::path(post, path = "/v1/images/{id}/patient", tag = "patients", request_body = MoveBody,
    params(("id" = Uuid, Path, description = "The image's id.")),
    responses(
        (status = 200, body = PatientChange),
        (status = 400, description = "A bad field.", content_type = "application/problem+json"),
        (status = 404, description = "Not known, or nothing is known of whose it is.", content_type = "application/problem+json"),
        (status = 409, description = "The id was merged into another one.", content_type = "application/problem+json"),
        (status = 410, description = "It was erased.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn move_study(
    allowed: Allowed<need::ManagePatients>,
    context: Data<Context>,
    id: Path<Uuid>,
    body: Json<MoveBody>,
) -> Answer {
    let id = ImageId(id.into_inner());
    let to = body.patient.read()?;
    let image = visible(&context, &allowed, id).await?;
    let mut by = entry(&allowed, Action::PatientChanged, image.object.site());
    by.image = Some(id);
    let changed = context
        .ask_port(&context.studies, move |port| async move { port.move_study(id, &to, &by).await });
    told(&context, changed.await?).await
}

/// The site, if the caller has the right there, and the entry that says so.
fn at(
    context: &Context,
    allowed: &Allowed<need::ManagePatients>,
    site: &str,
) -> Result<(SiteName, NewEntry), Problem> {
    let name = SiteName::parse(site)
        .ok_or_else(|| Problem::new(Kind::BadParameter, "`site` is the patient's site."))?;
    if allowed.at(Some(site)) {
        let by = entry(allowed, Action::PatientChanged, Some(site));
        return Ok((name, by));
    }
    // What was typed may be anything, so it is not recorded.
    context.recorder.note_refused(refused(allowed, None, None))?;
    Err(Problem::new(Kind::NotAllowed, "You cannot change patients of this site."))
}

/// Has pages look at the images that are another's.
async fn told(context: &Data<Context>, changed: Changed) -> Answer {
    let Changed { patient, images } = changed;
    if !images.is_empty() {
        let signal = Arc::clone(&context.signal);
        let published = context.run(async move { signal.publish().await }).await?;
        if let Err(error) = published {
            tracing::debug!(%error, "signal not published; pages find the change by polling");
        }
    }
    Ok(Json(PatientChange { patient, images: images.into_iter().map(|image| image.0).collect() }))
}

impl CorrectBody {
    fn correction(&self) -> Result<Correction, Problem> {
        let birth_date = self.birth_date.as_ref().map(|date| date.replace('-', ""));
        let (name, sex) = (self.name.clone(), self.sex.clone());
        let patient = Patient { name, birth_date, sex, ..Patient::default() };
        let kept = Attributes { patient, ..Attributes::default() }.bounded().patient;
        let lost =
            |given: &Option<String>, kept: &Option<String>| given.is_some() && kept.is_none();
        for (field, given, kept) in [
            ("name", &self.name, &kept.name),
            ("birth_date", &self.birth_date, &kept.birth_date),
            ("sex", &self.sex, &kept.sex),
        ] {
            if lost(given, kept) {
                return Err(Problem::new(Kind::BadParameter, format!("`{field}` is none.")));
            }
        }
        Ok(Correction { name: kept.name, birth_date: kept.birth_date, sex: kept.sex })
    }
}

impl From<PatientError> for Problem {
    fn from(error: PatientError) -> Self {
        match error {
            PatientError::Unknown => Problem::new(
                Kind::UnknownPatient,
                "Ids are taken to the letter, with their issuer.",
            ),
            PatientError::Merged => {
                let detail = "Name the id that it was merged into, or separate the two first.";
                Problem::new(Kind::PatientMerged, detail)
            }
            PatientError::Same => {
                Problem::new(Kind::BadParameter, "Both ids are the same patient's.")
            }
            PatientError::Port(error) => error.into(),
        }
    }
}
