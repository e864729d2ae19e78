//! A page that follows the event stream through everything: it resumes where it was.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use eventsource_stream::Eventsource;
use futures::StreamExt;
use lobar_core::position::Position;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// How long anything may take on a busy machine before a test gives up.
const PATIENCE: Duration = Duration::from_secs(240);

/// One event as the page got it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The event's number.
    pub seq: i64,
    /// Which image.
    pub image: String,
    /// Its state.
    pub status: String,
    /// When it arrived.
    pub at: Instant,
}

/// A connected page. Stops when dropped.
pub struct Follower {
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: CancellationToken,
}

impl Follower {
    /// Follows `page` from the beginning. A reset is a fault: history is not gone.
    pub fn follow(page: &str) -> Self {
        Self::begin(page, false)
    }

    /// The same, and begins anew at a reset, as pages do: what was seen before is forgotten.
    pub fn follow_through_resets(page: &str) -> Self {
        Self::begin(page, true)
    }

    fn begin(page: &str, bears_reset: bool) -> Self {
        // Another test of this process may have chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let stop = CancellationToken::new();
        let following = follow(format!("{page}/v1/events"), seen.clone(), bears_reset);
        let stopped = stop.clone();
        tokio::spawn(async move { stopped.run_until_cancelled(following).await });
        Self { seen, stop }
    }

    /// Everything so far, in the order of arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until results of so many images were shown.
    pub async fn until_results(&self, count: usize) {
        let began = Instant::now();
        while self.results().len() < count {
            let shown = self.results().len();
            assert!(began.elapsed() < PATIENCE, "{shown} of {count} results were shown");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Each image's results, or reasons for none, in order.
    pub fn results(&self) -> HashMap<String, Vec<Seen>> {
        let mut results: HashMap<String, Vec<Seen>> = HashMap::new();
        for one in self.seen() {
            if ["ready", "needs_human", "failed"].contains(&one.status.as_str()) {
                results.entry(one.image.clone()).or_default().push(one);
            }
        }
        results
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn follow(url: String, seen: Arc<Mutex<Vec<Seen>>>, bears_reset: bool) {
    let http = reqwest::Client::builder().read_timeout(Duration::from_secs(40)).build();
    let http = http.expect("a client");
    let mut last = 0;
    loop {
        let asked = http.get(&url).query(&[("after", last)]).send().await;
        if let Ok(answer) = asked.and_then(reqwest::Response::error_for_status) {
            let mut events = answer.bytes_stream().eventsource();
            while let Some(Ok(event)) = events.next().await {
                if event.event == "reset" {
                    assert!(bears_reset, "history is not gone");
                    seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    last = 0;
                    break;
                }
                if event.event != "image" {
                    continue;
                }
                let position: i64 = event.id.parse().expect("a number");
                assert!(position > last, "event {position} came after {last}");
                last = position;
                let seq = Position::from_number(position).seq().0;
                let data: Value = serde_json::from_str(&event.data).expect("JSON");
                let word = |name: &str| data[name].as_str().expect("a word").to_owned();
                let (image, status) = (word("id"), word("status"));
                let one = Seen { seq, image, status, at: Instant::now() };
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(one);
            }
        }
        // The server is away or has ended the stream; a page comes back after a moment.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
