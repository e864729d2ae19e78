//! `POST /v1/predict`: one image, and the pipeline's own result on it in the answer.

use std::time::Duration;

use actix_web::web::{Data, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lobar_core::image::{Image, Lane, State};
use lobar_core::object::ImageId;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep, timeout_at};
use utoipa::ToSchema;
use uuid::Uuid;

use super::receive::{lane, store};
use crate::context::Context;
use crate::problem::{Kind, Problem};
use crate::statement::STATEMENT_OF_USE;

/// The largest body that is read at all: 64 MiB in base64, and the JSON around it. The image's own
/// limit is checked after decoding.
pub(super) const BODY_MAX: usize = (64 << 20) / 3 * 4 + (1 << 20);
/// Site under which these images are stored.
const SITE: &str = "predict";
/// How often the store is asked when no event says anything.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// One image.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PredictBody {
    /// The file in base64, with or without a `data:` prefix.
    image: String,
    /// `stat` or `routine`.
    priority: Option<String>,
}

/// The network's answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PredictAnswer {
    /// `PNEUMONIA` or `NORMAL`; the latter only means "not flagged".
    #[schema(value_type = String, example = "PNEUMONIA")]
    predicted_label: &'static str,
    /// Calibrated, 0 to 1.
    probability_pneumonia: f64,
    #[serde(rename = "modelVersion")]
    model_version: String,
    /// The image's id, for its picture and heatmap.
    id: Uuid,
    /// What results are for.
    #[schema(value_type = String)]
    statement_of_use: &'static str,
}

/// Classifies one image through the whole pipeline, and waits for it.
#[utoipa::path(post, path = "/v1/predict", tag = "images", request_body = PredictBody, responses(
    (status = 200, body = PredictAnswer),
    (status = 400, description = "Not base64, or not the JSON expected.", content_type = "application/problem+json"),
    (status = 422, description = "The image could not be assessed; `reason` says why.", content_type = "application/problem+json"),
    (status = 504, description = "No result in time; `id` is still being worked on.", content_type = "application/problem+json"),
))]
pub(crate) async fn predict(
    context: Data<Context>,
    body: Json<PredictBody>,
) -> Result<Json<PredictAnswer>, Problem> {
    let (bytes, lane) = body.into_inner().read(context.settings.limits.max_bytes)?;
    let deadline = Instant::now() + context.settings.predict_timeout;
    let id = store(&context, bytes.into(), SITE, lane, "").await?.id();
    tracing::Span::current().record("image", tracing::field::display(id));
    match timeout_at(deadline, finished(&context, id)).await {
        Ok(image) => answer(image?),
        Err(_) => {
            let seconds = context.settings.predict_timeout.as_secs_f64();
            let detail = format!("No result within {seconds} s; ask /v1/images/{id} later.");
            Err(Problem::new(Kind::TimedOut, detail).with("id", id.to_string()))
        }
    }
}

impl PredictBody {
    /// The file, of at most `limit` bytes, and its lane.
    pub(crate) fn read(self, limit: usize) -> Result<(Vec<u8>, Lane), Problem> {
        let lane = lane(self.priority.as_deref())?;
        let bytes = decode(&self.image)?;
        if bytes.len() > limit {
            return Err(Problem::new(Kind::TooLarge, format!("At most {limit} bytes, decoded.")));
        }
        Ok((bytes, lane))
    }
}

/// Base64 as people send it: maybe a data URL, maybe with line breaks.
fn decode(text: &str) -> Result<Vec<u8>, Problem> {
    let text = match text.split_once(',') {
        Some((head, rest)) if head.starts_with("data:") => rest,
        _ => text,
    };
    let text: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(text);
    bytes.map_err(|error| Problem::new(Kind::BadImage, format!("`image`: {error}.")))
}

/// The image once it has reached a terminal state.
async fn finished(context: &Context, id: ImageId) -> Result<Image, Problem> {
    let mut batches = context.hub.subscribe();
    loop {
        let image = context.ask(move |store| async move { store.image(id).await }).await?;
        if let Some(image) = image.filter(|image| image.state.is_terminal()) {
            return Ok(image);
        }
        let news = async {
            loop {
                match batches.recv().await {
                    Ok(batch) if !batch.concerns(id) => {}
                    Ok(_) | Err(RecvError::Lagged(_) | RecvError::Closed) => return,
                }
            }
        };
        tokio::select! {
            () = news => {}
            () = sleep(ASK_AGAIN) => {}
            () = context.hub.stop.cancelled() => {
                let detail = format!("The image is kept; ask /v1/images/{id} later.");
                return Err(Problem::new(Kind::Stopping, detail).with("id", id.to_string()));
            }
        }
    }
}

fn answer(image: Image) -> Result<Json<PredictAnswer>, Problem> {
    let id = image.id.0;
    match image.finding {
        Some(finding) if image.state == State::Ready => Ok(Json(PredictAnswer {
            predicted_label: finding.label.word(),
            probability_pneumonia: finding.probability,
            model_version: finding.model.version,
            id,
            statement_of_use: STATEMENT_OF_USE,
        })),
        _ => {
            let text = image.reason.map_or("It was replaced or deleted meanwhile.", |r| r.text());
            let problem = Problem::new(Kind::NotAssessed, text)
                .with("id", id.to_string())
                .with("image_status", image.state.as_str())
                .with("reason", image.reason.map(|reason| reason.code()));
            Err(problem.with("reason_detail", image.detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_with_a_data_prefix_and_line_breaks_and_garbage_is_refused() {
        assert_eq!(decode("YWJj").expect("valid"), b"abc");
        assert_eq!(decode("data:image/jpeg;base64,YW\nJj\r\n").expect("valid"), b"abc");
        assert_eq!(decode("Y,W!").expect_err("refused").kind(), Kind::BadImage);
    }
}
