//! Answers about one image: their ETag, and the cache in front of the store.

use lobar_core::image::{Lane, NewImage};
use lobar_core::object::ImageId;
use reqwest::Response;
use serde_json::Value;

use crate::fixture::{Fixture, blank, eventually, new_image, ready};

async fn ask(fixture: &Fixture, id: ImageId, known: Option<&str>) -> Response {
    let mut asked = fixture.http.get(fixture.url(&format!("/v1/images/{id}")));
    if let Some(tag) = known {
        asked = asked.header("if-none-match", tag);
    }
    asked.send().await.expect("an answer")
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).expect("set").to_str().expect("text")
}

async fn lookups(fixture: &Fixture, outcome: &str) -> u64 {
    let name = format!("lobar_api_cache_lookups_total{{outcome=\"{outcome}\"}} ");
    let metrics = fixture.metrics().await;
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
    value.expect("a series").parse().expect("a number")
}

/// Asks until the answer comes from the cache.
async fn kept(fixture: &Fixture, id: ImageId) -> String {
    eventually("it is answered from the cache", async || {
        let before = lookups(fixture, "hit").await;
        let body = ask(fixture, id, None).await.text().await.expect("text");
        (lookups(fixture, "hit").await > before).then_some(body)
    })
    .await
}

/// A newer version of a key.
fn newer(key: &str) -> NewImage {
    let mut image = new_image(key);
    image.object.version = Some("v2".into());
    NewImage { lane: Lane::Routine, ..image }
}

async fn has_a_tag(fixture: &Fixture) {
    let id = fixture.admit(["incoming/north/a.jpg".to_owned()]).await[0];
    let queued = ask(fixture, id, None).await;
    let first = header(&queued, "etag").to_owned();
    assert!(first.starts_with('"') && first.ends_with('"') && first.len() > 30, "strong: {first}");
    assert_eq!(header(&queued, "cache-control"), "private, no-cache");
    assert_eq!(ask(fixture, id, Some(&first)).await.status(), 304);

    fixture.finish(&[id], &ready(0.9)).await;
    let changed = ask(fixture, id, Some(&first)).await;
    assert_eq!(changed.status(), 200);
    assert_eq!(header(&changed, "content-type"), "application/json");
    let second = header(&changed, "etag").to_owned();
    assert_ne!(second, first);
    let body = changed.bytes().await.expect("a body");
    for known in [second.clone(), format!("W/{second}"), format!("\"x\", {second}"), "*".into()] {
        let same = ask(fixture, id, Some(&known)).await;
        assert_eq!(same.status(), 304, "{known}");
        assert_eq!(header(&same, "etag"), second);
        assert_eq!(header(&same, "cache-control"), "private, no-cache");
        assert!(same.bytes().await.expect("a body").is_empty());
    }
    for other in ["\"x\"", "not quoted", ""] {
        assert_eq!(ask(fixture, id, Some(other)).await.status(), 200, "{other}");
    }
    for _ in 0..5 {
        let again = ask(fixture, id, None).await;
        assert_eq!(header(&again, "etag"), second, "whoever answers, the tag is of the body");
        assert_eq!(again.bytes().await.expect("a body"), body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_has_a_strong_tag_and_is_not_sent_again_to_who_has_it() {
    has_a_tag(&Fixture::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_cache_it_is_the_same() {
    let fixture = Fixture::open_without_cache().await;
    has_a_tag(&fixture).await;
    for outcome in ["hit", "miss", "error"] {
        assert_eq!(lookups(&fixture, outcome).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_image_is_answered_from_the_cache_until_it_changes() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit(["a.jpg", "b.jpg"].map(|name| format!("incoming/north/{name}"))).await;
    fixture.finish(&ids[..1], &ready(0.9)).await;
    fixture.finish(&ids[1..], &blank()).await;
    for id in &ids {
        let from_store = ask(&fixture, *id, None).await.text().await.expect("text");
        assert_eq!(kept(&fixture, *id).await, from_store);
    }
    let mut stream = fixture.events("").await;
    stream.block().await.expect("the opening");
    fixture.store.admit(&[newer("incoming/north/a.jpg")]).await.expect("admitted");
    fixture.store.remove(&new_image("incoming/north/b.jpg").object).await.expect("removed");
    fixture.signal.publish().await.expect("published");
    let (mut superseded, mut removed) = (false, false);
    while !(superseded && removed) {
        let event = stream.image().await;
        // From the very event on, the old answer is not given any more.
        let (_, item) = fixture.get(&format!("/v1/images/{}", event.id)).await;
        match event.status.as_str() {
            "superseded" => superseded = true,
            "removed" => removed = true,
            _ => continue,
        }
        assert_eq!(item["status"], event.status.as_str());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_is_not_finished_is_never_kept() {
    let fixture = Fixture::open().await;
    let id = fixture.admit(["incoming/north/a.jpg".to_owned()]).await[0];
    for _ in 0..10 {
        assert_eq!(ask(&fixture, id, None).await.status(), 200);
    }
    assert_eq!(lookups(&fixture, "hit").await, 0);
    // Straight from the store, with no event followed in between.
    fixture.store.claim(&[id], 5).await.expect("claimed");
    let (_, item) = fixture.get(&format!("/v1/images/{id}")).await;
    assert_eq!(item["status"], "analysing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_answers_are_there_while_the_store_is_away() {
    let fixture = Fixture::open().await;
    let id = fixture.admit(["incoming/north/a.jpg".to_owned()]).await[0];
    fixture.finish(&[id], &ready(0.9)).await;
    let body = kept(&fixture, id).await;
    fixture.close_store().await;
    let text = ask(&fixture, id, None).await.text().await.expect("text");
    let mut answer: Value = serde_json::from_str(&text).expect("JSON");
    let unread = answer.as_object_mut().and_then(|members| members.remove("identity_unavailable"));
    assert_eq!(unread, Some(Value::Bool(true)), "{text}");
    let mut expected: Value = serde_json::from_str(&body).expect("JSON");
    // Nobody can tell who reads it meanwhile.
    expected["reading"] = Value::Null;
    assert_eq!(answer, expected);
}
