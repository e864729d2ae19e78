//! MLflow's tracking server, private to a test.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Server, free_port};
use crate::python_program;

/// It migrates its database at its first start.
const START: Duration = Duration::from_secs(300);

/// A server with nothing in it. Ended when dropped.
pub struct Mlflow {
    server: Server,
    http: reqwest::Client,
    /// Its address.
    pub url: String,
}

impl Mlflow {
    /// Starts one.
    pub async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder").keep();
        let executable = python_program("mlflow");
        let (executable, port) = (executable.display().to_string(), free_port().to_string());
        let database = format!("sqlite:///{}/mlflow.db", folder.display());
        let files = folder.join("files").display().to_string();
        let command = [
            executable.as_str(),
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            &port,
            "--workers",
            "1",
            "--backend-store-uri",
            &database,
            "--artifacts-destination",
            &files,
        ];
        let quiet = [("MLFLOW_DISABLE_TELEMETRY", "true"), ("DO_NOT_TRACK", "true")];
        let server = Server::new(folder, &command, &quiet);
        server.start();
        let url = format!("http://127.0.0.1:{port}");
        // It closes connections that have been idle for a moment.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().expect("a client");
        let mlflow = Self { server, http, url };
        let began = Instant::now();
        while mlflow.http.get(format!("{}/health", mlflow.url)).send().await.is_err() {
            assert!(began.elapsed() < START, "no MLflow; its log:\n{}", mlflow.server.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        mlflow
    }

    /// The runs of the experiment of this name.
    pub async fn runs(&self, experiment: &str) -> Vec<Value> {
        let found = self.get("experiments/get-by-name", &[("experiment_name", experiment)]).await;
        let id = found["experiment"]["experiment_id"].as_str().expect("an experiment").to_owned();
        let url = format!("{}/api/2.0/mlflow/runs/search", self.url);
        let asked = self.http.post(url).json(&json!({ "experiment_ids": [id] })).send().await;
        let found: Value = asked.expect("answers").json().await.expect("JSON");
        found["runs"].as_array().cloned().unwrap_or_default()
    }

    /// All values of a figure of a run, by step.
    pub async fn history(&self, run: &str, metric: &str) -> Vec<f64> {
        let query = [("run_id", run), ("metric_key", metric)];
        let found = self.get("metrics/get-history", &query).await;
        let values = found["metrics"].as_array().expect("a list").iter();
        values.map(|metric| metric["value"].as_f64().expect("a number")).collect()
    }

    /// The names of a run's files.
    pub async fn files(&self, run: &str) -> Vec<String> {
        let found = self.get("artifacts/list", &[("run_id", run)]).await;
        let files = found["files"].as_array().cloned().unwrap_or_default();
        files.iter().map(|file| file["path"].as_str().expect("a path").to_owned()).collect()
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let url = format!("{}/api/2.0/mlflow/{path}", self.url);
        let asked = self.http.get(url).query(query).send().await.expect("answers");
        asked.json().await.expect("JSON")
    }
}
