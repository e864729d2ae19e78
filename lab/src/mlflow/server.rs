//! MLflow's REST API 2.0 (<https://mlflow.org/docs/latest/api_reference/rest-api.html>), as far as a run
//! needs it.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lobar_core::failure::chain;
use lobar_model::card::Metrics;
use reqwest::{RequestBuilder, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::LabError;
use crate::training::RunRecord;

/// Files of a run's folder that are kept as its artifacts, where they are there.
const ARTIFACTS: [&str; 4] = ["run.json", "evaluation.json", "model-card.md", "report.html"];
/// What the server takes in one call.
const METRICS_A_CALL: usize = 1000;
/// The longest value of a parameter.
const LONGEST: usize = 6000;

/// One figure at one step.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Metric {
    key: String,
    value: f64,
    timestamp: i64,
    step: i64,
}

impl Metric {
    /// A figure of now.
    pub(crate) fn new(name: &str, value: f64, step: i64) -> Self {
        Self { key: name.to_owned(), value, timestamp: now(), step }
    }
}

/// One MLflow server.
pub(crate) struct Server {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Server {
    /// The server at `url`. Nothing is asked of it yet.
    pub(crate) fn new(url: &str, token: Option<String>) -> Result<Self, LabError> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(LabError::usage(format!(
                "--mlflow is {url:?}; it must be the http or https URL of an MLflow server"
            )));
        }
        // Chosen here, once: reqwest is built without a provider of its own.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(60))
            // The server closes connections that are idle between epochs.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|e| LabError::failed(chain(&e)))?;
        Ok(Self { http, base: url.trim_end_matches('/').to_owned(), token })
    }

    /// A new run of an experiment; its number.
    pub(crate) async fn begin(
        &self,
        experiment: &str,
        name: &str,
        record: &RunRecord,
    ) -> Result<String, String> {
        let tag = |key: &str, value: &str| json!({ "key": key, "value": value });
        let mut tags = vec![
            tag("mlflow.source.name", "lobar train"),
            tag("mlflow.source.type", "LOCAL"),
            tag("lobar.version", &record.program),
            tag("lobar.data_sha256", &record.data_sha256),
        ];
        tags.extend(record.revision.as_deref().map(|sha| tag("mlflow.source.git.commit", sha)));
        let made = self
            .post(
                "runs/create",
                &json!({
                    "experiment_id": self.experiment(experiment).await?,
                    "run_name": name,
                    "start_time": now(),
                    "tags": tags,
                }),
            )
            .await?;
        let run = made["run"]["info"]["run_id"].as_str().ok_or("it gave no run")?.to_owned();
        let mut params: Vec<Value> = Vec::new();
        for (key, value) in &record.settings {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let text: String = text.chars().take(LONGEST).collect();
            params.push(json!({ "key": key, "value": text }));
        }
        for (key, value) in [("train_images", record.train), ("val_images", record.validation)] {
            params.push(json!({ "key": key, "value": value.to_string() }));
        }
        self.post("runs/log-batch", &json!({ "run_id": run, "params": params })).await?;
        Ok(run)
    }

    /// A run that was interrupted goes on.
    pub(crate) async fn reopen(&self, run: &str) -> Result<(), String> {
        self.post("runs/update", &json!({ "run_id": run, "status": "RUNNING" })).await.map(drop)
    }

    /// Adds figures to a run.
    pub(crate) async fn log(&self, run: &str, metrics: &[Metric]) -> Result<(), String> {
        for metrics in metrics.chunks(METRICS_A_CALL) {
            self.post("runs/log-batch", &json!({ "run_id": run, "metrics": metrics })).await?;
        }
        Ok(())
    }

    /// Logs what came of a run, its files, and that it is over.
    pub(crate) async fn finish(
        &self,
        run: &str,
        folder: &Path,
        record: &RunRecord,
    ) -> Result<(), String> {
        let status = if let Some(result) = &record.result {
            let step = record.epochs.len() as i64;
            let splits = [("final_val", &result.on_validation), ("test", &result.on_test)];
            let figures =
                splits.into_iter().filter_map(|(split, found)| Some((split, found.as_ref()?)));
            let figures: Vec<Metric> =
                figures.flat_map(|(split, found)| of_split(split, found, step)).collect();
            self.log(run, &figures).await?;
            let tags = json!([{ "key": "lobar.model_version", "value": result.version }]);
            self.post("runs/log-batch", &json!({ "run_id": run, "tags": tags })).await?;
            "FINISHED"
        } else {
            "FAILED"
        };
        for name in ARTIFACTS {
            if let Ok(body) = std::fs::read(folder.join(name)) {
                self.keep(run, name, body).await?;
            }
        }
        let end = json!({ "run_id": run, "status": status, "end_time": now() });
        self.post("runs/update", &end).await.map(drop)
    }

    /// The number of the experiment of this name, made if absent.
    async fn experiment(&self, name: &str) -> Result<String, String> {
        let url = format!("{}/api/2.0/mlflow/experiments/get-by-name", self.base);
        let found = self.sent(self.http.get(url).query(&[("experiment_name", name)])).await?;
        let (found, field) = match found {
            Some(found) => (found, "/experiment/experiment_id"),
            None => {
                (self.post("experiments/create", &json!({ "name": name })).await?, "/experiment_id")
            }
        };
        let id = found.pointer(field).and_then(Value::as_str);
        id.map(str::to_owned).ok_or_else(|| "it gave no experiment".to_owned())
    }

    /// Keeps a file beside a run, through the server's own artifact proxy; a server that has none keeps
    /// none.
    async fn keep(&self, run: &str, name: &str, body: Vec<u8>) -> Result<(), String> {
        let asked = self
            .http
            .get(format!("{}/api/2.0/mlflow/runs/get", self.base))
            .query(&[("run_id", run)]);
        let found = self.sent(asked).await?.unwrap_or_default();
        let place = found["run"]["info"]["artifact_uri"].as_str().unwrap_or_default();
        let Some(path) = place.strip_prefix("mlflow-artifacts:/") else { return Ok(()) };
        let path = path.trim_start_matches('/');
        let url = format!("{}/api/2.0/mlflow-artifacts/artifacts/{path}/{name}", self.base);
        self.sent(self.http.put(url).body(body)).await.map(drop)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let url = format!("{}/api/2.0/mlflow/{path}", self.base);
        let answer = self.sent(self.http.post(url).json(body)).await?;
        answer.ok_or_else(|| format!("{path}: not found"))
    }

    /// The answer's JSON; `None` when what was asked for does not exist.
    async fn sent(&self, request: RequestBuilder) -> Result<Option<Value>, String> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer = request.send().await.map_err(|error| chain(&error))?;
        let status = answer.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let text = answer.text().await.map_err(|error| chain(&error))?;
        if !status.is_success() {
            let told: String = text.chars().take(300).collect();
            return Err(format!("it answered {status}: {told}"));
        }
        Ok(Some(serde_json::from_str(&text).unwrap_or_default()))
    }
}

/// The figures of one split.
fn of_split(split: &str, found: &Metrics, step: i64) -> Vec<Metric> {
    let mut figures = vec![
        ("auc", Some(found.auc)),
        ("accuracy", Some(found.accuracy)),
        ("sensitivity", Some(found.sensitivity)),
        ("specificity", Some(found.specificity)),
    ];
    for name in ["calibration_error", "brier", "subtype_auc"] {
        figures.push((name, found.more.get(name).and_then(Value::as_f64)));
    }
    let metric = |(name, value): (&str, Option<f64>)| {
        value.map(|value| Metric::new(&format!("{split}_{name}"), value, step))
    };
    figures.into_iter().filter_map(metric).collect()
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
