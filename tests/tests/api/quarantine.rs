//! The quarantine over HTTP: what ingest put aside is listed, shown, counted, put back and thrown away.

use lobar_core::image::State;
use lobar_core::store::Quarantined;
use serde_json::{Value, json};

use crate::fixture::{Fixture, eventually, new_image};

const KEY: &str = "incoming/north/Doe_Jane.jpg";

/// The notification of an upload, as a message that was put aside under a wrong setting.
fn notification() -> Vec<u8> {
    let object = new_image(KEY).object;
    let record = json!({ "eventVersion": "2.1", "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put", "s3": { "bucket": { "name": object.bucket },
        "object": { "key": object.key, "versionId": object.version, "size": 1 } } });
    json!({ "Records": [record] }).to_string().into_bytes()
}

async fn put_aside(fixture: &Fixture, reason: &str, body: Vec<u8>) {
    let message = Quarantined { source: "uploads".into(), reason: reason.into(), body };
    fixture.store.quarantine(&message).await.expect("kept");
}

async fn post(fixture: &Fixture, path: &str) -> (u16, Value) {
    let answer = fixture.http.post(fixture.url(path)).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test]
async fn what_was_put_aside_is_listed_without_its_keys_shown_with_them_and_replayed() {
    let fixture = Fixture::open().await;
    put_aside(&fixture, "wrong_source", notification()).await;
    let (status, list) = fixture.get("/v1/quarantine").await;
    assert_eq!((status, &list["waiting"]), (200, &json!({ "wrong_source": 1 })));
    let item = &list["items"][0];
    assert_eq!((&item["reason"], &item["state"]), (&json!("wrong_source"), &json!("waiting")));
    assert!(!list.to_string().contains("Doe"), "a list tells no keys: {list}");
    let id = item["id"].as_i64().expect("an id");

    let (status, shown) = fixture.get(&format!("/v1/quarantine/{id}")).await;
    assert_eq!(status, 200);
    assert!(shown["message"].as_str().is_some_and(|text| text.contains(KEY)), "{shown}");

    let (status, replayed) = post(&fixture, &format!("/v1/quarantine/{id}/replay")).await;
    assert_eq!((status, &replayed["state"]), (200, &json!("replayed")));
    let image = new_image(KEY).object.id();
    eventually("the upload is admitted", async || {
        fixture.store.image(image).await.expect("answers").filter(|it| it.state == State::Queued)
    })
    .await;
    let (_, list) = fixture.get("/v1/quarantine").await;
    assert_eq!((&list["items"], &list["waiting"]), (&json!([]), &json!({})));
    let (_, all) = fixture.get("/v1/quarantine?all=true").await;
    assert_eq!(all["items"][0]["changed_by"], "local");

    // Twice is once.
    let (status, _) = post(&fixture, &format!("/v1/quarantine/{id}/replay")).await;
    assert_eq!(status, 200);
    eventually("the second is read, too", async || {
        let depth = fixture.uploads.depth().await.expect("answers");
        (depth.ready + depth.in_flight + depth.delayed == 0).then_some(())
    })
    .await;
    assert_eq!(fixture.stored_events().await.len(), 1);
}

#[tokio::test]
async fn what_waits_in_quarantine_is_a_gauge_by_reason_without_any_key() {
    let fixture = Fixture::open().await;
    for _ in 0..12 {
        put_aside(&fixture, "wrong_source", notification()).await;
    }
    put_aside(&fixture, "a reason of tomorrow", b"{}".to_vec()).await;
    let metrics = eventually("they are counted", async || {
        let metrics = fixture.metrics().await;
        metrics.contains("lobar_quarantined{reason=\"wrong_source\"} 12").then_some(metrics)
    })
    .await;
    assert!(metrics.contains("lobar_quarantined{reason=\"other\"} 1"), "{metrics}");
    assert!(metrics.contains("lobar_quarantined{reason=\"malformed\"} 0"), "{metrics}");
    assert!(!metrics.contains("Doe") && !metrics.contains("tomorrow"));
}

#[tokio::test]
async fn a_discarded_message_is_gone_and_cannot_be_replayed() {
    let fixture = Fixture::open_without_ingest().await;
    put_aside(&fixture, "malformed", notification()).await;
    let (_, list) = fixture.get("/v1/quarantine").await;
    let path = format!("/v1/quarantine/{}", list["items"][0]["id"]);
    let (status, discarded) = post(&fixture, &format!("{path}/discard")).await;
    assert_eq!(
        (status, &discarded["state"], &discarded["bytes"]),
        (200, &json!("discarded"), &json!(0))
    );
    let (_, shown) = fixture.get(&path).await;
    assert_eq!(shown["message"], "");
    for change in ["replay", "discard"] {
        let (status, problem) = post(&fixture, &format!("{path}/{change}")).await;
        let kind = "/problems/quarantine-entry-discarded";
        assert_eq!((status, problem["type"].as_str()), (409, Some(kind)), "{change}");
    }
    assert_eq!(fixture.uploads.depth().await.expect("answers").ready, 0, "nothing was sent");
    let entry = fixture.quarantine.list(true, None, 10).await.expect("listed").remove(0);
    assert_eq!(entry.bytes, 0);
}

#[tokio::test]
async fn a_message_whose_state_cannot_be_read_is_neither_sent_nor_discarded() {
    let fixture = Fixture::open_without_ingest().await;
    put_aside(&fixture, "malformed", notification()).await;
    fixture.damage("update quarantine set state = 'expired'").await;
    let (_, list) = fixture.get("/v1/quarantine").await;
    let path = format!("/v1/quarantine/{}", list["items"][0]["id"]);
    for change in ["replay", "discard"] {
        let (status, problem) = post(&fixture, &format!("{path}/{change}")).await;
        let kind = "/problems/quarantine-entry-unreadable";
        assert_eq!((status, problem["type"].as_str()), (409, Some(kind)), "{change}");
    }
    assert_eq!(fixture.uploads.depth().await.expect("answers").ready, 0, "nothing was sent");
    let entry = fixture.quarantine.list(true, None, 10).await.expect("listed").remove(0);
    assert!(entry.bytes > 0, "and its message is there");
}

#[tokio::test]
async fn what_is_not_there_and_what_is_no_number_are_problems() {
    let fixture = Fixture::open().await;
    for (method, path, status) in [
        ("GET", "/v1/quarantine/7", 404),
        ("POST", "/v1/quarantine/7/replay", 404),
        ("POST", "/v1/quarantine/7/discard", 404),
        ("GET", "/v1/quarantine/seven", 400),
        ("GET", "/v1/quarantine?all=perhaps", 400),
        ("GET", "/v1/quarantine?limit=0", 400),
        ("GET", "/v1/quarantine?before=x", 400),
    ] {
        let method = method.parse().expect("a method");
        let answer = fixture.http.request(method, fixture.url(path)).send().await;
        assert_eq!(answer.expect("an answer").status().as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn pages_of_the_quarantine_follow_one_another() {
    let fixture = Fixture::open_without_ingest().await;
    for n in 0..5 {
        put_aside(&fixture, "malformed", vec![n]).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/quarantine?limit=2".to_owned());
    loop {
        let (_, page) = fixture.get(&path).await;
        let items = page["items"].as_array().expect("a list");
        seen.extend(items.iter().map(|item| item["id"].as_i64().expect("an id")));
        match page["next"].as_i64() {
            Some(next) => path = format!("/v1/quarantine?limit=2&before={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "newest first: {seen:?}");
}
