//! Uploads, lists, one image, its picture and its heatmap.

use std::sync::Arc;

use lobar_core::image::Lane;
use lobar_core::object_store::Upload;
use lobar_core::store::Outcome;
use lobar_tests::kit::radiograph_jpeg;
use serde_json::{Value, json};

use crate::fixture::{Fixture, blank, eventually, ready};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A form with fields of text and a file.
pub fn form(fields: &[(&str, &str)], file: Option<(&str, &[u8])>) -> (&'static str, Vec<u8>) {
    let mut body = Vec::new();
    for (name, value) in fields {
        let head = format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend([head.as_bytes(), value.as_bytes(), b"\r\n"].concat());
    }
    if let Some((name, bytes)) = file {
        let head = format!(
            "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             content-type: image/jpeg\r\n\r\n"
        );
        body.extend([head.as_bytes(), bytes, b"\r\n"].concat());
    }
    body.extend_from_slice(b"--b--\r\n");
    ("multipart/form-data; boundary=b", body)
}

async fn post(fixture: &Fixture, path: &str, kind: &str, body: Vec<u8>) -> (u16, Value) {
    let request = fixture.http.post(fixture.url(path)).header("content-type", kind).body(body);
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

/// Uploads a file and gives its id.
async fn upload(fixture: &Fixture, path: &str, body: Vec<u8>) -> String {
    let (status, receipt) = post(fixture, path, "application/octet-stream", body).await;
    assert_eq!((status, &receipt["status"]), (202, &json!("queued")), "{receipt}");
    receipt["id"].as_str().expect("an id").to_owned()
}

async fn item(fixture: &Fixture, id: &str, status: &str) -> Value {
    eventually(status, async || {
        let (_, item) = fixture.get(&format!("/v1/images/{id}")).await;
        (item["status"] == status).then_some(item)
    })
    .await
}

#[tokio::test]
async fn an_uploaded_file_is_known_at_once_and_its_id_is_the_one_the_bucket_s_event_gives() {
    let fixture = Fixture::open().await;
    let mut stream = fixture.events("?after=0").await;
    let id = upload(&fixture, "/v1/images?site=north&priority=stat", vec![1; 90_000]).await;
    let (status, item) = fixture.get(&format!("/v1/images/{id}")).await;
    assert_eq!((status, &item["status"]), (200, &json!("queued")));
    assert_eq!((&item["site"], &item["priority"]), (&json!("north"), &json!("stat")));
    let event = stream.image().await;
    assert_eq!((event.id, event.status.as_str()), (id, "queued"));
}

#[tokio::test]
async fn an_upload_that_is_no_image_by_name_and_content_is_said_to_be_put_aside_and_is_no_image() {
    let fixture = Fixture::open_without_ingest().await;
    for (name, content, put_aside) in [
        ("notes.txt", &b"Dear colleague"[..], json!("no_image")),
        ("notes.txt", b"\xFF\xD8\xFF", Value::Null),
        ("1.jpg", b"Dear colleague", Value::Null),
    ] {
        let (kind, body) = form(&[], Some((name, content)));
        let (status, receipt) = post(&fixture, "/v1/images", kind, body).await;
        assert_eq!((status, &receipt["put_aside"]), (202, &put_aside), "{name}");
        let known = fixture.get(receipt["links"]["self"].as_str().expect("an address")).await.0;
        assert_eq!(known, if put_aside.is_null() { 200 } else { 404 }, "{name}");
    }
}

#[tokio::test]
async fn an_upload_that_ingest_has_not_seen_yet_is_queued() {
    let fixture = Fixture::open_without_ingest().await;
    let id = upload(&fixture, "/v1/images", vec![1; 10]).await;
    let (_, item) = fixture.get(&format!("/v1/images/{id}")).await;
    assert_eq!((&item["status"], &item["site"]), (&json!("queued"), &json!("local")));
    assert_eq!(fixture.get("/v1/images").await.1["total"], 0);
}

#[tokio::test]
async fn a_form_brings_a_file_with_its_site_and_priority_and_an_empty_file_is_a_file() {
    let fixture = Fixture::open().await;
    let fields = [("site", "south"), ("priority", "stat")];
    let (kind, body) = form(&fields, Some(("M\u{fc}ller.jpg", &[])));
    let (status, receipt) = post(&fixture, "/v1/images", kind, body).await;
    assert_eq!(status, 202, "{receipt}");
    let id = receipt["id"].as_str().expect("an id");
    assert_eq!(receipt["links"]["self"], format!("/v1/images/{id}"));
    let item = eventually("it is admitted", async || {
        let (_, page) = fixture.get("/v1/images").await;
        page["items"].get(0).cloned()
    })
    .await;
    assert_eq!((&item["id"], &item["priority"]), (&json!(id), &json!("stat")));
    assert_eq!(item["site"], "south");
}

#[tokio::test]
async fn an_assessed_image_has_the_shape_that_clients_rely_on() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit(["incoming/north/a.jpg".to_owned()]).await;
    fixture.finish(&ids, &ready(0.875)).await;
    let item = item(&fixture, &ids[0].to_string(), "ready").await;
    let expected = json!({
        "model": { "version": "test-1", "sha256": "ab".repeat(32), "preprocessing": "p1" },
        "probability": 0.875, "threshold": 0.4, "flagged": true, "label": "PNEUMONIA",
        "subtype": null, "heatmap": true, "warnings": ["Turned upright."],
        "timings_ms": { "infer": 12.5 },
        "statement_of_use": lobar_api::STATEMENT_OF_USE,
    });
    assert_eq!(item["result"], expected);
    for field in ["received_at", "finished_at"] {
        let text = item[field].as_str().expect("a time");
        assert!(text.len() == 27 && text.ends_with('Z'), "{text}");
    }
    assert_eq!((&item["reason"], &item["site"]), (&Value::Null, &json!("north")));
}

#[tokio::test]
async fn an_image_that_was_not_assessed_says_why_and_has_no_result() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit(["incoming/north/a.jpg".to_owned()]).await;
    fixture.finish(&ids, &blank()).await;
    let item = item(&fixture, &ids[0].to_string(), "needs_human").await;
    assert_eq!((&item["reason"], &item["result"]), (&json!("blank"), &Value::Null));
    assert_eq!(item["reason_text"], "The image is blank.");
    assert_eq!(item["reason_detail"], "Every pixel is 7.");
    let heatmap = fixture.get(&format!("/v1/images/{}/heatmap", ids[0])).await;
    assert_eq!((heatmap.0, &heatmap.1["type"]), (404, &json!("/problems/no-heatmap")));
}

#[tokio::test]
async fn lists_are_pages_with_an_exact_total_and_filters_narrow_both() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit((0..7).map(|n| format!("incoming/north/{n}.jpg"))).await;
    fixture.admit(["incoming/south/x.jpg".to_owned()]).await;
    fixture.finish(&ids[..2], &ready(0.9)).await;
    fixture.finish(&ids[2..3], &ready(0.1)).await;
    fixture.finish(&ids[3..4], &blank()).await;
    let mut seen = Vec::new();
    let mut path = "/v1/images?limit=3".to_owned();
    loop {
        let (_, page) = fixture.get(&path).await;
        assert_eq!(page["total"], 8);
        let items = page["items"].as_array().expect("items");
        seen.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/images?limit=3&after={next}");
    }
    let mut distinct = seen.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!((seen.len(), distinct.len()), (8, 8));
    for (query, total) in [
        ("flagged=true", 2),
        ("flagged=false", 1),
        ("status=needs_human,failed", 1),
        ("status=queued&site=north", 3),
        ("site=south", 1),
        ("site=west", 0),
    ] {
        let (_, page) = fixture.get(&format!("/v1/images?{query}")).await;
        assert_eq!(
            (&page["total"], page["items"].as_array().map(Vec::len)),
            (&json!(total), Some(total)),
            "{query}"
        );
    }
}

#[tokio::test]
async fn the_picture_the_thumbnail_and_the_heatmap_are_png() {
    let fixture = Arc::new(Fixture::open().await);
    fixture.play_worker(ready(0.9));
    let id = upload(&fixture, "/v1/images", radiograph_jpeg(640, 480, 3)).await;
    item(&fixture, &id, "ready").await;
    let sizes = [("picture", (640_u32, 480_u32)), ("thumbnail", (96, 72)), ("heatmap", (448, 448))];
    for (what, expected) in sizes {
        let url = fixture.url(&format!("/v1/images/{id}/{what}"));
        let answer = fixture.http.get(url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{what}");
        assert_eq!(answer.headers()["content-type"], "image/png");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let bytes = answer.bytes().await.expect("bytes");
        assert!(bytes.starts_with(PNG));
        let size = (&bytes[16..20], &bytes[20..24]);
        assert_eq!(size, (&expected.0.to_be_bytes()[..], &expected.1.to_be_bytes()[..]));
    }
}

#[tokio::test]
async fn of_a_removed_image_nothing_is_served_although_the_bucket_may_keep_it() {
    let fixture = Arc::new(Fixture::open().await);
    fixture.play_worker(ready(0.9));
    let id = upload(&fixture, "/v1/images", radiograph_jpeg(320, 240, 4)).await;
    item(&fixture, &id, "ready").await;
    let stored = fixture.store.image(id.parse().expect("an id")).await.expect("asked");
    fixture.store.remove(&stored.expect("known").object).await.expect("removed");
    fixture.signal.publish().await.expect("published");
    assert_eq!(item(&fixture, &id, "removed").await["result"], Value::Null);
    let (_, list) = fixture.get("/v1/images?status=removed").await;
    assert_eq!((&list["total"], &list["items"][0]["result"]), (&json!(1), &Value::Null));
    for (what, problem) in
        [("picture", "no-picture"), ("thumbnail", "no-picture"), ("heatmap", "no-heatmap")]
    {
        let (status, body) = fixture.get(&format!("/v1/images/{id}/{what}")).await;
        assert_eq!((status, &body["type"]), (404, &json!(format!("/problems/{problem}"))));
    }
}

#[tokio::test]
async fn what_is_no_image_has_no_picture_and_neither_has_what_is_gone() {
    let fixture = Fixture::open().await;
    let id = upload(&fixture, "/v1/images", b"Dear colleague".to_vec()).await;
    item(&fixture, &id, "queued").await;
    let (status, problem) = eventually("it is admitted", async || {
        let answer = fixture.get(&format!("/v1/images/{id}/picture")).await;
        (answer.1["type"] != "/problems/unknown-image").then_some(answer)
    })
    .await;
    assert_eq!((status, &problem["type"]), (404, &json!("/problems/no-picture")));
    assert_eq!(problem["reason"], "not_an_image");
    let ids = fixture.admit(["incoming/north/never-stored.jpg".to_owned()]).await;
    for what in ["picture", "thumbnail"] {
        let (status, problem) = fixture.get(&format!("/v1/images/{}/{what}", ids[0])).await;
        assert_eq!((status, &problem["type"]), (404, &json!("/problems/no-picture")));
    }
}

#[tokio::test]
async fn a_presigned_upload_can_be_identified_from_what_the_bucket_answers() {
    let fixture = Fixture::open().await;
    let asked = json!({ "site": "north", "priority": "stat", "names": ["a.jpg", "b.jpg"] });
    let answer = fixture.http.post(fixture.url("/v1/uploads")).json(&asked).send().await;
    let answer: Value = answer.expect("an answer").json().await.expect("JSON");
    let upload = &answer["uploads"][1];
    assert_eq!((&upload["name"], &upload["method"]), (&json!("b.jpg"), &json!("PUT")));
    let mut put = fixture.http.put(upload["url"].as_str().expect("a URL"));
    for (name, value) in upload["headers"].as_object().expect("headers") {
        put = put.header(name, value.as_str().expect("text"));
    }
    let stored = put.body(radiograph_jpeg(300, 300, 1)).send().await.expect("an answer");
    assert_eq!(stored.status(), 200);
    let header = |name: &str| stored.headers().get(name).map(|v| v.to_str().expect("text"));
    let put = json!({
        "key": upload["key"], "version_id": header("x-amz-version-id"), "etag": header("etag"),
    });
    let asked = json!({ "uploads": [put] });
    let answer = fixture.http.post(fixture.url("/v1/uploads/identify")).json(&asked).send().await;
    let ids: Value = answer.expect("an answer").json().await.expect("JSON");
    let event = fixture.events("?after=0").await.image().await;
    assert_eq!(ids["ids"], json!([event.id]));
    let (_, item) = fixture.get(&format!("/v1/images/{}", event.id)).await;
    assert_eq!((&item["priority"], &item["site"]), (&json!("stat"), &json!("north")));
}

#[tokio::test]
async fn an_upload_past_the_page_by_any_s3_client_appears_as_well() {
    let fixture = Arc::new(Fixture::open().await);
    fixture.play_worker(Outcome::Superseded);
    let upload = Upload {
        key: "incoming/east/1.jpg".into(),
        body: vec![7; 9].into(),
        lane: Lane::Routine,
        metadata: Default::default(),
    };
    let object = fixture.objects.put(upload).await.expect("stored");
    let item = item_when_known(&fixture, &object.id().to_string()).await;
    assert_eq!(item["site"], "east");
}

async fn item_when_known(fixture: &Fixture, id: &str) -> Value {
    eventually("it is known", async || {
        let (status, item) = fixture.get(&format!("/v1/images/{id}")).await;
        (status == 200).then_some(item)
    })
    .await
}
