//! `lobar up` on a disk that becomes full, and has room again (checklist T16). The disk is a tmpfs in a mount namespace
//! of the process's own: it needs no root where user namespaces are allowed, and is gone with the process.

#![allow(clippy::print_stdout)] // the counters are to be read

mod disk;

use std::time::{Duration, Instant};

use lobar_tests::kit::{Client, answer, radiograph_jpeg, workspace};
use serde_json::{Value, json};

use self::disk::{SmallDisk, said, start_on_a_full_disk};
use super::states;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);
/// Verdicts beyond which a full disk must have been met: a write-ahead log has room for a thousand pages first.
const MANY: usize = 3_000;

/// Asks again until the answer is this, and gives it.
async fn until(url: &str, what: &str, reached: impl Fn(u16, &str) -> bool) -> String {
    let began = Instant::now();
    loop {
        let answered = answer(url).await;
        if let Some((status, text)) = &answered
            && reached(*status, text)
        {
            return text.clone();
        }
        assert!(began.elapsed() < PATIENCE, "in vain: {what}; {url} says {answered:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Puts a picture of its own by the page's way; the status of the PUT and its answer.
async fn upload(disk: &SmallDisk, name: u32) -> (u16, String) {
    let http = reqwest::Client::new();
    let asked = json!({ "site": "north", "names": [format!("{name}.jpg")] });
    let url = format!("{}/v1/uploads", disk.lobar.page);
    let given = http.post(url).json(&asked).send().await.expect("an answer");
    let given: Value = given.json().await.expect("JSON");
    let one = &given["uploads"][0];
    let url = one["url"].as_str().unwrap_or_else(|| panic!("no leave to upload: {given}"));
    let mut put = http.put(url).body(radiograph_jpeg(500, 420, name));
    for (name, value) in one["headers"].as_object().into_iter().flatten() {
        put = put.header(name, value.as_str().expect("text"));
    }
    let answer = put.send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

/// Says of an image that it cannot be assessed, at length; the status and what was answered.
async fn say(disk: &SmallDisk, image: &Value) -> (u16, Value) {
    let verdict = json!({ "model_version": image["result"]["model"]["version"],
        "opinion": "not_assessable", "reason": "x".repeat(500) });
    let id = image["id"].as_str().expect("an id");
    let url = format!("{}/v1/images/{id}/verdicts", disk.lobar.page);
    let answer = reqwest::Client::new().post(url).json(&verdict).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn verdicts(client: &Client, image: &Value) -> usize {
    let path = format!("/v1/images/{}/verdicts", image["id"].as_str().expect("an id"));
    client.get(&path).await["items"].as_array().expect("a list").len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs mounts in a user namespace, which containers often forbid; docs/reliability.md has its counters"]
async fn what_a_full_disk_refuses_is_told_so_and_all_of_it_works_again_once_there_is_room() {
    const BEFORE: u32 = 4;
    const UNDER_WAY: u32 = 12;
    let disk = SmallDisk::of("320m");
    let client = Client::new(&disk.lobar.page);
    let url = |path: &str| format!("{}{path}", disk.lobar.page);
    for name in 0..BEFORE {
        assert_eq!(upload(&disk, name).await.0, 200);
    }
    let first = client.settled(BEFORE as usize).await.remove(0);
    let id = first["id"].as_str().expect("an id");
    let image = client.get(&format!("/v1/images/{id}")).await;

    // These are on their way through queue, store and worker when the room ends.
    for name in BEFORE..BEFORE + UNDER_WAY {
        assert_eq!(upload(&disk, name).await.0, 200);
    }
    disk.fill();
    let (status, told) = upload(&disk, 1000).await;
    assert_eq!(status, 507, "{told}");
    assert!(told.contains("InsufficientStorage") && told.contains("disk"), "{told}");

    // A page comes free now and then, so the disk is filled on until each part has met its end.
    let mut kept = 0;
    let problem = loop {
        assert!(kept < MANY, "the store is never full");
        disk.fill_on();
        match say(&disk, &image).await {
            (201, _) => kept += 1,
            refused => break refused,
        }
    };
    assert_eq!(problem.0, 503, "{}", problem.1);
    assert_eq!(problem.1["type"], "/problems/unavailable");
    let red = |check: &str| format!("\"{check}\":{{\"ok\":false");
    until(&url("/readyz"), "readiness tells", |status, text| {
        status == 503 && text.contains(&red("disk")) && text.contains(&red("s3"))
    })
    .await;
    let gauges = ["lobar_dependency_up{dependency=\"disk\"} 0", "lobar_disk_free_bytes 0"];
    until(&url("/metrics"), "so do the gauges", |_, text| {
        gauges.iter().all(|gauge| text.contains(gauge))
    })
    .await;
    until(&url("/livez"), "a restart would not help", |status, _| status == 200).await;
    let model = workspace().join("model/weights/lobar-resnet50.safetensors");
    let register = ["model", "register", model.to_str().expect("text")];
    let refused = disk.run(&register);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    println!("a model on a full disk: {}", said(&refused).trim());
    println!("a verdict on a full disk: {}", problem.1);
    assert_eq!(verdicts(&client, &image).await, kept, "what was acknowledged, and no more");

    disk.free();
    until(&url("/readyz"), "it is ready without a restart", |status, _| status == 200).await;
    assert_eq!(upload(&disk, 1001).await.0, 200);
    assert_eq!(say(&disk, &image).await.0, 201);
    assert_eq!(verdicts(&client, &image).await, kept + 1);
    let registered = disk.run(&register);
    assert!(registered.status.success(), "{}", said(&registered));
    let images = client.settled((BEFORE + UNDER_WAY) as usize + 1).await;
    assert_eq!(states(&images, "ready"), images.len());
    println!(
        "disk full under all parts: attempted {}, acknowledged {}, lost 0, duplicated 0, recovered {UNDER_WAY}, \
         unexpected 0; {kept} verdicts were taken before the store was full",
        images.len() + 1,
        images.len(),
    );
    assert_eq!(disk.lobar.stop(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs mounts in a user namespace, which containers often forbid"]
async fn a_start_on_a_full_disk_says_so_waits_and_goes_on_once_there_is_room() {
    // What each finds no room for: the queues, their tables, the store's, the key pair, the object store's.
    for kib in [0, 16, 200, 376, 480] {
        let (lobar, told) = start_on_a_full_disk(kib << 10).await;
        let words = ["database or disk is full", "disk I/O error", "No space left on device"];
        assert!(words.iter().any(|word| told.contains(word)), "{told}");
        assert!(told.contains("/data/") && told.contains("retrying in"), "{told}");
        assert_eq!(lobar.stop(), 0, "with {kib} KiB at first");
    }
}
