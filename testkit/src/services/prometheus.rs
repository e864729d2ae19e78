//! Prometheus, scraping what a test runs.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Server, free_port};
use crate::workspace;

/// How long it may take until it answers, or until a scrape is there.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Prometheus with the rules of `ops/prometheus`, scraping every second. Ended when dropped.
pub struct Prometheus {
    server: Server,
    http: reqwest::Client,
    base: String,
}

impl Prometheus {
    /// Starts it on `targets`, each a job name and the URL that its process answers on.
    pub async fn scraping(targets: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let jobs: String = targets
            .iter()
            .map(|(job, url)| {
                let host = url.trim_start_matches("http://").trim_end_matches('/');
                format!("  - job_name: {job}\n    static_configs: [{{ targets: [\"{host}\"] }}]\n")
            })
            .collect();
        let rules = workspace().join("ops/prometheus/rules.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             rule_files: [\"{}\"]\nscrape_configs:\n{jobs}",
            rules.display()
        );
        std::fs::write(folder.join("prometheus.yml"), text).expect("written");
        let listen = format!("127.0.0.1:{}", free_port());
        let flag = |name: &str, value: &dyn std::fmt::Display| format!("--{name}={value}");
        let arguments = [
            flag("config.file", &folder.join("prometheus.yml").display()),
            flag("storage.tsdb.path", &folder.join("tsdb").display()),
            flag("web.listen-address", &listen),
            // As in ops/compose: the alerts' pages.
            flag("web.user-assets", &workspace().join("docs").display()),
            flag("log.level", &"warn"),
        ];
        let command: Vec<&str> =
            ["prometheus"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
        // Another test of this process may have chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = Server::new(folder, &command, &[]);
        server.start();
        let prometheus =
            Self { server, http: reqwest::Client::new(), base: format!("http://{listen}") };
        prometheus.until("it answers", async |it| it.get("/-/ready", &[]).await.is_some()).await;
        prometheus
    }

    /// What an instant query finds: one element a series, each with `metric` and `value`. Fails with
    /// Prometheus's own words when it does not understand the query.
    pub async fn query(&self, query: &str) -> Vec<Value> {
        let answer = self.get("/api/v1/query", &[("query", query)]).await.expect("answers");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["status"], "success", "{query}: {}", answer["error"]);
        match answer["data"]["resultType"].as_str() {
            Some("vector") => answer["data"]["result"].as_array().expect("a list").clone(),
            other => panic!("{query}: a result of type {other:?}, not a vector"),
        }
    }

    /// The names of all metrics that were scraped.
    pub async fn names(&self) -> Vec<String> {
        let answer = self.get("/api/v1/label/__name__/values", &[]).await.expect("answers");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let names = answer["data"].as_array().expect("a list").iter();
        names.map(|name| name.as_str().expect("text").to_owned()).collect()
    }

    /// What it answers at a path of its own.
    pub async fn page(&self, path: &str) -> Option<String> {
        self.get(path, &[]).await
    }

    /// Waits until `condition` holds.
    pub async fn until(&self, what: &str, condition: impl AsyncFn(&Self) -> bool) {
        let began = Instant::now();
        while !condition(self).await {
            assert!(began.elapsed() < PATIENCE, "not in time: {what}; {}", self.server.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<String> {
        let mut url = reqwest::Url::parse(&format!("{}{path}", self.base)).expect("a URL");
        url.query_pairs_mut().extend_pairs(query);
        let answer = self.http.get(url).send().await.ok()?;
        // A query that is wrong is answered with 400 and the reason.
        let status = answer.status().as_u16();
        [200, 400, 422].contains(&status).then_some(())?;
        answer.text().await.ok()
    }
}
