//! What readers say of images, over HTTP.

use lobar_core::object::ImageId;
use lobar_tests::kit::radiograph_jpeg;
use serde_json::{Value, json};

use crate::fixture::{Fixture, blank, eventually, ready};

impl Fixture {
    async fn say(&self, id: ImageId, verdict: &Value) -> (u16, Value) {
        let path = format!("/v1/images/{id}/verdicts");
        let answer = self.http.post(self.url(&path)).json(verdict).send().await;
        let answer = answer.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    async fn said(&self, id: ImageId) -> Vec<Value> {
        let (status, list) = self.get(&format!("/v1/images/{id}/verdicts")).await;
        assert_eq!(status, 200, "{list}");
        list["items"].as_array().expect("a list").clone()
    }

    /// The image's newest verdict, as the image itself tells it.
    async fn mark(&self, id: ImageId) -> Value {
        let (_, item) = self.get(&format!("/v1/images/{id}")).await;
        item.get("verdict").expect("the field is there").clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_is_kept_listed_told_and_shown_with_its_image() {
    let fixture = Fixture::open().await;
    let id = fixture.admit(["incoming/north/a.jpg".to_owned()]).await[0];
    assert_eq!(fixture.mark(id).await, Value::Null);
    fixture.finish(&[id], &ready(0.9)).await;
    assert!(fixture.said(id).await.is_empty());
    // So that it is in the cache when the verdict comes.
    eventually("it is ready", async || {
        let (_, item) = fixture.get(&format!("/v1/images/{id}")).await;
        (item["status"] == "ready" && item["verdict"] == Value::Null).then_some(())
    })
    .await;

    let last = fixture.stored_events().await.last().expect("events").position().number();
    eventually("the server has followed", async || {
        (fixture.get("/v1/images").await.1["last_event"] == last).then_some(())
    })
    .await;
    let mut stream = fixture.events(&format!("?after={last}")).await;
    let verdict = json!({ "model_version": "test-1", "opinion": "disagree", "label": "NORMAL",
        "displayed": ["picture", "heatmap"], "rendering": rendering(id) });
    let (status, kept) = fixture.say(id, &verdict).await;
    assert_eq!(status, 201, "{kept}");
    let expected = json!({ "id": kept["id"], "image": id.to_string(), "model_version": "test-1",
        "opinion": "disagree", "label": "NORMAL", "causes": [], "note": null, "reason": null,
        "reader": "local", "role": "clinician", "displayed": ["picture", "heatmap"],
        "rendering": rendering(id), "at": kept["at"], "withdrawn_at": null });
    assert_eq!(kept, expected);
    let event = stream.image().await;
    assert_eq!((event.id, event.status.as_str()), (id.to_string(), "ready"));
    // From the very event on, the answer without it is not given any more.
    let mark = fixture.mark(id).await;
    let short = json!({ "id": kept["id"], "opinion": "disagree", "label": "NORMAL", "seen": true,
        "at": kept["at"] });
    assert_eq!(mark, short);

    let unreadable = json!({ "model_version": "test-1", "opinion": "not_assessable",
        "reason": "The child fidgeted." });
    let (status, second) = fixture.say(id, &unreadable).await;
    assert_eq!((status, &second["label"]), (201, &Value::Null));
    assert_eq!(
        (&second["note"], &second["reason"]),
        (&unreadable["reason"], &unreadable["reason"])
    );
    assert_eq!(fixture.said(id).await, [kept, second], "oldest first");
    eventually("the newest counts", async || {
        (fixture.mark(id).await["opinion"] == "not_assessable").then_some(())
    })
    .await;

    let (_, list) = fixture.get("/v1/images").await;
    assert!(list["items"][0].get("verdict").is_none(), "lists say nothing of it: {list}");
    let metrics = fixture.metrics().await;
    assert!(!metrics.contains("fidgeted"), "{metrics}");
}

/// What the picture of an image is called, as its ETag says.
fn rendering(id: ImageId) -> String {
    format!("drawing1-1600-{}", id.0.simple())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_names_the_picture_by_its_etag_and_without_one_it_is_kept_apart_from_the_labels()
{
    let fixture = Fixture::open().await;
    let picture = radiograph_jpeg(300, 200, 1);
    let sent = fixture.http.post(fixture.url("/v1/images")).body(picture).send().await;
    let receipt: Value = sent.expect("an answer").json().await.expect("JSON");
    let id: ImageId = receipt["id"].as_str().expect("an id").parse().expect("an id");
    eventually("it is admitted", async || fixture.store.image(id).await.expect("asked")).await;
    fixture.finish(&[id], &ready(0.9)).await;
    let path = fixture.url(&format!("/v1/images/{id}/picture"));
    let answer = fixture.http.get(path).send().await.expect("an answer");
    let tag = answer.headers()["etag"].to_str().expect("text").to_owned();
    assert_eq!(tag, format!("\"{}\"", rendering(id)));

    let agree = |rendering: Value| {
        json!({ "model_version": "test-1", "opinion": "agree",
        "displayed": ["picture"], "rendering": rendering })
    };
    let (status, blind) = fixture.say(id, &agree(Value::Null)).await;
    assert_eq!((status, &blind["label"]), (201, &json!("PNEUMONIA")));
    assert_eq!(fixture.verdicts.labelled(None, 10).await.expect("asked"), []);
    eventually("the image tells of it", async || {
        (fixture.mark(id).await["seen"] == false).then_some(())
    })
    .await;
    for other in [json!("picture"), json!(rendering(ImageId(uuid::Uuid::nil())))] {
        let (status, problem) = fixture.say(id, &agree(other)).await;
        assert_eq!((status, &problem["type"]), (400, &json!("/problems/bad-parameter")));
    }
    assert_eq!(fixture.say(id, &agree(json!(tag))).await.0, 201, "as the header has it");
    let labelled = fixture.verdicts.labelled(None, 10).await.expect("asked");
    assert_eq!(labelled.iter().map(|one| one.image).collect::<Vec<_>>(), [id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_on_what_is_not_shown_any_more_is_refused_and_changes_nothing() {
    let fixture = Fixture::open().await;
    let keys = ["a", "b", "c"].map(|name| format!("incoming/north/{name}.jpg"));
    let ids = fixture.admit(keys).await;
    fixture.finish(&ids[..1], &ready(0.9)).await;
    fixture.finish(&ids[1..2], &blank()).await;
    let agree = |version: Value| json!({ "model_version": version, "opinion": "agree" });
    for (place, version) in [
        (0, json!("another")),
        (0, Value::Null),
        (1, json!("test-1")),
        (2, json!("test-1")),
        (2, Value::Null),
    ] {
        let (status, problem) = fixture.say(ids[place], &agree(version)).await;
        assert_eq!((status, &problem["type"]), (409, &json!("/problems/stale-verdict")));
    }
    let (status, problem) = fixture.say(ids[1], &agree(Value::Null)).await;
    assert_eq!((status, &problem["type"]), (422, &json!("/problems/nothing-to-agree-with")));
    for id in &ids {
        assert!(fixture.said(*id).await.is_empty());
    }
    let events = fixture.stored_events().await;
    assert!(events.iter().all(|event| !event.verdict));

    let label = json!({ "model_version": null, "opinion": "disagree", "label": "PNEUMONIA" });
    assert_eq!(fixture.say(ids[1], &label).await.0, 201, "without a result it can be labelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_an_image_is_removed_what_was_said_of_it_is_gone() {
    let fixture = Fixture::open().await;
    let id = fixture.admit(["incoming/north/a.jpg".to_owned()]).await[0];
    fixture.finish(&[id], &ready(0.9)).await;
    let agree = json!({ "model_version": "test-1", "opinion": "agree" });
    assert_eq!(fixture.say(id, &agree).await.0, 201);
    let object = fixture.store.image(id).await.expect("asked").expect("known").object;
    fixture.store.remove(&object).await.expect("removed");
    fixture.signal.publish().await.expect("published");
    assert!(fixture.said(id).await.is_empty());
    eventually("the image tells of no verdict", async || {
        (fixture.mark(id).await == Value::Null).then_some(())
    })
    .await;
    let (status, problem) = fixture.say(id, &agree).await;
    assert_eq!((status, &problem["type"]), (404, &json!("/problems/unknown-image")));
}
