//! `POST /v1/predict`: one image, and the pipeline's own result on it in the answer.

use std::borrow::Cow;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::{Data, Json, Payload};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use futures::TryStreamExt as _;
use lobar_core::audit::Action;
use lobar_core::exposure::{Answer, Visible};
use lobar_core::image::{Image, Lane, State};
use lobar_core::object::ImageId;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep, timeout_at};
use utoipa::ToSchema;
use uuid::Uuid;

use super::receive::{Named, capped, lane, site_or, store, uploaded};
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::intake;
use crate::problem::{Kind, Problem};
use crate::statement::STATEMENT_OF_USE;

/// Site under which these images are stored.
const SITE: &str = "predict";
/// How often the store is asked when no event says anything.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// One image.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PredictBody<'a> {
    /// The file in base64 or base64url, with or without padding and a `data:` prefix.
    #[serde(borrow)]
    #[schema(value_type = String)]
    image: Cow<'a, str>,
    /// `stat` or `routine`.
    priority: Option<String>,
    /// Uploading site. Who may at one site only need not name it.
    site: Option<String>,
}

/// The file of a body, decoded.
pub(crate) struct PredictFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lane: Lane,
    site: Option<String>,
}

/// The network's answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PredictAnswer {
    /// `PNEUMONIA` or `NORMAL`; the latter only means "not flagged".
    #[schema(value_type = String, example = "PNEUMONIA")]
    predicted_label: &'static str,
    /// The network's score, 0 to 1. A probability only as far as the model's card shows that its calibration holds.
    probability_pneumonia: f64,
    #[serde(rename = "modelVersion")]
    model_version: String,
    /// The image's id, for its picture and heatmap.
    id: Uuid,
    /// What is to be known of the result, as codes and sentences: `age_unknown`, `low_resolution`, ….
    warnings: Vec<String>,
    /// What results are for.
    #[schema(value_type = String)]
    statement_of_use: &'static str,
}

/// Classifies one image through the whole pipeline, and waits for it.
#[utoipa::path(post, path = "/v1/predict", tag = "images", request_body = PredictBody, responses(
    (status = 200, body = PredictAnswer),
    (status = 400, description = "Not base64, or not the JSON expected.", content_type = "application/problem+json"),
    (status = 408, description = "The body stood still, or came too slowly.", content_type = "application/problem+json"),
    (status = 409, description = "The result is withheld until the caller has given their own opinion on the image `id`.", content_type = "application/problem+json"),
    (status = 415, description = "Not JSON, or compressed.", content_type = "application/problem+json"),
    (status = 422, description = "The image could not be assessed; `reason` says why.", content_type = "application/problem+json"),
    (status = 503, description = "No room for the body now; `Retry-After` says when to come back.", content_type = "application/problem+json"),
    (status = 504, description = "No result in time; `id` is still being worked on.", content_type = "application/problem+json"),
))]
pub(crate) async fn predict(
    allowed: Allowed<need::Predict>,
    context: Data<Context>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<PredictAnswer>, Problem> {
    if !is_json(&request) {
        return Err(Problem::new(Kind::WrongMediaType, "Send Content-Type: application/json."));
    }
    let payload = payload.into_inner().map_err(|error| intake::problem(&error));
    // The image's own limit is checked after decoding.
    let limit = context.settings.limits.max_bytes;
    let body = capped(payload, intake::largest_body(limit)).await?;
    let file = PredictBody::read(body.into(), limit)?;
    let site = site_or(&context, SITE, &allowed, file.site).await?;
    let deadline = Instant::now() + context.settings.predict_timeout;
    let id = store(&context, file.bytes.into(), &site, file.lane, Named::default()).await?.id();
    context.recorder.note_upload(uploaded(&allowed, Action::Predicted, id, &site))?;
    intake::let_go(&request);
    tracing::Span::current().record("image", tracing::field::display(id));
    match timeout_at(deadline, finished(&context, id)).await {
        Ok(image) => {
            let image = image?;
            if let Some(why) = context.withheld_of(&allowed, &image).await {
                return Err(why.problem().with("id", id.to_string()));
            }
            if let Some(finding) = &image.finding {
                context.sent.note(&allowed, id, Visible::RESULT, || Answer::from(finding))?;
            }
            answer(image)
        }
        Err(_) => {
            let seconds = context.settings.predict_timeout.as_secs_f64();
            let detail = format!("No result within {seconds} s; ask /v1/images/{id} later.");
            Err(Problem::new(Kind::TimedOut, detail).with("id", id.to_string()))
        }
    }
}

fn is_json(request: &HttpRequest) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || (essence.to_ascii_lowercase().starts_with("application/") && essence.ends_with("+json"))
}

impl PredictBody<'_> {
    /// The file in a body, of at most `limit` bytes, and its lane. Of a large body there is never a second copy: the text
    /// is moved to the front of its own memory, and decoded there.
    pub(crate) fn read(mut body: Vec<u8>, limit: usize) -> Result<PredictFile, Problem> {
        let parsed: PredictBody<'_> = crate::json::from_slice(&body)
            .map_err(|error| Problem::new(Kind::BadJson, error.to_string()))?;
        let (lane, site) = (lane(parsed.priority.as_deref())?, parsed.site);
        let text = match parsed.image {
            Cow::Borrowed(text) => {
                let start = text.as_ptr().addr() - body.as_ptr().addr();
                let len = text.len();
                body.copy_within(start..start + len, 0);
                body.truncate(len);
                body
            }
            // With escapes in it.
            Cow::Owned(text) => text.into_bytes(),
        };
        let bytes = decode(text)?;
        if bytes.len() > limit {
            return Err(Problem::new(Kind::TooLarge, format!("At most {limit} bytes, decoded.")));
        }
        Ok(PredictFile { bytes, lane, site })
    }
}

/// Decodes whatever its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Letters that are decoded at once: whole groups of four.
const LETTERS: usize = 4096;

/// Base64 as people send it: maybe a data URL, maybe with line breaks, of either alphabet (RFC 4648, 4 and 5), maybe
/// without padding. Decoded in the text's own memory.
fn decode(mut text: Vec<u8>) -> Result<Vec<u8>, Problem> {
    let wrong = |why: String| Problem::new(Kind::BadImage, format!("`image`: {why}."));
    let comma = text.starts_with(b"data:").then(|| text.iter().position(|byte| *byte == b','));
    let start = comma.flatten().map_or(0, |comma| comma + 1);
    let mut end = 0;
    for at in start..text.len() {
        let letter = match text[at] {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        };
        if !letter.is_ascii_whitespace() {
            text[end] = letter;
            end += 1;
        }
    }
    text.truncate(end);
    if text.iter().position(|byte| *byte == b'=').is_some_and(|padding| padding + 2 < text.len()) {
        return Err(wrong("Padding stands before the end".into()));
    }
    let (mut decoded, mut bytes) = (0, [0; LETTERS / 4 * 3]);
    for at in (0..text.len()).step_by(LETTERS) {
        let letters = &text[at..text.len().min(at + LETTERS)];
        let count =
            BASE64.decode_slice(letters, &mut bytes).map_err(|error| wrong(error.to_string()))?;
        text[decoded..decoded + count].copy_from_slice(&bytes[..count]);
        decoded += count;
    }
    text.truncate(decoded);
    Ok(text)
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
            warnings: finding.warnings,
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
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

    use super::*;

    fn decoded(text: &str) -> Result<Vec<u8>, Kind> {
        decode(text.as_bytes().to_vec()).map_err(|problem| problem.kind())
    }

    #[test]
    fn base64_is_read_with_a_data_prefix_and_line_breaks_and_garbage_is_refused() {
        assert_eq!(decoded("YWJj"), Ok(b"abc".to_vec()));
        assert_eq!(decoded("data:image/jpeg;base64,YW\nJj\r\n"), Ok(b"abc".to_vec()));
        for garbage in ["Y,W!", "Y", "=", "YQ==YQ==", "YW=j", "YWJj====", "data:image/png"] {
            assert_eq!(decoded(garbage), Err(Kind::BadImage), "{garbage}");
        }
    }

    #[test]
    fn base64_is_read_in_either_alphabet_with_padding_or_without_at_any_length() {
        let mut bytes: Vec<u8> = (0..=255).rev().cycle().take(3 * LETTERS + 2).collect();
        for _ in 0..6 {
            bytes.pop();
            for text in [
                STANDARD.encode(&bytes),
                STANDARD_NO_PAD.encode(&bytes),
                URL_SAFE.encode(&bytes),
                URL_SAFE_NO_PAD.encode(&bytes),
            ] {
                assert_eq!(decoded(&text).as_ref(), Ok(&bytes));
            }
        }
    }

    #[test]
    fn a_text_with_escapes_is_read_as_one_without() {
        for body in
            [r#"{"image":"Pz8/"}"#, r#"{"image":"Pz8\/"}"#, r#"{"priority":null,"image":"Pz8_"}"#]
        {
            let bytes = PredictBody::read(body.into(), 3).expect("read").bytes;
            assert_eq!(bytes, b"???");
            assert_eq!(
                PredictBody::read(body.into(), 2).err().expect("refused").kind(),
                Kind::TooLarge
            );
        }
    }
}
