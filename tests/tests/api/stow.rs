//! STOW-RS, as dicomweb-client and as others send it.

use std::path::Path;
use std::process::Command;

use lobar_core::access::Who;
use lobar_core::audit::Actor;
use lobar_core::erasure::{ErasureOrder, ErasureReason};
use lobar_core::object::ImageId;
use lobar_testkit::python_program;
use serde_json::{Value, json};

use crate::fixture::{Fixture, eventually};

const RELATED: &str = "multipart/related; type=\"application/dicom\"; boundary=b";

/// A file of an instance, explicit little endian, with so many bytes of pixels.
pub(crate) fn file(instance: &str, study: &str, pixels: usize) -> Vec<u8> {
    let mut bytes = [vec![0; 128], b"DICM".to_vec()].concat();
    let mut put = |group: u16, element: u16, vr: &str, value: &[u8]| {
        let padded = value.len() + value.len() % 2;
        bytes.extend([group.to_le_bytes(), element.to_le_bytes()].concat());
        bytes.extend(vr.as_bytes());
        match vr {
            "OB" => bytes.extend([&[0, 0][..], &(padded as u32).to_le_bytes()].concat()),
            _ => bytes.extend((padded as u16).to_le_bytes()),
        }
        bytes.extend(value);
        bytes.resize(bytes.len() + padded - value.len(), 0);
    };
    put(0x0002, 0x0010, "UI", b"1.2.840.10008.1.2.1");
    put(0x0008, 0x0016, "UI", b"1.2.840.10008.5.1.4.1.1.1");
    put(0x0008, 0x0018, "UI", instance.as_bytes());
    put(0x0010, 0x0020, "LO", b"4711");
    put(0x0020, 0x000d, "UI", study.as_bytes());
    put(0x7fe0, 0x0010, "OB", &vec![1; pixels]);
    bytes
}

fn body(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        body.extend(b"--b\r\nContent-Type: application/dicom\r\n\r\n");
        body.extend([part.as_slice(), b"\r\n"].concat());
    }
    body.extend(b"--b--\r\n");
    body
}

const METADATA: &str = "multipart/related; type=\"application/dicom+json\"; boundary=b";

/// Metadata, and bulk data with their media types and locations.
fn described(metadata: &Value, bulk: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut body = b"--b\r\nContent-Type: application/dicom+json\r\n\r\n".to_vec();
    body.extend(metadata.to_string().into_bytes());
    for (kind, location, content) in bulk {
        let head =
            format!("\r\n--b\r\nContent-Type: {kind}\r\nContent-Location: {location}\r\n\r\n");
        body.extend([head.as_bytes(), content].concat());
    }
    body.extend(b"\r\n--b--\r\n");
    body
}

fn data_set(instance: &str, location: &str) -> Value {
    json!({
        "00080016": { "vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.1"] },
        "00080018": { "vr": "UI", "Value": [instance] },
        "00100020": { "vr": "LO", "Value": ["4711"] },
        "0020000D": { "vr": "UI", "Value": ["1.2.3.1"] },
        "7FE00010": { "vr": "OW", "BulkDataURI": location },
    })
}

async fn post(
    fixture: &Fixture,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (u16, Value) {
    let mut request = fixture.http.post(fixture.url(path)).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

pub(crate) async fn stow(fixture: &Fixture, path: &str, parts: &[Vec<u8>]) -> (u16, Value) {
    post(fixture, path, &[("content-type", RELATED)], body(parts)).await
}

async fn count(fixture: &Fixture, total: usize) -> Value {
    eventually("the images", async || {
        let (_, list) = fixture.get("/v1/images").await;
        (list["total"] == total).then_some(list)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dicomweb_client_stores_one_several_one_again_and_of_a_mix_the_good_ones() {
    let fixture = Fixture::open().await;
    let token = fixture.token("uploader@north reader@north").await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/stow.py");
    let url = fixture.url("/dicom-web");
    let ran = tokio::task::spawn_blocking({
        let token = token.clone();
        move || Command::new(python_program("python3")).arg(script).args([url, token]).output()
    });
    let ran = ran.await.expect("no panic").expect("it runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let told: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    let stored = |uids: &[&str]| json!({ "stored": uids, "failed": [], "reasons": [] });
    assert_eq!(told["one"], stored(&["1.2.3.4.1"]));
    assert_eq!(told["several"], stored(&["1.2.3.4.2", "1.2.3.4.3", "1.2.3.4.4"]));
    assert_eq!(told["again"], stored(&["1.2.3.4.1"]));
    let mixed = json!({ "stored": ["1.2.3.4.5"], "failed": ["1.2.3.4.6"], "reasons": [0xa900] });
    assert_eq!(told["mixed"], mixed);
    assert_eq!(told["none"], 409);
    // Five instances became five images of the caller's site; the second sending of the first became none.
    let list = eventually("the images", async || {
        let request = fixture.http.get(fixture.url("/v1/images")).bearer_auth(&token);
        let list: Value = request.send().await.ok()?.json().await.ok()?;
        (list["total"] == 5).then_some(list)
    })
    .await;
    let items = list["items"].as_array().expect("items");
    assert!(items.iter().all(|item| item["site"] == "north"), "{list}");
    fixture.stop().await;
}

#[tokio::test]
async fn what_is_no_instance_is_told_of_and_what_is_one_is_stored() {
    let fixture = Fixture::open().await;
    let good = file("1.2.3.4", "1.2.3.1", 100);
    let path = "/dicom-web/studies?site=north&priority=stat";
    let (status, told) =
        stow(&fixture, path, &[b"no DICOM".to_vec(), good.clone(), Vec::new()]).await;
    assert_eq!(status, 202, "{told}");
    let reasons = &told["0008119A"]["Value"];
    assert_eq!(reasons.as_array().map(Vec::len), Some(2), "{told}");
    assert_eq!(reasons[0]["00081197"]["Value"], json!([0xc000]));
    assert_eq!(told["00081199"]["Value"][0]["00081155"]["Value"], json!(["1.2.3.4"]));
    let list = count(&fixture, 1).await;
    assert_eq!(
        (&list["items"][0]["site"], &list["items"][0]["priority"]),
        (&json!("north"), &json!("stat"))
    );

    assert_eq!(stow(&fixture, path, &[b"no DICOM".to_vec()]).await.0, 409);
    // The same data set in another file: the same instance.
    let mut again = good;
    again[0] = 1;
    assert_eq!(stow(&fixture, path, &[again, file("1.2.3.5", "1.2.3.1", 101)]).await.0, 200);
    count(&fixture, 2).await;
    fixture.stop().await;
}

#[tokio::test]
async fn a_request_that_is_none_is_refused_by_what_is_wrong_with_it() {
    let fixture = Fixture::open().await;
    let good = || body(&[file("1.2.3.4", "1.2.3.1", 100)]);
    let other = |root: &str| format!("multipart/related; type=\"{root}\"; boundary=b");
    let (xml, jpeg) = (other("application/dicom+xml"), other("image/jpeg"));
    let studies = "/dicom-web/studies";
    let accepts_xml = "/dicom-web/studies?accept=application/dicom%2Bxml";
    for (path, headers, body, expected) in [
        (accepts_xml, &[("content-type", RELATED)][..], good(), (406, "not-acceptable")),
        (studies, &[("content-type", xml.as_str())][..], good(), (415, "wrong-media-type")),
        (studies, &[("content-type", METADATA)], good(), (400, "bad-multipart")),
        (
            studies,
            &[("content-type", METADATA)],
            described(&json!({}), &[]),
            (400, "bad-multipart"),
        ),
        (studies, &[("content-type", METADATA)], b"--b--".to_vec(), (400, "bad-multipart")),
        (
            studies,
            &[("content-type", METADATA)],
            described(&json!("x".repeat(3 << 20)), &[]),
            (413, "too-large"),
        ),
        (studies, &[("content-type", &jpeg)], good(), (415, "wrong-media-type")),
        (studies, &[("content-type", "application/dicom")], good(), (415, "wrong-media-type")),
        (
            studies,
            &[("content-type", RELATED), ("content-encoding", "gzip")],
            good(),
            (415, "wrong-content-encoding"),
        ),
        (
            studies,
            &[("content-type", RELATED), ("accept", "application/dicom+xml")],
            good(),
            (406, "not-acceptable"),
        ),
        (studies, &[("content-type", RELATED)], b"--b--\r\n".to_vec(), (400, "bad-multipart")),
        (studies, &[("content-type", RELATED)], good()[..200].to_vec(), (400, "bad-multipart")),
        ("/dicom-web/studies/Doe", &[("content-type", RELATED)], good(), (400, "bad-parameter")),
        (
            "/dicom-web/studies?site=..",
            &[("content-type", RELATED)],
            good(),
            (400, "bad-parameter"),
        ),
        ("/dicom-web/studies?x=1", &[("content-type", RELATED)], good(), (400, "bad-parameter")),
    ] {
        let (status, told) = post(&fixture, path, headers, body).await;
        let kind = told["type"].as_str().unwrap_or_default();
        assert_eq!(
            (status, kind.trim_start_matches("/problems/")),
            expected,
            "{path} {headers:?} {told}"
        );
    }
    count(&fixture, 0).await;
    fixture.stop().await;
}

#[tokio::test]
async fn an_instance_that_is_too_large_or_of_another_type_costs_only_itself() {
    let fixture = Fixture::open_with(|settings| settings.body_bytes = 2_000_000).await;
    let (first, last) = (file("1.2.3.4", "1.2.3.1", 100), file("1.2.3.5", "1.2.3.1", 100));
    let large = file("1.2.3.6", "1.2.3.1", 5_000_000);
    let other = b"--b\r\nContent-Type: image/jpeg\r\n\r\nno DICOM\r\n".to_vec();
    let sent = [other, body(&[first, large, last])].concat();
    let path = "/dicom-web/studies?accept=application/dicom%2Bjson";
    let (status, told) = post(&fixture, path, &[("content-type", RELATED)], sent).await;
    assert_eq!(status, 202, "{told}");
    let reasons = told["0008119A"]["Value"].as_array().expect("failures");
    let reasons: Vec<_> = reasons.iter().map(|item| &item["00081197"]["Value"][0]).collect();
    assert_eq!(reasons, [0xc000, 0xa700]);
    count(&fixture, 2).await;
    fixture.stop().await;
}

#[tokio::test]
async fn an_erased_instance_whose_object_is_still_there_is_not_confirmed() {
    let fixture = Fixture::open().await;
    let files = [file("1.2.3.4", "1.2.3.1", 100)];
    assert_eq!(stow(&fixture, "/dicom-web/studies", &files).await.0, 200);
    let list = count(&fixture, 1).await;
    let id: ImageId = list["items"][0]["id"].as_str().expect("an id").parse().expect("an id");
    let object = fixture.store.image(id).await.expect("asked").expect("known").object;
    let order = ErasureOrder {
        reason: ErasureReason::Request,
        actor: Actor::from(&Who::Local),
        role: None,
        request: None,
        detail: json!({}),
    };
    // Forgotten, and not yet deleted.
    fixture.erasure.erasures.erase(&[object], &order).await.expect("erased");
    let (status, told) = stow(&fixture, "/dicom-web/studies", &files).await;
    assert_eq!(status, 409, "{told}");
    let item = &told["00081198"]["Value"][0];
    assert_eq!(item["00081155"]["Value"], json!(["1.2.3.4"]));
    assert_eq!(item["00081197"]["Value"], json!([0x0110]));
    // Deleted: what is put now is another version, and so another image.
    fixture.erasure.finish().await.expect("finished");
    assert_eq!(stow(&fixture, "/dicom-web/studies", &files).await.0, 200);
    let list = count(&fixture, 1).await;
    assert_ne!(list["items"][0]["id"], id.to_string());
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_instance_that_comes_several_times_at_once_is_one_object() {
    let fixture = Fixture::open().await;
    let files = [file("1.2.3.4", "1.2.3.1", 100_000)];
    let sent = (0..6).map(|_| stow(&fixture, "/dicom-web/studies", &files));
    for (status, told) in futures::future::join_all(sent).await {
        assert_eq!(status, 200, "{told}");
    }
    let page = fixture.erasure.objects.versions("", None).await.expect("lists");
    assert_eq!(page.versions.len(), 1);
    count(&fixture, 1).await;
    fixture.stop().await;
}

#[tokio::test]
async fn an_instance_whose_image_failed_is_stored_again() {
    let fixture = Fixture::open().await;
    let files = [file("1.2.3.4", "1.2.3.1", 100)];
    assert_eq!(stow(&fixture, "/dicom-web/studies", &files).await.0, 200);
    let list = count(&fixture, 1).await;
    let id: ImageId = list["items"][0]["id"].as_str().expect("an id").parse().expect("an id");
    fixture.store.claim(&[id], 0).await.expect("given up");
    assert_eq!(stow(&fixture, "/dicom-web/studies", &files).await.0, 200);
    let list = count(&fixture, 2).await;
    assert_ne!(list["items"][0]["id"], id.to_string());
    fixture.stop().await;
}

/// What was stored of a body is let go of, so that a study may be larger than what one client may hold.
#[tokio::test]
async fn a_body_may_be_larger_than_all_bodies_together() {
    let fixture = Fixture::open_with(|settings| settings.body_bytes = 2_000_000).await;
    let files: Vec<_> =
        (0..30).map(|n| file(&format!("1.2.3.4.{n}"), "1.2.3.1", 150_000)).collect();
    let (status, told) = stow(&fixture, "/dicom-web/studies/1.2.3.1", &files).await;
    assert_eq!(status, 200, "{told}");
    count(&fixture, 30).await;
    fixture.stop().await;
}

#[tokio::test]
async fn a_caller_of_several_sites_names_one_and_only_one_of_theirs() {
    let fixture = Fixture::open().await;
    // The default site is as good as another; `*` is everywhere.
    for grants in ["uploader@north uploader@local", "uploader@*"] {
        let bearer = format!("Bearer {}", fixture.token(grants).await);
        let headers = [("content-type", RELATED), ("authorization", bearer.as_str())];
        let sent = body(&[file("1.2.3.4", "1.2.3.1", 100)]);
        assert_eq!(post(&fixture, "/dicom-web/studies", &headers, sent).await.0, 400, "{grants}");
    }
    let token = fixture.token("uploader@north uploader@south").await;
    let bearer = format!("Bearer {token}");
    let headers = [("content-type", RELATED), ("authorization", bearer.as_str())];
    let good = || body(&[file("1.2.3.4", "1.2.3.1", 100)]);
    assert_eq!(post(&fixture, "/dicom-web/studies", &headers, good()).await.0, 400);
    assert_eq!(post(&fixture, "/dicom-web/studies?site=east", &headers, good()).await.0, 403);
    assert_eq!(post(&fixture, "/dicom-web/studies?site=south", &headers, good()).await.0, 200);
    fixture.stop().await;
}

#[tokio::test]
async fn metadata_and_bulk_data_apart_become_instances_that_are_stored_once() {
    let fixture = Fixture::open_with(|settings| settings.body_bytes = 2_000_000).await;
    let plain = "application/octet-stream";
    let all = json!([
        data_set("1.2.3.4", "bulk/1"),
        data_set("1.2.3.5", "bulk/2"),
        data_set("1.2.3.6", "bulk/3"),
        data_set("1.2.3.7", "bulk/4"),
        data_set("1.2.3.8", "bulk/5"),
    ]);
    let (pixels, large) = (vec![1; 100], vec![0; 5_000_000]);
    let bulk = [
        (plain, "bulk/2", &pixels[..]),
        ("image/jls", "bulk/1", &pixels),
        (plain, "bulk/nobody", &large),
        ("text/html", "bulk/3", &pixels),
        (plain, "bulk/4", &large),
    ];
    for _ in 0..2 {
        let headers = [("content-type", METADATA)];
        let sent = described(&all, &bulk);
        let (status, told) = post(&fixture, "/dicom-web/studies/1.2.3.1", &headers, sent).await;
        assert_eq!(status, 202, "{told}");
        let stored: Vec<_> = told["00081199"]["Value"]
            .as_array()
            .expect("instances")
            .iter()
            .map(|item| item["00081155"]["Value"][0].clone())
            .collect();
        assert_eq!(stored, ["1.2.3.5", "1.2.3.4"]);
        let failed: Vec<_> = told["00081198"]["Value"]
            .as_array()
            .expect("instances")
            .iter()
            .map(|item| {
                (item["00081155"]["Value"][0].clone(), item["00081197"]["Value"][0].clone())
            })
            .collect();
        let expected = [("1.2.3.6", 0xc000), ("1.2.3.7", 0xa700), ("1.2.3.8", 0xc000)];
        assert_eq!(failed, expected.map(|(uid, why)| (json!(uid), json!(why))));
        count(&fixture, 2).await;
    }
    fixture.stop().await;
}
