//! The report, over HTTP.

use lobar_core::audit::{Cursor, Filter};
use lobar_core::object::ImageId;
use serde_json::json;
use uuid::Uuid;

use super::{As, of_all, person};
use crate::fixture::{Fixture, ready};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_counts_what_happened_and_says_who_asked() {
    let fixture = Fixture::open_with(of_all).await;
    let keys = (0..3).map(|n| format!("incoming/north/{n}.jpg"));
    let ids = fixture.admit(keys).await;
    fixture.finish(&ids, &ready(0.9)).await;
    let chief = person(&fixture, "chief", "clinician@north").await;
    // The network says pneumonia of all three. The chief says: it is right of the first two alone.
    for (id, label) in ids.iter().zip(["PNEUMONIA", "PNEUMONIA", "NORMAL"]) {
        read(&fixture, &chief, *id, label, label).await;
    }
    // First opinion and last verdict on each.
    let readings = [
        ("ada", [("NORMAL", "PNEUMONIA"), ("PNEUMONIA", "PNEUMONIA"), ("NORMAL", "PNEUMONIA")]),
        ("ben", [("NORMAL", "NORMAL"), ("NORMAL", "PNEUMONIA"), ("NORMAL", "NORMAL")]),
    ];
    for (name, labels) in readings {
        let reader = person(&fixture, name, "clinician@north").await;
        for (id, (first, last)) in ids.iter().zip(labels) {
            read(&fixture, &reader, *id, first, last).await;
        }
    }
    let auditor = As::Machine(fixture.token("auditor@*").await);
    let (_, shy) = auditor.get(&fixture, "/v1/exposure?adjudicator=chief").await;
    assert_eq!(shy["sites"][0]["few_readers"], true, "two readers beside the chief: {shy}");
    let (status, report) =
        auditor.get(&fixture, "/v1/exposure?adjudicator=chief&small=true&site=north").await;
    assert_eq!((status, &report["with_truth"]), (200, &json!(true)));
    let north = &report["sites"][0];
    let pair = |rate: &str| (north[rate]["count"].as_u64(), north[rate]["of"].as_u64());
    assert_eq!(north["opinions"], 6);
    assert_eq!(pair("turned_wrong"), (Some(1), Some(3)));
    assert_eq!(pair("turned_right"), (Some(2), Some(3)));
    assert_eq!(pair("misled"), (Some(1), Some(2)));
    assert_eq!(pair("helped"), (Some(2), Some(3)));
    assert_eq!(pair("changed"), (Some(3), Some(6)));
    let (_, by_person) =
        auditor.get(&fixture, "/v1/exposure?adjudicator=chief&by_person=true").await;
    assert_eq!(by_person["sites"].as_array().expect("rows").len(), 2);
    let (_, none) = auditor.get(&fixture, "/v1/exposure?since=2100-01-01&small=true").await;
    assert_eq!(none["sites"], json!([]));
    assert_eq!(auditor.get(&fixture, "/v1/exposure?since=yesterday").await.0, 400);
    let filter = Filter::default();
    let entries = fixture.audit.page(&filter, Cursor::After(0), 1_000).await;
    let asked: Vec<String> = entries
        .expect("read")
        .into_iter()
        .filter(|entry| entry.action == "exposure_read")
        .map(|entry| entry.detail.to_string())
        .collect();
    assert_eq!(asked.len(), 4);
    assert!(asked[2].contains("\"by_person\":true"), "{asked:?}");
    assert!(asked[2].contains("\"adjudicator\":\"chief\""), "{asked:?}");
    assert!(asked[3].contains("\"since\":4102444800000000"), "{asked:?}");
}

/// Gives a first opinion, sees the result painted, and gives a verdict.
async fn read(fixture: &Fixture, reader: &As, id: ImageId, first: &str, last: &str) {
    let path = format!("/v1/images/{id}");
    let (status, _) =
        reader.post(fixture, &format!("{path}/opinion"), json!({ "label": first })).await;
    assert_eq!(status, 201);
    let item = json!({ "id": Uuid::new_v4(), "image": id, "model_sha256": "ab".repeat(32), "visible": ["word"], "ago_ms": 0, "ms": 0 });
    assert_eq!(reader.post(fixture, "/v1/exposure", json!({ "items": [item] })).await.0, 200);
    let verdict = match last {
        "PNEUMONIA" => json!({ "opinion": "agree", "model_version": "test-1" }),
        _ => json!({ "opinion": "disagree", "label": last, "model_version": "test-1" }),
    };
    assert_eq!(reader.post(fixture, &format!("{path}/verdicts"), verdict).await.0, 201);
}
