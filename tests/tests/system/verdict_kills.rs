//! `lobar up` killed at random while a reader gives verdicts and takes some back.

#![allow(clippy::print_stdout)] // the counters are to be read

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lobar_testkit::services::free_port;
use lobar_tests::kit::{Client, Follower, Lobar, executable, radiograph_jpeg};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::lobar_upload;

const IMAGES: u32 = 6;
const KILLS: u32 = 4;
/// How long what was answered may take to be shown on a page that is connected again.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the server has answered.
#[derive(Default)]
struct Answered {
    round: u32,
    attempted: u32,
    /// Verdicts by their ids, and whether each was taken back.
    verdicts: BTreeMap<String, bool>,
}

/// POST; the answer, or nothing where the server went away before it.
async fn post(http: &reqwest::Client, url: &str, body: &Value) -> Option<Value> {
    let answer = http.post(url).json(body).send().await.ok()?;
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.json().await.ok()
}

/// Gives verdicts on one image after the other, and takes every third back, until the server goes away.
async fn read_on(page: &str, images: &[String], answered: &mut Answered, is_over: &AtomicBool) {
    let http = reqwest::Client::new();
    for image in images.iter().cycle() {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let verdicts = format!("{page}/v1/images/{image}/verdicts");
        let Some(version) = version(&http, page, image).await else { continue };
        answered.attempted += 1;
        // Its number tells of one that was kept twice.
        let note = format!("{page} {} {}", answered.round, answered.attempted);
        let opinion =
            json!({ "opinion": "not_assessable", "model_version": version, "note": note });
        let Some(kept) = post(&http, &verdicts, &opinion).await else { continue };
        let id = kept["id"].as_str().expect("an id").to_owned();
        answered.verdicts.insert(id.clone(), false);
        if answered.attempted.is_multiple_of(3) {
            let taken = post(&http, &format!("{verdicts}/{id}/withdrawal"), &Value::Null).await;
            answered.verdicts.insert(id, taken.is_some());
        }
    }
}

/// Whose result is shown; null where there is none. Nothing while nobody answers.
async fn version(http: &reqwest::Client, page: &str, image: &str) -> Option<Value> {
    let answer = http.get(format!("{page}/v1/images/{image}")).send().await.ok()?;
    let image: Value = answer.error_for_status().ok()?.json().await.ok()?;
    Some(image["result"]["model"]["version"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_while_verdicts_are_given_lose_none_that_was_answered_and_pages_miss_none() {
    let dir = tempfile::tempdir().expect("a folder");
    let (files, data) = (dir.path().join("files"), dir.path().join("data"));
    std::fs::create_dir(&files).expect("made");
    for seed in 0..IMAGES {
        let picture = radiograph_jpeg(320, 300, seed);
        std::fs::write(files.join(format!("{seed}.jpg")), picture).expect("written");
    }
    let [page, s3] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let up = || {
        let arguments = ["up", "--listen", &page, "--s3-listen", &s3];
        Lobar::start(&executable(), &arguments, &data)
    };
    let mut lobar = up();
    let done = lobar_upload(&lobar.page, &files, dir.path()).output().expect("runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let client = Client::new(&lobar.page);
    let images = client.settled(IMAGES as usize).await;
    let images: Vec<String> =
        images.iter().map(|image| image["id"].as_str().expect("an id").to_owned()).collect();
    let follower = Follower::follow(&lobar.page);

    let mut random = StdRng::seed_from_u64(13);
    let mut answered = Answered::default();
    for round in 0..KILLS {
        let is_over = AtomicBool::new(false);
        let mut said = Answered { round, ..Answered::default() };
        let (address, pause) = (lobar.page.clone(), random.random_range(300..1500));
        let killing = async {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            lobar.kill();
            is_over.store(true, Ordering::Relaxed);
        };
        tokio::join!(read_on(&address, &images, &mut said, &is_over), killing);
        answered.attempted += said.attempted;
        answered.verdicts.extend(said.verdicts);
        lobar = up();
    }

    let (mut kept, mut notes, mut changes) = (BTreeMap::new(), BTreeSet::new(), 0);
    for image in &images {
        let list = client.get(&format!("/v1/images/{image}/verdicts")).await;
        for verdict in list["items"].as_array().expect("a list") {
            let is_withdrawn = !verdict["withdrawn_at"].is_null();
            changes += 1 + usize::from(is_withdrawn);
            notes.insert(verdict["note"].as_str().expect("a note").to_owned());
            kept.insert(verdict["id"].as_str().expect("an id").to_owned(), is_withdrawn);
        }
    }
    let lost = answered.verdicts.keys().filter(|id| !kept.contains_key(*id)).count();
    let withdrawn = answered.verdicts.iter().filter(|(_, taken)| **taken);
    let undone = withdrawn.filter(|(id, _)| kept.get(*id) == Some(&false)).count();
    println!(
        "attempted {}, acknowledged {}, lost {lost}, taken back and not {undone}, kept without an answer {}",
        answered.attempted,
        answered.verdicts.len(),
        kept.len() - answered.verdicts.len()
    );
    assert!(answered.verdicts.len() > KILLS as usize, "it was killed before anything was said");
    assert_eq!((lost, undone), (0, 0));
    assert_eq!(notes.len(), kept.len(), "none is there twice");

    // One event for each result, and for each verdict and withdrawal: the page has come to every one of them.
    let (began, wanted) = (Instant::now(), images.len() + changes);
    loop {
        let shown: usize = follower.results().values().map(Vec::len).sum();
        if shown == wanted {
            break;
        }
        assert!(shown < wanted && began.elapsed() < PATIENCE, "{shown} of {wanted} changes shown");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(lobar.stop(), 0);
}
