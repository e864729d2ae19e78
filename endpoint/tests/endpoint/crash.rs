//! SIGKILL at any moment: nothing half-visible, nothing acknowledged lost, no event missing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use lobar_core::image::Lane;
use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{ObjectStore as _, Upload};

use crate::fixture::{Running, aws, noise, start};

/// The folder in which the child works.
const FOLDER: &str = "LOBAR_TEST_S3_FOLDER";
const ROUNDS: u64 = 10;

/// Starts this test program anew as a process that can be killed.
fn child(folder: &Path, test: &str, shell: &str) -> Child {
    let program = std::env::current_exe().expect("this program");
    Command::new("sh")
        .args(["-c", &format!("{shell} exec \"$0\" \"$@\"")])
        .arg(program)
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the child starts")
}

#[allow(clippy::disallowed_methods, reason = "how the parent tells the child")]
fn folder() -> Option<std::path::PathBuf> {
    std::env::var_os(FOLDER).map(Into::into)
}

/// What an object holds follows from its key, so that anybody can check it.
fn body(key: &str) -> Bytes {
    let seed = key.bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
    let size = match seed % 8 {
        0 => 0,
        1 => 3 << 20,
        _ => (seed % 50_000) as usize,
    };
    noise(size, seed).into()
}

async fn put(endpoint: &Running, key: String) -> Option<ObjectVersion> {
    let objects = endpoint.objects().await;
    let upload =
        Upload { body: body(&key), key, lane: Lane::Routine, metadata: Default::default() };
    objects.put(upload).await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that another test kills"]
async fn the_process_to_be_killed() {
    let Some(folder) = folder() else { return };
    let endpoint = start(&folder).await;
    let round = std::process::id();
    let writer = async |lane: u32| {
        for n in 0..1_000_000 {
            let key = format!("{round}/{lane}/{n}");
            if let Some(put) = put(&endpoint, key).await {
                println!("stored {} {}", put.key, put.version.unwrap_or_default());
            }
        }
    };
    futures::future::join_all((0..4).map(writer)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_shows_whole_objects_and_misses_no_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut acknowledged = BTreeMap::new();
    let mut told = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut killed = child(folder.path(), "crash::the_process_to_be_killed", "");
        let lines = BufReader::new(killed.stdout.take().expect("piped")).lines();
        // Some in the first puts, some later: after so many acknowledgements.
        let after = noise(8, round + 1)[0] as usize % 60;
        for line in lines {
            let Ok(line) = line else { break };
            if let Some(rest) = line.split("stored ").nth(1) {
                let (key, version) = rest.split_once(' ').expect("two words");
                acknowledged.insert(version.to_owned(), key.to_owned());
                if acknowledged.len() % 60 == after {
                    // More lines may follow that were printed before it died.
                    let _ = killed.kill();
                }
            }
        }
        killed.wait().expect("it ends");

        let endpoint = start(folder.path()).await;
        let shown = check_all(&endpoint, &mut told).await;
        for (version, key) in &acknowledged {
            assert_eq!(shown.get(version), Some(key), "acknowledged, but not there");
        }
        let missing: Vec<_> = shown.keys().filter(|version| !told.contains(*version)).collect();
        assert!(missing.is_empty(), "{} objects without an event", missing.len());
        assert_eq!(bodies(folder.path()), bodies_named(&shown), "files that nothing names");
        endpoint.stop().await;
    }
    assert!(acknowledged.len() >= ROUNDS as usize, "the child stored hardly anything");
}

/// Fetches every version listed, compares it with what its key says, and collects the events.
async fn check_all(endpoint: &Running, told: &mut BTreeSet<String>) -> BTreeMap<String, String> {
    let listing = ["s3api", "list-object-versions", "--bucket", "xrays", "--output", "json"];
    let listing = aws(&endpoint.url(), &listing).await;
    let listing: serde_json::Value = serde_json::from_str(&listing).unwrap_or_default();
    let objects = endpoint.objects().await;
    let mut shown = BTreeMap::new();
    for entry in listing["Versions"].as_array().into_iter().flatten() {
        let text = |name: &str| entry[name].as_str().expect("text").to_owned();
        let (key, version) = (text("Key"), text("VersionId"));
        let object = ObjectVersion {
            bucket: "xrays".to_owned(),
            key: key.clone(),
            version: Some(version.clone()),
            etag: None,
            sequencer: None,
            size: None,
        };
        let fetched = objects.fetch(&object, 1 << 30).await;
        let bytes = fetched.expect("a listed object can be read").bytes;
        assert!(bytes == body(&key), "an object that is not whole");
        shown.insert(version, key);
    }
    let expected = shown.keys().filter(|version| !told.contains(*version)).count();
    for event in endpoint.events(expected).await {
        told.insert(event["s3"]["object"]["versionId"].as_str().expect("a version").to_owned());
    }
    shown
}

fn bodies(folder: &Path) -> usize {
    fn count(folder: &Path) -> usize {
        let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
    }
    count(&folder.join("s3/bodies"))
}

fn bodies_named(shown: &BTreeMap<String, String>) -> usize {
    shown.values().filter(|key| !body(key).is_empty()).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that another test gives a full disk"]
async fn the_process_without_room() {
    let Some(folder) = folder() else { return };
    let endpoint = start(&folder).await;
    let objects = endpoint.objects().await;
    let put = async |key: &str, size| {
        let upload = Upload {
            key: key.to_owned(),
            body: noise(size, 1).into(),
            lane: Lane::Routine,
            metadata: Default::default(),
        };
        objects.put(upload).await
    };
    put("before", 1000).await.expect("there is room for this");
    let refused = put("large", 6 << 20).await.expect_err("there is no room for this");
    assert!(refused.to_string().contains("507 InsufficientStorage"), "{refused}");
    put("after", 1000).await.expect("there is room for this");
    let listing = aws(&endpoint.url(), &["s3", "ls", "s3://xrays/"]).await;
    assert!(listing.contains("before") && listing.contains("after"), "{listing}");
    assert_eq!(listing.lines().count(), 2, "{listing}");
    assert_eq!(endpoint.events(2).await.len(), 2);
    assert_eq!(bodies(&folder), 2);
    endpoint.stop().await;
    println!("held");
}

#[test]
fn a_put_without_room_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    // A limit on the size of files stands for a full disk: 8192 × 512 bytes.
    let limited = "trap '' XFSZ; ulimit -f 8192;";
    let ended = child(folder.path(), "crash::the_process_without_room", limited).wait_with_output();
    let ended = ended.expect("it ends");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("held"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_requests_end_and_sends_what_they_caused() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let stored = futures::future::join_all((0..20).map(|n| put(&endpoint, format!("k{n}")))).await;
    let stored = stored.into_iter().flatten().count();
    assert_eq!(stored, 20);
    endpoint.stop().await;
    let endpoint = start(folder.path()).await;
    assert_eq!(endpoint.events(20).await.len(), 20);
    assert!(tokio::time::timeout(Duration::from_secs(5), endpoint.stop()).await.is_ok());
}
