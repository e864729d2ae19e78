//! `/v1/exposure`: what a page painted of answers, and the report of what that did to opinions.

use std::collections::BTreeSet;

use actix_web::web::{Data, Query};
use lobar_core::access::Who;
use lobar_core::audit::Action;
use lobar_core::exposure::{Exposure, Question, Report, Scope, Source, Truth, Visible};
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::access::{Allowed, need};
use crate::context::Context;
use crate::instant;
use crate::json::Json;
use crate::problem::{Kind, Problem};
use crate::record::entry;

/// Paintings in one request.
pub(super) const ITEMS: usize = 100;
/// How long ago something may have been painted, and for how long: a day, in milliseconds.
pub(super) const DAY: u64 = 86_400_000;

/// What a page painted since it said so last.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaintedBody {
    /// At most 100.
    items: Vec<PaintedItem>,
}

/// One stretch of time in which the same parts of one answer could be seen.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaintedItem {
    /// Made by the page: the same one is kept once, however often it is sent.
    id: Uuid,
    /// Of which image.
    image: Uuid,
    /// Whose answer: SHA-256 of the model's weights, as the result says it. What is not of the image's result is passed over.
    model_sha256: String,
    /// What could be seen: `flag` (in the list), `word`, `probability`, `heatmap`.
    visible: Vec<String>,
    /// How long ago it began, in milliseconds, when this was sent.
    ago_ms: u64,
    /// How long it lasted, in milliseconds.
    ms: u64,
}

/// What became of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Painted {
    /// How many of the items are on record. Images that are not known or have no result are passed over.
    kept: usize,
}

/// Says what was painted before a reader's eyes. Pages send it; of machines nothing is kept.
#[utoipa::path(post, path = "/v1/exposure", tag = "images", request_body = PaintedBody, responses(
    (status = 200, body = Painted),
    (status = 400, description = "Unknown words, or too many items.", content_type = "application/problem+json"),
))]
pub(crate) async fn painted(
    allowed: Allowed<need::ReadImages>,
    context: Data<Context>,
    body: Json<PaintedBody>,
) -> Result<Json<Painted>, Problem> {
    let items = body.into_inner().items;
    if items.len() > ITEMS {
        return Err(wrong("`items` takes at most 100."));
    }
    let now = context.clock.now();
    let reader = allowed.caller().who.id();
    let session = allowed.session().map(|session| session.0);
    let read =
        items.into_iter().map(|item| item.read(now).map(|(visible, at)| (item, visible, at)));
    let items = read.collect::<Result<Vec<_>, _>>()?;
    if matches!(allowed.caller().who, Who::Machine { .. }) {
        return Ok(Json(Painted { kept: 0 }));
    }
    let images: BTreeSet<ImageId> = items.iter().map(|(item, ..)| ImageId(item.image)).collect();
    let images = Vec::from_iter(images);
    let answers = context
        .ask_port(&context.exposures, move |port| async move { port.answers(&images).await })
        .await?;
    let mut exposures = Vec::new();
    for (item, visible, at) in items {
        let image = ImageId(item.image);
        let answered = answers.get(&image).filter(|answered| allowed.at(answered.site.as_deref()));
        // A page may tell late, when another model has answered.
        let answered = answered.filter(|known| known.answer.model_sha256 == item.model_sha256);
        let Some(answer) = answered.map(|answered| answered.answer.clone()) else { continue };
        let (id, source, millis) = (item.id, Source::Painted, item.ms);
        exposures.push(Exposure {
            id,
            image,
            reader,
            session,
            source,
            visible,
            answer,
            at,
            millis,
        });
    }
    let kept = exposures.len();
    context
        .ask_port(&context.exposures, move |port| async move { port.expose(&exposures).await })
        .await?;
    Ok(Json(Painted { kept }))
}

impl PaintedItem {
    fn read(&self, now: Stamp) -> Result<(Visible, Stamp), Problem> {
        if self.ago_ms > DAY || self.ms > self.ago_ms {
            return Err(wrong("`ago_ms` is a day at most, and `ms` no more than it."));
        }
        let parts = self.visible.iter().map(|word| Visible::parse(word));
        let visible = parts.collect::<Option<Vec<_>>>().filter(|parts| !parts.is_empty());
        let visible = visible.ok_or_else(|| {
            wrong("`visible` takes one or more of: flag, word, probability, heatmap.")
        })?;
        let visible = visible.into_iter().fold(Visible::NOTHING, |all, part| all | part);
        let micros = i64::try_from(self.ago_ms.saturating_mul(1_000)).unwrap_or(i64::MAX);
        Ok((visible, Stamp(now.0.saturating_sub(micros))))
    }
}

/// Which cases, and how exactly. An unknown parameter is an error.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportQuery {
    /// Only this site.
    site: Option<String>,
    /// Only first opinions from then on: `2026-03-01`, `2026-03-01T09:05:00Z`.
    since: Option<String>,
    /// Only first opinions before then.
    until: Option<String>,
    /// The name of the reader whose newest labels are right. Without it only changes are counted.
    adjudicator: Option<String>,
    /// `true`: numbers below five too, and sites where fewer than three people read.
    small: Option<bool>,
    /// `true`: a row for each person at each site. That it was asked for is recorded.
    by_person: Option<bool>,
}

/// How often a right first opinion turned wrong after the result was shown, and the reverse, by site. That it was asked
/// for is recorded.
#[utoipa::path(get, path = "/v1/exposure", tag = "people", params(ReportQuery), responses(
    (status = 200, description = "`sites`: figures by site; `with_truth`: whether anybody said what is right.", body = serde_json::Value),
    (status = 400, description = "A parameter has no valid value.", content_type = "application/problem+json"),
))]
pub(crate) async fn report(
    allowed: Allowed<need::ReadAudit>,
    context: Data<Context>,
    query: Query<ReportQuery>,
) -> Result<Json<Report>, Problem> {
    let ReportQuery { site, since, until, adjudicator, small, by_person } = query.into_inner();
    let scope =
        Scope { small: small.unwrap_or_default(), by_person: by_person.unwrap_or_default() };
    let question = Question {
        since: instant::given("since", since.as_deref())?,
        until: instant::given("until", until.as_deref())?,
        truth: adjudicator.map_or(Truth::Unknown, Truth::Reader),
        site,
        scope,
    };
    let mut asked = entry(&allowed, Action::ExposureRead, question.site.as_deref());
    asked.detail = question.detail();
    context.record(asked).await?;
    let report = context
        .ask_port(&context.exposures, move |port| async move { question.ask(&*port).await })
        .await?;
    Ok(Json(report))
}

fn wrong(detail: &str) -> Problem {
    Problem::new(Kind::BadParameter, detail)
}
