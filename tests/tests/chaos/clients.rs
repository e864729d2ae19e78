//! Clients that know nothing of the inside: they upload, subscribe and list, through everything.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::Client as S3;
use aws_sdk_s3::primitives::ByteStream;
use eventsource_stream::Eventsource;
use futures::StreamExt;
use lobar_core::object::ObjectVersion;
use lobar_tests::aws::s3_client;
use serde_json::Value;
use tokio::time::sleep;

use super::bucket::Bucket;
use super::invariants::{Item, Reading, Stream, Told, Violation};
use super::plan::{Act, File, Plan};
use super::system::System;

/// After this much silence a client takes its connection for dead: the api speaks every 15 s.
const SILENCE: Duration = Duration::from_secs(20);
/// Before a client tries again.
const PAUSE: Duration = Duration::from_millis(300);

/// The id of the image that a version of an object becomes.
pub(crate) fn image_id(bucket: &str, key: &str, version: &str) -> String {
    let object = ObjectVersion {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version: Some(version.to_owned()),
        etag: None,
        sequencer: None,
        size: None,
    };
    object.id().to_string()
}

/// Does what a site's plan says, in order, and keeps what was acknowledged.
pub(crate) async fn upload(
    system: Arc<System>,
    plan: Plan,
    files: Arc<Vec<File>>,
    kept: Arc<Mutex<Bucket>>,
) {
    let s3 = s3_client(&system.uploads_url());
    let bucket = system.bucket.as_str();
    let mut markers: Vec<Option<String>> = vec![None; plan.keys.len()];
    for step in plan.steps {
        sleep(step.pause).await;
        match step.act {
            Act::Put { key, file } => {
                let (key, file) = (&plan.keys[key], &files[file]);
                let version = put(&s3, bucket, key, &file.bytes).await;
                let image = image_id(bucket, key, &version);
                lock(&kept).put(key, image, file.reason);
            }
            Act::Delete { key } => {
                let _up = system.amazon_up.read().await;
                let delete = s3.delete_object().bucket(bucket).key(&plan.keys[key]);
                let deleted = delete.send().await.expect("this way has no faults");
                markers[key] = deleted.version_id().map(str::to_owned);
                lock(&kept).deleted(&plan.keys[key]);
            }
            Act::Restore { key } => {
                let _up = system.amazon_up.read().await;
                let delete = s3.delete_object().bucket(bucket).key(&plan.keys[key]);
                let delete = delete.set_version_id(markers[key].take());
                delete.send().await.expect("this way has no faults");
                lock(&kept).restored(&plan.keys[key]);
            }
        }
    }
}

/// PUTs until it is acknowledged.
async fn put(s3: &S3, bucket: &str, key: &str, bytes: &[u8]) -> String {
    loop {
        let body = ByteStream::from(bytes.to_vec());
        match s3.put_object().bucket(bucket).key(key).body(body).send().await {
            Ok(done) => return done.version_id().expect("a bucket with versions").to_owned(),
            Err(_) => sleep(PAUSE).await,
        }
    }
}

pub(crate) fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn http() -> reqwest::Client {
    // Another test of this process may have chosen it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().read_timeout(SILENCE);
    client.build().expect("a client")
}

/// The page of one site: follows all events, and looks at its own images.
pub(crate) struct Subscriber {
    pub(crate) site: &'static str,
    pub(crate) told: Arc<Mutex<Vec<Told>>>,
    pub(crate) readings: Arc<Mutex<Vec<Reading>>>,
}

impl Subscriber {
    /// Follows for ever; comes back with the last event that it was told of.
    pub(crate) async fn follow(&self, system: &System) {
        let (http, url) = (http(), format!("{}/v1/events", system.url()));
        let mut stream = Stream::default();
        loop {
            let ask = http.get(&url).header("last-event-id", stream.last());
            if let Ok(answer) = ask.send().await.and_then(reqwest::Response::error_for_status) {
                let mut events = answer.bytes_stream().eventsource();
                while let Some(Ok(event)) = events.next().await {
                    match event.event.as_str() {
                        "image" => self.take(&mut stream, &event.id, &event.data, system),
                        "reset" => system.tell(Violation::Reset { after: stream.last() }),
                        _ => {}
                    }
                }
            }
            sleep(PAUSE).await;
        }
    }

    fn take(&self, stream: &mut Stream, id: &str, data: &str, system: &System) {
        let data: Value = serde_json::from_str(data).expect("JSON");
        let word = |name: &str| data[name].as_str().expect("a word").to_owned();
        let seq = id.parse().expect("a number");
        let told = Told { seq, image: word("id"), status: word("status") };
        if let Err(violation) = stream.take(&told) {
            system.tell(violation);
        }
        lock(&self.told).push(told);
    }

    /// Looks again and again at the image that it was told of last, as a page does, for ever.
    pub(crate) async fn look(&self, system: &System) {
        let http = http();
        loop {
            sleep(Duration::from_millis(150)).await;
            let Some(told) = lock(&self.told).last().cloned() else { continue };
            let path = format!("/v1/images/{}", told.image);
            let Some(json) = get(&http, system, &path).await else { continue };
            let item = Item::read(&json);
            if item.image != told.image {
                system.tell(Violation::Unknown { image: item.image.clone() });
            }
            let site = item.site.clone().unwrap_or_default();
            if let Err(violation) = item.check(&site) {
                system.tell(violation);
            }
            let Item { image, status, .. } = item;
            lock(&self.readings).push(Reading { image, status, since: told.seq });
        }
    }

    /// Reads the list of its site from the newest page to the oldest, again and again, for ever.
    pub(crate) async fn list(&self, system: &System) {
        let http = http();
        loop {
            let mut seen = HashSet::new();
            let first = format!("/v1/images?limit=25&site={}", self.site);
            let mut path = first.clone();
            while let Some(page) = get(&http, system, &path).await {
                let since = page["last_event"].as_i64().expect("a number");
                for item in page["items"].as_array().expect("items").iter().map(Item::read) {
                    if let Err(violation) = item.check(self.site) {
                        system.tell(violation);
                    }
                    if !seen.insert(item.image.clone()) {
                        system.tell(Violation::ListedTwice { image: item.image.clone() });
                    }
                    let Item { image, status, .. } = item;
                    lock(&self.readings).push(Reading { image, status, since });
                }
                let Some(next) = page["next"].as_str() else { break };
                path = format!("{first}&after={next}");
            }
            sleep(Duration::from_millis(500)).await;
        }
    }
}

async fn get(http: &reqwest::Client, system: &System, path: &str) -> Option<Value> {
    let ask = http.get(format!("{}{path}", system.url())).timeout(SILENCE).send();
    ask.await.ok()?.error_for_status().ok()?.json().await.ok()
}

/// Every version that the bucket holds, as images.
pub(crate) async fn stored(system: &System) -> HashSet<String> {
    let (s3, bucket) = (s3_client(&system.s3.url()), system.bucket.as_str());
    let mut stored = HashSet::new();
    let mut list = s3.list_object_versions().bucket(bucket);
    loop {
        let page = list.send().await.expect("listed");
        for version in page.versions() {
            let (key, id) = (version.key().expect("a key"), version.version_id().expect("an id"));
            stored.insert(image_id(bucket, key, id));
        }
        if page.is_truncated() != Some(true) {
            return stored;
        }
        list = s3.list_object_versions().bucket(bucket);
        list = list.set_key_marker(page.next_key_marker().map(str::to_owned));
        list = list.set_version_id_marker(page.next_version_id_marker().map(str::to_owned));
    }
}

/// All events from the beginning up to `last`.
pub(crate) async fn all_events(system: &System, last: i64) -> Vec<Told> {
    let (http, url) = (http(), format!("{}/v1/events?after=0", system.url()));
    let answer = http.get(url).send().await.expect("answers");
    let mut events = answer.bytes_stream().eventsource();
    let mut all = Vec::new();
    while all.last().map_or(0, |told: &Told| told.seq) < last {
        let event = events.next().await.expect("open").expect("readable");
        if event.event == "image" {
            let data: Value = serde_json::from_str(&event.data).expect("JSON");
            let word = |name: &str| data[name].as_str().expect("a word").to_owned();
            let seq = event.id.parse().expect("a number");
            all.push(Told { seq, image: word("id"), status: word("status") });
        }
    }
    all
}
