//! `--watch`: results as they arrive.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use eventsource_stream::Eventsource;
use futures::StreamExt;
use lobar_console::outln;
use lobar_core::object::ImageId;
use serde_json::Value;

use super::client::Client;
use crate::error::UploadError;

/// How long to wait before asking again after a connection broke, and between looks at images
/// whose events may have passed before the stream was open.
const PAUSE: Duration = Duration::from_secs(2);

/// Follows the event stream, open since before the first upload.
pub(crate) struct Watcher {
    client: Arc<Client>,
    stream: reqwest::Response,
}

impl Watcher {
    /// Opens the stream.
    pub(crate) async fn connect(client: Arc<Client>) -> Result<Self, UploadError> {
        let stream = client.events().await.map_err(UploadError::failed)?;
        Ok(Self { client, stream })
    }

    /// Prints a line for each image once its work has ended, and returns when all have.
    pub(crate) async fn follow(self, images: Vec<(ImageId, PathBuf)>) -> Result<(), UploadError> {
        let mut pending: HashMap<ImageId, PathBuf> = images.into_iter().collect();
        // Those that ended while others were still being uploaded, or before this run.
        self.look(&mut pending).await;
        let mut stream = Some(self.stream.bytes_stream().eventsource());
        let client = self.client;
        while !pending.is_empty() {
            let Some(events) = &mut stream else {
                tokio::time::sleep(PAUSE).await;
                if let Ok(response) = client.events().await {
                    stream = Some(response.bytes_stream().eventsource());
                }
                look(&client, &mut pending).await;
                continue;
            };
            match events.next().await {
                Some(Ok(event)) if event.event == "image" => {
                    let id = serde_json::from_str::<Value>(&event.data).ok();
                    let id = id.and_then(|v| v["id"].as_str()?.parse::<ImageId>().ok());
                    if let Some(id) = id.filter(|id| pending.contains_key(id)) {
                        look_at(&client, &mut pending, id).await;
                    }
                }
                Some(Ok(_)) => look(&client, &mut pending).await,
                Some(Err(_)) | None => stream = None,
            }
        }
        Ok(())
    }

    async fn look(&self, pending: &mut HashMap<ImageId, PathBuf>) {
        look(&self.client, pending).await;
    }
}

async fn look(client: &Client, pending: &mut HashMap<ImageId, PathBuf>) {
    for id in pending.keys().copied().collect::<Vec<_>>() {
        look_at(client, pending, id).await;
    }
}

async fn look_at(client: &Client, pending: &mut HashMap<ImageId, PathBuf>, id: ImageId) {
    if let Ok(Some(image)) = client.image(id).await
        && !matches!(image["status"].as_str(), Some("queued" | "analysing") | None)
        && let Some(path) = pending.remove(&id)
    {
        outln!("{}\t{}", verdict(&image), path.display());
    }
}

/// The doctor's words: never "normal", never a diagnosis.
pub fn verdict(image: &Value) -> String {
    let result = &image["result"];
    match image["status"].as_str() {
        // A result that says nothing is none: it must not look negative.
        Some("ready") if result["flagged"].is_boolean() && result["probability"].is_number() => {
            // Not a percentage: nothing here says that the model's calibration holds.
            let score = result["probability"].as_f64().unwrap_or(f64::NAN);
            let word =
                if result["flagged"] == true { "Suspected pneumonia" } else { "Not flagged" };
            let warnings = result["warnings"].as_array();
            let ageless =
                warnings.is_some_and(|said| said.iter().any(|code| code == "age_unknown"));
            let more = if ageless { "\tage unknown: it may be outside the model's" } else { "" };
            // A score alone, beside "not flagged", would read as confidence in that.
            let against = result["threshold"].as_f64();
            let against = against.map_or_else(String::new, |at| format!(", threshold {at:.3}"));
            format!("{word}\tscore {score:.3}{against}{more}")
        }
        Some("superseded") => "Superseded by a newer upload".into(),
        Some("removed") => "Removed from the bucket".into(),
        Some("ready") => "Indeterminate: there is no usable result".into(),
        _ => format!("Not assessed: {}", image["reason_text"].as_str().unwrap_or("unknown reason")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::verdict;

    #[test]
    fn a_failure_never_reads_like_a_negative() {
        for status in ["needs_human", "failed", "something new"] {
            let text = verdict(&json!({ "status": status, "reason_text": "The file is damaged." }));
            assert!(text.starts_with("Not assessed"), "{text}");
        }
        for result in [json!(null), json!({ "flagged": false }), json!({ "probability": 0.1 })] {
            let text = verdict(&json!({ "status": "ready", "result": result }));
            assert!(text.starts_with("Indeterminate"), "{text}");
        }
    }

    #[test]
    fn a_result_is_a_word_and_a_score_and_no_percentage() {
        let image =
            json!({ "status": "ready", "result": { "flagged": true, "probability": 0.917 } });
        assert_eq!(verdict(&image), "Suspected pneumonia\tscore 0.917");
        let result = json!({ "flagged": false, "probability": 0.677, "threshold": 0.859 });
        let text = verdict(&json!({ "status": "ready", "result": result }));
        assert_eq!(text, "Not flagged\tscore 0.677, threshold 0.859");
        let result = json!({ "flagged": false, "probability": 0.1, "warnings": ["age_unknown"] });
        let text = verdict(&json!({ "status": "ready", "result": result }));
        assert!(text.ends_with("age unknown: it may be outside the model's"), "{text}");
    }
}
