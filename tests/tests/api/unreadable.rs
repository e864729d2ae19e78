//! Stored rows that cannot be read: damaged, or of a newer release.

use lobar_core::image::State;
use lobar_core::object::ImageId;
use serde_json::{Value, json};

use crate::fixture::{Fixture, eventually, ready};

/// Images that a worker finished, one key each; none was flagged.
async fn finished(fixture: &Fixture, names: &[&str]) -> Vec<ImageId> {
    let ids = fixture.admit(names.iter().map(|name| format!("incoming/north/{name}.jpg"))).await;
    fixture.finish(&ids, &ready(0.125)).await;
    ids
}

/// Changes the stored finding of one image.
async fn change_finding(fixture: &Fixture, name: &str, body: &str) {
    let image = format!("(select id from image where key = 'incoming/north/{name}.jpg')");
    fixture.damage(&format!("update finding set body = {body} where image = {image}")).await;
}

async fn item(fixture: &Fixture, id: ImageId) -> Value {
    let (status, item) = fixture.get(&format!("/v1/images/{id}")).await;
    assert_eq!(status, 200, "{item}");
    item
}

fn needs_human(item: &Value) -> bool {
    item["status"] == "needs_human"
        && item["reason"] == "result_unreadable"
        && item["reason_text"] == "The stored result cannot be read."
        && item["result"] == Value::Null
        && item["finished_at"].is_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_read_is_one_row_that_needs_a_human() {
    let fixture = Fixture::open().await;
    let ids = finished(&fixture, &["whole", "older", "damaged"]).await;
    change_finding(&fixture, "older", "json_remove(body, '$.warnings', '$.v')").await;
    change_finding(&fixture, "damaged", "json_remove(body, '$.probability')").await;
    for query in ["", "?status=ready", "?flagged=false", "?site=north", "?limit=3"] {
        let (status, page) = fixture.get(&format!("/v1/images{query}")).await;
        assert_eq!((status, &page["total"]), (200, &json!(3)), "{query}: {page}");
        let items = page["items"].as_array().expect("items");
        assert_eq!(items.len(), 3, "{query}");
        for one in items {
            let damaged = one["id"] == ids[2].to_string();
            assert_eq!(needs_human(one), damaged, "{query}: {one}");
            assert_eq!(one["status"] == "ready", !damaged, "{query}: {one}");
        }
    }
    assert_eq!(item(&fixture, ids[1]).await["result"]["warnings"], json!([]));
    assert!(needs_human(&item(&fixture, ids[2]).await));
    let (status, problem) = fixture.get(&format!("/v1/images/{}/heatmap", ids[2])).await;
    assert_eq!((status, &problem["type"]), (404, &json!("/problems/no-heatmap")));
    let metrics = fixture.metrics().await;
    assert!(!metrics.contains("incoming"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_about_what_cannot_be_read_is_not_kept_since_others_may_read_it() {
    let fixture = Fixture::open().await;
    let id = finished(&fixture, &["one"]).await[0];
    eventually("it is ready", async || {
        (fixture.get("/v1/images").await.1["items"][0]["status"] == "ready").then_some(())
    })
    .await;
    change_finding(&fixture, "one", "json_set(body, '$.v', 2)").await;
    eventually("the answer before it has left the cache", async || {
        needs_human(&item(&fixture, id).await).then_some(())
    })
    .await;
    change_finding(&fixture, "one", "json_set(body, '$.v', 1)").await;
    assert_eq!(item(&fixture, id).await["status"], "ready");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_can_be_judged_by_a_person() {
    let fixture = Fixture::open().await;
    let id = finished(&fixture, &["damaged"]).await[0];
    change_finding(&fixture, "damaged", "'[]'").await;
    let say = async |version: Value, opinion: Value| {
        let mut verdict = json!({ "model_version": version });
        verdict
            .as_object_mut()
            .expect("an object")
            .extend(opinion.as_object().expect("one").clone());
        let path = fixture.url(&format!("/v1/images/{id}/verdicts"));
        let answer = fixture.http.post(path).json(&verdict).send().await.expect("an answer");
        answer.status().as_u16()
    };
    assert_eq!(say(json!("test-1"), json!({ "opinion": "agree" })).await, 409);
    assert_eq!(say(Value::Null, json!({ "opinion": "agree" })).await, 422);
    let label = json!({ "opinion": "disagree", "label": "PNEUMONIA" });
    assert_eq!(say(Value::Null, label).await, 201);
    let judged = item(&fixture, id).await;
    assert!(needs_human(&judged), "{judged}");
    assert_eq!(judged["verdict"]["label"], "PNEUMONIA");

    fixture.damage("update verdict set displayed = '{', opinion = 'unsure', label = null").await;
    let (status, list) = fixture.get(&format!("/v1/images/{id}/verdicts")).await;
    assert_eq!((status, &list["items"][0]["opinion"]), (200, &json!("unreadable")));
    assert_eq!(item(&fixture, id).await["verdict"]["opinion"], "unreadable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_event_stream_goes_on_past_what_cannot_be_read() {
    let fixture = Fixture::open().await;
    let ids = finished(&fixture, &["one"]).await;
    fixture.damage("update event set state = 'read_by_two' where state = 'analysing'").await;
    fixture.damage("update image set state = 'read_by_two' where key like '%one.jpg'").await;
    let later = finished(&fixture, &["two"]).await;
    let mut stream = fixture.events("?after=0").await;
    let mut told = Vec::new();
    while told.last() != Some(&(later[0].to_string(), "ready".to_owned())) {
        let event = stream.image().await;
        told.push((event.id, event.status));
    }
    let of_first = told.iter().filter(|(id, _)| *id == ids[0].to_string());
    let states: Vec<&str> = of_first.map(|(_, status)| status.as_str()).collect();
    assert_eq!(states, ["queued", State::NeedsHuman.as_str(), "ready"]);
    let item = item(&fixture, ids[0]).await;
    assert_eq!(
        (&item["status"], &item["reason"]),
        (&json!("needs_human"), &json!("record_unreadable"))
    );
    assert_eq!(fixture.get("/v1/images").await.0, 200);
    assert_eq!(fixture.get("/v1/queues").await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_whose_card_cannot_be_read_is_listed_and_says_so() {
    let fixture = Fixture::open().await;
    for version in ["1", "2"] {
        let model = lobar_core::model_registry::NewModel {
            version: version.into(),
            sha256: version.repeat(64),
            key: format!("{version}.safetensors"),
            bytes: 1,
            card: json!({ "version": version }),
        };
        fixture.models.register(&model, "ada").await.expect("registered");
    }
    fixture.damage("update model set card = '{' where version = '1'").await;
    let (status, list) = fixture.get("/v1/models").await;
    assert_eq!(status, 200, "{list}");
    let (whole, damaged) = (&list["items"][0], &list["items"][1]);
    assert_eq!((&whole["version"], whole.get("unreadable")), (&json!("2"), None));
    assert_eq!((&damaged["version"], &damaged["unreadable"]), (&json!("1"), &json!(["card"])));
    assert_eq!(damaged["card"], Value::Null);
}
