//! `/v1/images/{id}/verdicts`: what readers say of images.

use std::sync::Arc;

use actix_web::http::header::{ETag, EntityTag};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use lobar_core::access::Role;
use lobar_core::audit::Action;
use lobar_core::failure::PortError;
use lobar_core::finding::Label;
use lobar_core::image::Image;
use lobar_core::object::ImageId;
use lobar_core::verdict::{
    Cause, NewVerdict, Newer, Opinion, Terms, Verdict, VerdictError, WithdrawError, Withdrawal,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::{Allowed, need};
use crate::context::Context;
use crate::json::Json;
use crate::problem::{Kind, Problem};
use crate::readership::OWN_VERDICT_FIRST;
use crate::record::about;
use crate::verdict::{VerdictBody, VerdictItem, VerdictList};
use crate::verdict_tag;
use crate::visible::{unknown, visible};

/// Adds a verdict. Earlier ones are kept; the newest counts. With `If-Match` only where nothing is newer than what its reader
/// saw; without, `model_version` alone says what that was.
#[utoipa::path(post, path = "/v1/images/{id}/verdicts", tag = "images",
    params(
        ("id" = Uuid, Path, description = "The image's id."),
        ("If-Match" = Option<String>, Header, description = "What the reader had before them: the image's `verdicts_etag`, or the ETag of its verdicts."),
    ),
    request_body = VerdictBody,
    responses(
        (status = 201, body = VerdictItem),
        (status = 400, description = "Members that do not go together.", content_type = "application/problem+json"),
        (status = 404, description = "Not known, or removed.", content_type = "application/problem+json"),
        (status = 409, description = "The caller's own opinion is asked for first, or another result is there than the one that was shown: look again.", content_type = "application/problem+json"),
        (status = 412, description = "Something newer is there than what `If-Match` names; `newer` says what: `result` or `verdict`.", content_type = "application/problem+json"),
        (status = 422, description = "There is no result to agree with.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn add(
    allowed: Allowed<need::GiveVerdicts>,
    context: Data<Context>,
    id: Path<Uuid>,
    request: HttpRequest,
    body: Json<VerdictBody>,
) -> Result<HttpResponse, Problem> {
    let id = ImageId(id.into_inner());
    let seen = verdict_tag::if_match(&request)?;
    let new = body.into_inner().on(id, allowed.name())?;
    let image = visible(&context, &allowed, id).await?;
    if let Some(why) = context.withheld_of(&allowed, &image).await {
        return Err(why.problem());
    }
    let new = NewVerdict { role: role(&allowed, &image), ..new };
    let terms = Terms { readers: context.readers_at(image.object.site()), seen };
    let (verdicts, signal) = (Arc::clone(&context.verdicts), Arc::clone(&context.signal));
    let added = context.run(async move {
        let added = verdicts.add(&new, &terms).await?;
        if let Err(error) = signal.publish().await {
            tracing::debug!(%error, "signal not published; pages find the verdict by polling");
        }
        Ok::<_, VerdictError>(added)
    });
    let added = added.await??;
    let mut given = about(&allowed, Action::VerdictGiven, &image);
    given.subject = Some(added.id);
    given.detail = recorded(&added);
    context.record(given).await?;
    Ok(HttpResponse::Created().json(VerdictItem::from(added)))
}

/// Takes the caller's own newest verdict on an image back: it stays, and counts no more. Of one that was taken back already
/// the answer is the same.
#[utoipa::path(post, path = "/v1/images/{id}/verdicts/{verdict}/withdrawal", tag = "images",
    params(
        ("id" = Uuid, Path, description = "The image's id."),
        ("verdict" = Uuid, Path, description = "The verdict's id."),
    ),
    responses(
        (status = 200, body = VerdictItem, description = "As it is kept from now on: see `withdrawn_at`."),
        (status = 404, description = "No such image, or no such verdict of the caller's on it.", content_type = "application/problem+json"),
        (status = 409, description = "The caller gave a newer verdict on it.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn withdraw(
    allowed: Allowed<need::GiveVerdicts>,
    context: Data<Context>,
    path: Path<(Uuid, Uuid)>,
) -> Result<HttpResponse, Problem> {
    let (id, verdict) = path.into_inner();
    let image = visible(&context, &allowed, ImageId(id)).await?;
    let role = role(&allowed, &image);
    let withdrawal =
        Withdrawal { image: image.id, verdict, reader: allowed.name().to_owned(), role };
    let (verdicts, signal) = (Arc::clone(&context.verdicts), Arc::clone(&context.signal));
    let withdrawn = context.run(async move {
        let withdrawn = verdicts.withdraw(&withdrawal).await?;
        if let Err(error) = signal.publish().await {
            tracing::debug!(%error, "signal not published; pages find the withdrawal by polling");
        }
        Ok::<_, WithdrawError>(withdrawn)
    });
    let withdrawn = withdrawn.await??;
    let mut taken = about(&allowed, Action::VerdictWithdrawn, &image);
    taken.subject = Some(withdrawn.id);
    taken.detail = recorded(&withdrawn);
    context.record(taken).await?;
    Ok(HttpResponse::Ok().json(VerdictItem::from(withdrawn)))
}

/// The role that gives the right to it there.
fn role(allowed: &Allowed<need::GiveVerdicts>, image: &Image) -> String {
    allowed.role(image.object.site()).map_or("", Role::as_str).to_owned()
}

/// What the audit record has of a verdict: of a note only that there is one.
fn recorded(verdict: &Verdict) -> Value {
    let given = &verdict.verdict;
    let causes = match &given.opinion {
        Opinion::NotAssessable { causes } => causes.iter().copied().map(Cause::word).collect(),
        Opinion::Agree | Opinion::Disagree { .. } | Opinion::Unreadable => Vec::new(),
    };
    json!({
        "opinion": given.opinion.word(),
        "label": verdict.label.map(Label::word),
        "causes": causes,
        "note": !given.note.is_empty(),
        "model": given.model_version,
        "displayed": given.displayed,
    })
}

/// What readers said of one image, oldest first: verdicts, those that were withdrawn among them, and opinions from before the
/// result was shown (`own`). Its ETag is what to send as `If-Match` with a verdict.
#[utoipa::path(get, path = "/v1/images/{id}/verdicts", tag = "images",
    params(("id" = Uuid, Path, description = "The image's id.")),
    responses(
        (status = 200, body = VerdictList),
        (status = 404, description = "Not known.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    allowed: Allowed<need::ReadImages>,
    context: Data<Context>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let id = ImageId(id.into_inner());
    let image = visible(&context, &allowed, id).await?;
    if let Some(why) = context.withheld_of(&allowed, &image).await {
        let none = VerdictList { items: Vec::new(), withheld: Some(why.word()) };
        return Ok(HttpResponse::Ok().json(none));
    }
    // Asked before the verdicts are read: one that comes in between is told to nobody who must not know it.
    let kept_from = context.keeps_verdicts_from(&allowed, id, image.object.site()).await;
    let (verdicts, exposures) = (Arc::clone(&context.verdicts), Arc::clone(&context.exposures));
    let given = context.run(async move {
        Ok::<_, PortError>((verdicts.of(id).await?, exposures.opinions(id).await?))
    });
    let (mut given, mut own) = given.await??;
    if kept_from {
        given.retain(|verdict| verdict.verdict.reader == allowed.name());
        own.retain(|first| first.opinion.reader.id == allowed.caller().who.id());
    }
    context.recorder.note(about(&allowed, Action::VerdictsViewed, &image))?;
    let tag = verdict_tag::tag(verdict_tag::seen(image.finished_at, &given));
    let own = own.into_iter().map(|opinion| (opinion.at, VerdictItem::from(opinion)));
    let given = given.into_iter().map(|verdict| (verdict.at, VerdictItem::from(verdict)));
    let mut items: Vec<_> = own.chain(given).collect();
    items.sort_by_key(|(at, _)| *at);
    let list = VerdictList {
        items: items.into_iter().map(|(_, item)| item).collect(),
        withheld: kept_from.then_some(OWN_VERDICT_FIRST),
    };
    Ok(HttpResponse::Ok().insert_header(ETag(EntityTag::new_strong(tag))).json(list))
}

impl From<VerdictError> for Problem {
    fn from(error: VerdictError) -> Self {
        match error {
            VerdictError::Unknown => unknown(),
            VerdictError::Stale => Problem::new(
                Kind::StaleVerdict,
                "Look at the image again: what is shown of it has changed.",
            ),
            VerdictError::Newer(newer) => {
                let (word, detail) = match newer {
                    Newer::Result => ("result", "The image was analysed anew: look at it again."),
                    Newer::Verdict => {
                        ("verdict", "A verdict was given or withdrawn since: look at it again.")
                    }
                };
                Problem::new(Kind::NewerThanSeen, detail).with("newer", word)
            }
            VerdictError::NothingToAgreeWith => {
                Problem::new(Kind::NothingToAgreeWith, "Say what is right instead.")
            }
            VerdictError::Port(error) => error.into(),
        }
    }
}

impl From<WithdrawError> for Problem {
    fn from(error: WithdrawError) -> Self {
        match error {
            WithdrawError::Unknown => Problem::new(
                Kind::UnknownVerdict,
                "Verdicts are withdrawn by who gave them, as long as the image is there.",
            ),
            WithdrawError::NotNewest => Problem::new(
                Kind::NotNewestVerdict,
                "Withdraw the newer one first, or give another.",
            ),
            WithdrawError::Port(error) => error.into(),
        }
    }
}
