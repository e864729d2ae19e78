//! What is uploaded together: counted, listed, tried again and exported, as far as its reader's rights reach.

mod page;

use lobar_core::audit::{Action, Cursor, Filter};
use lobar_core::batch::{Added, BatchId, BatchMention};
use lobar_core::image::Reason;
use lobar_core::object::ImageId;
use lobar_core::object_store::{ObjectMetadata, Upload};
use lobar_core::store::Outcome;
use lobar_core::study::Attributes;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::exposure::{of_all, person};
use crate::fixture::{Fixture, blank, eventually, ready};
use crate::images::form;
use crate::patients::known;

/// Stores a file in a batch, as a client of the API does.
async fn upload(
    fixture: &Fixture,
    site: &str,
    name: &str,
    batch: Uuid,
    bytes: &[u8],
) -> (u16, Value) {
    let fields = [("site", site), ("batch", &*batch.to_string())];
    let (kind, body) = form(&fields, Some((name, bytes)));
    let post = fixture.http.post(fixture.url("/v1/images")).header("content-type", kind);
    let answer = post.body(body).send().await;
    let answer = answer.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

/// The same, once ingest has admitted it.
async fn admitted(fixture: &Fixture, site: &str, batch: Uuid, n: usize) -> ImageId {
    let (status, stored) = upload(fixture, site, &format!("{n}.jpg"), batch, &[n as u8; 9]).await;
    assert_eq!(status, 202, "{stored}");
    let id = stored["id"].as_str().expect("an id").parse().expect("an id");
    eventually("it is admitted", async || fixture.store.image(id).await.expect("asked")).await;
    id
}

fn failed() -> Outcome {
    Outcome::Failed { reason: Reason::RepeatedFailure, detail: "three times".into() }
}

async fn batch(fixture: &Fixture, id: Uuid) -> Value {
    let (status, batch) = fixture.get(&format!("/v1/batches/{id}")).await;
    assert_eq!(status, 200, "{batch}");
    batch
}

/// Images that are known to be of a batch, as ingest adds them.
async fn known_in(fixture: &Fixture, batch: Uuid, site: &str, keys: &[String]) -> Vec<ImageId> {
    let to = BatchMention { batch: BatchId(batch), site: site.parse().ok(), by: None };
    let files: Vec<ImageId> =
        keys.iter().map(|key| crate::fixture::new_image(key).object.id()).collect();
    assert!(fixture.batches.add(&to, &files, Added::Image).await.expect("added"));
    fixture.admit(keys.iter().cloned()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_uploaded_together_is_one_batch_with_counts_by_state_and_reason() {
    let fixture = Fixture::open().await;
    let id = Uuid::new_v4();
    assert_eq!(fixture.get(&format!("/v1/batches/{id}")).await.0, 404);
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(admitted(&fixture, "north", id, n).await);
    }
    fixture.finish(&ids[..1], &ready(0.9)).await;
    fixture.finish(&ids[1..2], &ready(0.1)).await;
    fixture.finish(&ids[2..3], &blank()).await;
    fixture.finish(&ids[3..4], &failed()).await;
    let (status, _) = upload(&fixture, "north", "Thumbs.db", id, b"\xD0\xCF\x11\xE0").await;
    assert_eq!(status, 202);
    let found = eventually("junk is put aside", async || {
        let found = batch(&fixture, id).await;
        (found["counts"]["put_aside"] == 1).then_some(found)
    })
    .await;
    assert_eq!(found["files"], 6);
    let counts = json!({
        "arriving": 0, "queued": 1, "analysing": 0, "ready": 2, "needs_human": 1, "failed": 1,
        "superseded": 0, "removed": 0, "erased": 0, "put_aside": 1,
    });
    assert_eq!(found["counts"], counts);
    assert_eq!((&found["flagged"], &found["duplicates"]), (&json!(1), &json!(0)));
    assert_eq!((&found["site"], &found["uploaded_by"]), (&json!("north"), &json!("local")));
    let reasons: Vec<_> = found["reasons"].as_array().expect("reasons").iter().collect();
    let told = |reason: &Value| {
        (reason["status"].clone(), reason["reason"].clone(), reason["images"].clone())
    };
    let reasons: Vec<_> = reasons.into_iter().map(told).collect();
    assert_eq!(
        reasons,
        [
            (json!("needs_human"), json!("blank"), json!(1)),
            (json!("failed"), json!("repeated_failure"), json!(1)),
        ]
    );
    // Its images are a filter of the list.
    let other = admitted(&fixture, "north", Uuid::new_v4(), 9).await;
    let (_, page) = fixture.get(&format!("/v1/images?batch={id}&limit=2")).await;
    assert_eq!((&page["total"], page["items"].as_array().map(Vec::len)), (&json!(5), Some(2)));
    let next = page["next"].as_str().expect("a further page");
    let (_, rest) = fixture.get(&format!("/v1/images?batch={id}&limit=200&after={next}")).await;
    let rest: Vec<_> = rest["items"].as_array().expect("items").iter().collect();
    assert!(rest.len() == 3 && rest.iter().all(|item| item["id"] != json!(other.to_string())));
    let (_, waits) = fixture.get(&format!("/v1/images?batch={id}&order=urgency")).await;
    assert_eq!(waits["total"], 5, "nothing is read yet");
    for (path, status) in [("/v1/images?batch=monday", 400), ("/v1/batches/monday", 400)] {
        assert_eq!(fixture.get(path).await.0, status, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_in_its_batch_before_the_bucket_has_told_of_it() {
    let fixture = Fixture::open_without_ingest().await;
    let id = Uuid::new_v4();
    assert_eq!(upload(&fixture, "north", "1.jpg", id, b"one").await.0, 202);
    // By a link, with the metadata in what must be sent.
    let body = json!({ "site": "north", "names": ["2.jpg"], "batch": id });
    let slots =
        fixture.http.post(fixture.url("/v1/uploads")).json(&body).send().await.expect("answers");
    let slots: Value = slots.json().await.expect("JSON");
    let slot = &slots["uploads"][0];
    assert_eq!(slot["headers"]["x-amz-meta-batch"], json!(id.to_string()));
    let put = fixture.http.put(slot["url"].as_str().expect("a URL")).body("two");
    let put = put.header("x-amz-meta-batch", id.to_string()).send().await.expect("answers");
    assert_eq!(put.status(), 200);
    assert_eq!(batch(&fixture, id).await["counts"]["arriving"], 1, "of the second nobody has told");
    let version = put.headers()["x-amz-version-id"].to_str().expect("text");
    let body = json!({ "uploads": [{ "key": slot["key"], "version_id": version }], "batch": id });
    for _ in 0..2 {
        let told = fixture.http.post(fixture.url("/v1/uploads/identify")).json(&body);
        assert_eq!(told.send().await.expect("answers").status(), 200);
    }
    let found = batch(&fixture, id).await;
    assert_eq!((&found["files"], &found["counts"]["arriving"]), (&json!(2), &json!(2)));
    // Another site's files are in no batch of this one, and nothing of them is stored.
    let (status, refused) = upload(&fixture, "south", "1.jpg", id, b"one").await;
    assert_eq!((status, &refused["type"]), (409, &json!("/problems/batch-of-another-site")));
    let body = json!({ "site": "south", "names": ["2.jpg"], "batch": id });
    let refused = fixture.http.post(fixture.url("/v1/uploads")).json(&body).send().await;
    assert_eq!(refused.expect("answers").status(), 409);
    assert_eq!(fixture.uploads.depth().await.expect("asked").ready, 2);
    assert_eq!(upload(&fixture, "north", "1.jpg", Uuid::nil(), b"one").await.0, 202);
    let (kind, body) = form(&[("batch", "monday")], Some(("1.jpg", b"x")));
    let post = fixture.http.post(fixture.url("/v1/images")).header("content-type", kind);
    let refused = post.body(body).send().await;
    assert_eq!(refused.expect("answers").status(), 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_that_any_client_puts_with_the_metadata_are_a_batch() {
    let fixture = Fixture::open().await;
    let id = Uuid::new_v4();
    for (n, said) in [id.to_string(), format!(" {id}"), "monday".into()].into_iter().enumerate() {
        // The keys of some ask for the fast lane.
        let key = format!("incoming/north/stat/{n}.jpg");
        let metadata = ObjectMetadata::default().with("batch", said);
        let upload =
            Upload { key, body: vec![n as u8; 9].into(), lane: Default::default(), metadata };
        fixture.objects.put(upload).await.expect("stored");
    }
    let found = eventually("all are admitted", async || {
        let (_, list) = fixture.get("/v1/images").await;
        (list["total"] == 3).then_some(())?;
        Some(batch(&fixture, id).await)
    })
    .await;
    assert_eq!((&found["files"], &found["counts"]["queued"]), (&json!(2), &json!(2)));
    assert_eq!((&found["uploaded_by"], &found["site"]), (&Value::Null, &json!("north")));
    // Put again by a person, they are there already.
    let again = Uuid::new_v4();
    let (_, list) = fixture.get(&format!("/v1/images?batch={id}")).await;
    let ids: Vec<_> = list["items"].as_array().expect("items").iter().map(|it| &it["id"]).collect();
    let body = json!({ "ids": ids, "batch": again });
    let known = fixture.http.post(fixture.url("/v1/uploads/known")).json(&body).send().await;
    assert_eq!(
        known.expect("answers").json::<Value>().await.expect("JSON")["known"],
        json!([true, true])
    );
    let found = batch(&fixture, again).await;
    assert_eq!((&found["duplicates"], &found["files"]), (&json!(2), &json!(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_are_listed_newest_first_and_only_those_of_the_own_sites() {
    let fixture = Fixture::open().await;
    let ids: Vec<Uuid> = (0..5).map(|_| Uuid::new_v4()).collect();
    for (n, id) in ids.iter().enumerate() {
        let site = if n == 1 { "south" } else { "north" };
        known_in(&fixture, *id, site, &[format!("incoming/{site}/{n}.jpg")]).await;
    }
    fixture.sites(&["north", "south"]).await;
    let jane = person(&fixture, "jane", "clinician@north").await;
    let una = person(&fixture, "una", "uploader@north").await;
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let (status, page) = jane.get(&fixture, &format!("/v1/batches?limit=2{after}")).await;
        assert_eq!((status, &page["total"]), (200, &json!(4)));
        let items = page["items"].as_array().expect("items");
        found.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    let expected: Vec<_> = [4, 3, 2, 0].map(|n: usize| ids[n].to_string()).into();
    assert_eq!(found, expected);
    let (_, south) = jane.get(&fixture, "/v1/batches?site=south").await;
    assert_eq!((&south["total"], &south["items"]), (&json!(0), &json!([])));
    for path in ["/v1/batches?after=x", "/v1/batches?limit=51", "/v1/batches?limt=1"] {
        assert_eq!(jane.get(&fixture, path).await.0, 400, "{path}");
    }
    // Of another site's batch nobody learns more than of one that is not known.
    let alike = async |id: Uuid| {
        let mut told = Vec::new();
        for (method, end) in [("GET", ""), ("GET", "/export"), ("POST", "/retry")] {
            let who = if method == "POST" { &una } else { &jane };
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let path = format!("/v1/batches/{id}{end}");
            let answer = who.request(&fixture, method, &path).send().await.expect("answers");
            let status = answer.status().as_u16();
            let mut body: Value = answer.json().await.expect("JSON");
            body["request_id"] = Value::Null;
            told.push((status, body));
        }
        told
    };
    assert_eq!(alike(ids[1]).await, alike(Uuid::new_v4()).await);
    assert!(alike(ids[1]).await.iter().all(|(status, _)| *status == 404));
    let refusals = Filter { action: Some(Action::Refused), ..Filter::default() };
    let refused = eventually("it is on record", async || {
        let page = fixture.audit.page(&refusals, Cursor::NEWEST, 10).await.expect("read");
        (page.len() >= 3).then_some(page)
    })
    .await;
    assert!(refused.iter().all(|entry| entry.site.as_deref() == Some("south")));
    // Who only uploads sees none, and may try again what failed.
    assert_eq!(una.get(&fixture, "/v1/batches").await.0, 403);
    assert_eq!(
        una.post(&fixture, &format!("/v1/batches/{}/retry", ids[0]), json!({})).await.0,
        200
    );
    let reader = person(&fixture, "student", "reader@north").await;
    assert_eq!(
        reader.post(&fixture, &format!("/v1/batches/{}/retry", ids[0]), json!({})).await.0,
        403
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_of_a_batch_is_tried_again_by_ingest_and_said_in_the_audit_record() {
    let fixture = Fixture::open().await;
    let id = Uuid::new_v4();
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(admitted(&fixture, "north", id, n).await);
    }
    let others =
        known_in(&fixture, Uuid::new_v4(), "north", &["incoming/north/x.jpg".into()]).await;
    fixture.finish(&ids[..2], &failed()).await;
    fixture.finish(&ids[2..], &blank()).await;
    fixture.finish(&others, &failed()).await;
    // Their first jobs are done with.
    let jobs = fixture.jobs.routine.clone();
    let first = jobs.receive(10, std::time::Duration::from_secs(1), crate::fixture::PATIENCE).await;
    for delivery in first.expect("received") {
        jobs.settle(vec![(delivery.receipt, lobar_core::queue::Settlement::Done)]).await;
    }
    let path = format!("/v1/batches/{id}/retry");
    let retried = fixture.http.post(fixture.url(&path)).send().await.expect("answers");
    assert_eq!(retried.json::<Value>().await.expect("JSON"), json!({ "images": 2 }));
    let counts = &batch(&fixture, id).await["counts"];
    assert_eq!(
        (&counts["queued"], &counts["failed"], &counts["needs_human"]),
        (&json!(2), &json!(0), &json!(1))
    );
    eventually("ingest has given them jobs", async || {
        let depth = jobs.depth().await.expect("asked");
        (depth.ready == 2).then_some(())
    })
    .await;
    let filter = Filter { action: Some(Action::BatchRetried), ..Filter::default() };
    let entries = fixture.audit.page(&filter, Cursor::NEWEST, 10).await.expect("read");
    assert_eq!((entries.len(), entries[0].site.as_deref()), (1, Some("north")));
    let detail = entries[0].detail();
    assert_eq!(detail["batch"], json!(id.to_string()));
    let mut named: Vec<_> = detail["ids"].as_array().expect("ids").clone();
    let mut expected: Vec<_> = ids[..2].iter().map(|id| json!(id.to_string())).collect();
    for list in [&mut named, &mut expected] {
        list.sort_by_key(ToString::to_string);
    }
    assert_eq!(named, expected);
    fixture.finish(&ids[..2], &ready(0.1)).await;
    // Nothing is left: nothing is recorded either.
    let retried = fixture.http.post(fixture.url(&path)).send().await.expect("answers");
    assert_eq!(retried.json::<Value>().await.expect("JSON"), json!({ "images": 0 }));
    assert_eq!(fixture.audit.page(&filter, Cursor::NEWEST, 10).await.expect("read").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_exported_as_lines_of_which_none_is_a_formula() {
    let fixture = Fixture::open().await;
    let id = Uuid::new_v4();
    let keys: Vec<String> = (0..450).map(|n| format!("incoming/north/{n}.jpg")).collect();
    let ids = known_in(&fixture, id, "north", &keys).await;
    let hostile = Attributes { ..known("=HYPERLINK(\"http://x\")", "1.2.3", "20260301") };
    fixture.finish_known(&ids[..1], &ready(0.9), Some(&hostile)).await;
    fixture.finish(&ids[1..2], &blank()).await;
    let export = async |format: &str| {
        let path = format!("/v1/batches/{id}/export?format={format}");
        let answer = fixture.http.get(fixture.url(&path)).send().await.expect("answers");
        assert_eq!(answer.status(), 200);
        let of = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        let (kind, name, kept) =
            (of("content-type"), of("content-disposition"), of("cache-control"));
        assert_eq!(
            (name, kept),
            (format!("attachment; filename=\"batch-{id}.{format}\""), "no-store".into())
        );
        (kind, answer.text().await.expect("whole"))
    };
    let (kind, csv) = export("csv").await;
    assert_eq!(kind, "text/csv; charset=utf-8");
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!(lines.len(), 452, "a head, 450 images, and nothing after the last");
    assert!(lines[0].starts_with("id,status,reason,") && lines[451].is_empty());
    let first = lines.iter().find(|line| line.starts_with(&ids[0].to_string())).expect("its line");
    assert!(
        first.contains(",ready,,,,north,routine,") && first.contains(",true,0.9,0.4,test-1,"),
        "{first}"
    );
    assert!(first.contains(",\"'=HYPERLINK(\"\"http://x\"\")\","), "{first}");
    let (kind, lines) = export("ndjson").await;
    assert_eq!(kind, "application/x-ndjson");
    let items: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (_, page) = fixture.get(&format!("/v1/images?batch={id}&limit=200")).await;
    assert_eq!((items.len(), &page["total"]), (450, &json!(450)));
    for (item, listed) in items.iter().zip(page["items"].as_array().expect("items")) {
        assert_eq!((&item["id"], &item["result"]), (&listed["id"], &listed["result"]));
    }
    assert_eq!(fixture.get(&format!("/v1/batches/{id}/export?format=xlsx")).await.0, 400);
    let filter = Filter { action: Some(Action::Exported), ..Filter::default() };
    let entries = fixture.audit.page(&filter, Cursor::NEWEST, 10).await.expect("read");
    let formats: Vec<_> = entries.iter().map(|entry| entry.detail()["format"].clone()).collect();
    assert_eq!(formats, ["ndjson", "csv"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_counts_nor_exports_tell_a_result_to_whom_it_is_withheld_from() {
    let fixture = Fixture::open_with(of_all).await;
    let jane = person(&fixture, "jane", "clinician@north").await;
    let student = person(&fixture, "student", "reader@north").await;
    let id = Uuid::new_v4();
    let keys = ["incoming/north/1.jpg", "incoming/north/2.jpg"].map(str::to_owned);
    let ids = known_in(&fixture, id, "north", &keys).await;
    fixture.finish(&ids[..1], &ready(0.9)).await;
    fixture.finish(&ids[1..], &ready(0.1)).await;
    let (_, found) = jane.get(&fixture, &format!("/v1/batches/{id}")).await;
    assert_eq!((&found["flagged"], &found["counts"]["ready"]), (&Value::Null, &json!(2)));
    let (_, list) = jane.get(&fixture, "/v1/batches").await;
    assert_eq!(list["items"][0]["flagged"], Value::Null);
    for format in ["csv", "ndjson"] {
        let path = format!("/v1/batches/{id}/export?format={format}");
        let text = async |who: &crate::exposure::As| {
            let answer = who.request(&fixture, Method::GET, &path).send().await.expect("answers");
            answer.text().await.expect("whole")
        };
        let withheld = text(&jane).await;
        // Scores as they are written, not the fractions of seconds.
        for word in ["test-1", "PNEUMONIA", ",0.9,", ",0.1,", ":0.9", ":0.1", ",true,", ",false,"] {
            assert!(!withheld.contains(word), "{format}: {withheld}");
        }
        assert_eq!(withheld.matches("own_opinion_first").count(), 2, "{withheld}");
        let seen = text(&student).await;
        assert!(
            seen.contains(",0.9,") || seen.contains(":0.9"),
            "who is never asked sees it: {seen}"
        );
    }
    let (_, found) = student.get(&fixture, &format!("/v1/batches/{id}")).await;
    assert_eq!(found["flagged"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_image_leaves_the_counts_true_and_nothing_of_it_in_the_export() {
    let fixture = Fixture::open().await;
    let id = Uuid::new_v4();
    let erased = admitted(&fixture, "north", id, 1).await;
    let stays = admitted(&fixture, "north", id, 2).await;
    fixture.finish(&[erased, stays], &ready(0.9)).await;
    let path = format!("/v1/images/{erased}?reason=request");
    let answer = fixture.http.delete(fixture.url(&path)).send().await.expect("answers");
    assert!(answer.status().is_success(), "{}", answer.status());
    let found = batch(&fixture, id).await;
    assert_eq!(
        (&found["files"], &found["counts"]["erased"], &found["counts"]["ready"]),
        (&json!(2), &json!(1), &json!(1))
    );
    let path = fixture.url(&format!("/v1/batches/{id}/export"));
    let csv = fixture.http.get(path).send().await.expect("answers").text().await.expect("whole");
    assert!(!csv.contains(&erased.to_string()) && csv.contains(&stays.to_string()), "{csv}");
}
