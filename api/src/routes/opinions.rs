//! `POST /v1/images/{id}/opinion`: what a reader sees before the result is shown.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use lobar_core::access::Role;
use lobar_core::audit::Action;
use lobar_core::exposure::{NewOpinion, OpinionError, Reader};
use lobar_core::finding::Label;
use lobar_core::object::ImageId;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::{Allowed, need};
use crate::context::Context;
use crate::exposure::Withheld;
use crate::json::Json;
use crate::picture;
use crate::problem::{Kind, Problem};
use crate::record::about;
use crate::verdict::VerdictItem;
use crate::visible::{unknown, visible};

/// What a reader sees in a picture whose result they were not shown.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpinionBody {
    /// `PNEUMONIA`, `NORMAL`, or null where nobody could tell from this picture.
    #[schema(value_type = Option<String>, example = "NORMAL")]
    label: Option<String>,
    /// Which rendering of the picture was painted: the `ETag` of `/v1/images/{id}/picture`; null where none was.
    rendering: Option<String>,
}

/// Gives one's own opinion on an image whose result is withheld until then (`withheld: own_opinion_first`). It is given
/// once and stays; what the reader says with the result before them is a verdict.
#[utoipa::path(post, path = "/v1/images/{id}/opinion", tag = "images",
    params(("id" = Uuid, Path, description = "The image's id.")),
    request_body = OpinionBody,
    responses(
        (status = 201, body = VerdictItem, description = "From now on the result is shown. `opinion` is `own`."),
        (status = 400, description = "No such label, or no picture of this image.", content_type = "application/problem+json"),
        (status = 404, description = "Not known, or removed.", content_type = "application/problem+json"),
        (status = 409, description = "No opinion is asked for: the result was shown, or there is none.", content_type = "application/problem+json"),
        (status = 503, description = "The record cannot be read or written: the result stays withheld.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn give(
    allowed: Allowed<need::GiveVerdicts>,
    context: Data<Context>,
    id: Path<Uuid>,
    body: Json<OpinionBody>,
) -> Result<HttpResponse, Problem> {
    let id = ImageId(id.into_inner());
    let image = visible(&context, &allowed, id).await?;
    let (label, rendering) = body.into_inner().read(id)?;
    match context.withheld_of(&allowed, &image).await {
        Some(Withheld::OwnOpinionFirst) => {}
        Some(why @ Withheld::RecordUnavailable) => return Err(why.problem()),
        None => return Err(not_asked()),
    }
    let role = allowed.role(image.object.site()).map_or("", Role::as_str).to_owned();
    let reader = Reader { id: allowed.caller().who.id(), name: allowed.name().to_owned() };
    let session = allowed.session().map(|session| session.0);
    let new = NewOpinion { image: id, reader, role, session, label, rendering };
    let given = context
        .ask_port(&context.exposures, move |exposures| async move { exposures.give(&new).await })
        .await?;
    let mut entry = about(&allowed, Action::OpinionGiven, &image);
    entry.subject = Some(given.id);
    entry.detail = json!({
        "label": given.opinion.label.map(Label::word),
        "model": given.answer.model_version,
        "model_sha256": given.answer.model_sha256,
    });
    context.record(entry).await?;
    Ok(HttpResponse::Created().json(VerdictItem::from(given)))
}

impl OpinionBody {
    fn read(self, image: ImageId) -> Result<(Option<Label>, Option<String>), Problem> {
        let wrong = |detail: &str| Problem::new(Kind::BadParameter, detail);
        let label = match self.label.as_deref() {
            None => None,
            Some(word) => Some(
                Label::parse(word).ok_or_else(|| wrong("`label` is PNEUMONIA, NORMAL or null."))?,
            ),
        };
        let rendering = self.rendering.as_deref().map(|tag| tag.trim_matches('"').to_owned());
        if rendering.as_ref().is_some_and(|name| !picture::is_rendering_of(name, image)) {
            return Err(wrong("`rendering` is the ETag of this image's picture, or null."));
        }
        Ok((label, rendering))
    }
}

fn not_asked() -> Problem {
    Problem::new(Kind::NoOpinionAsked, "Load the image again: its result is shown, or it has none.")
}

impl From<OpinionError> for Problem {
    fn from(error: OpinionError) -> Self {
        match error {
            OpinionError::Unknown => unknown(),
            OpinionError::NoResult | OpinionError::Given => not_asked(),
            OpinionError::Port(error) => error.into(),
        }
    }
}
