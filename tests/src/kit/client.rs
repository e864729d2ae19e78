//! The API as a client sees it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use eventsource_stream::Eventsource;
use futures::StreamExt;
use serde_json::Value;

/// How long anything may take on a busy machine before a test gives up.
const PATIENCE: Duration = Duration::from_secs(240);

/// How long one answer may take: who asks again and again must not hang on one that never comes.
const ANSWER: Duration = Duration::from_secs(30);

/// How long a stream that replays stored events may pause before it counts as read to its end.
const SILENCE: Duration = Duration::from_secs(3);

/// GET: the status and the text of whatever is answered; `None` while nobody answers.
pub async fn answer(url: &str) -> Option<(u16, String)> {
    // Another test of this process may have chosen it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(ANSWER).build().ok()?;
    let answer = client.get(url).send().await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.ok()?))
}

/// A client of one server.
pub struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    /// A client of the page at `base`.
    pub fn new(base: &str) -> Self {
        // Another test of this process may have chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { http: reqwest::Client::new(), base: base.to_owned() }
    }

    /// GET, as JSON.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await.expect("answers");
        assert!(answer.status().is_success(), "GET {path}: {}", answer.status());
        answer.json().await.expect("JSON")
    }

    /// A metric without labels; `None` when there is none of this name.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let answer = self.http.get(format!("{}/metrics", self.base)).send().await.expect("answers");
        let text = answer.text().await.expect("text");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map(|value| value.parse().expect("a number"))
    }

    /// GET, as JSON; `None` while the server is away or cannot answer.
    pub async fn try_get(&self, path: &str) -> Option<Value> {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }

    /// Every image, page by page.
    pub async fn images(&self) -> Vec<Value> {
        let mut images = Vec::new();
        let mut path = "/v1/images?limit=50".to_owned();
        loop {
            let page = self.get(&path).await;
            images.extend(page["items"].as_array().expect("items").iter().cloned());
            match page["next"].as_str() {
                Some(next) => path = format!("/v1/images?limit=50&after={next}"),
                None => return images,
            }
        }
    }

    /// Waits until `count` images exist and work on all has ended.
    pub async fn settled(&self, count: usize) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let images = self.images().await;
            let open = images.iter().filter(|i| is_open(&i["status"])).count();
            if images.len() >= count && open == 0 {
                assert_eq!(images.len(), count);
                // While images arrive, a page and its total are of two moments.
                let total = self.get("/v1/images?limit=1").await["total"].clone();
                assert_eq!(total, count, "the total is exact");
                return images;
            }
            let seen = images.len();
            assert!(began.elapsed() < PATIENCE, "{seen} of {count} images, {open} unfinished");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The event stream from the beginning until it falls silent: each image's terminal states.
    pub async fn endings(&self) -> HashMap<String, Vec<String>> {
        let url = format!("{}/v1/events?after=0", self.base);
        let answer = self.http.get(url).send().await.expect("answers");
        let mut events = answer.bytes_stream().eventsource();
        let mut endings: HashMap<String, Vec<String>> = HashMap::new();
        let mut seen = 0;
        while let Ok(event) = tokio::time::timeout(SILENCE, events.next()).await {
            let event = event.expect("an open stream").expect("readable");
            if event.event != "image" {
                continue;
            }
            let seq: i64 = event.id.parse().expect("a sequence number");
            assert!(seq > seen, "event {seq} came after {seen}");
            seen = seq;
            let data: Value = serde_json::from_str(&event.data).expect("JSON");
            if !is_open(&data["status"]) {
                let id = data["id"].as_str().expect("an id").to_owned();
                endings
                    .entry(id)
                    .or_default()
                    .push(data["status"].as_str().expect("a word").into());
            }
        }
        endings
    }
}

fn is_open(status: &Value) -> bool {
    ["queued", "analysing"].contains(&status.as_str().expect("a status"))
}
