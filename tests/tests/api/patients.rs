//! Whose images are, over HTTP: told with them, earlier ones of the same patient, and what people change.

use lobar_core::audit::{Action, Cursor, Filter};
use lobar_core::object::ImageId;
use lobar_core::population::AGE_UNKNOWN;
use lobar_core::store::Outcome;
use lobar_core::study::{Attributes, PatientId, Uid};
use lobar_tests::kit::radiograph_jpeg;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::fixture::{Fixture, blank, eventually, ready};

/// A patient's study on a day.
pub(crate) fn known(id: &str, study: &str, day: &str) -> Attributes {
    let mut known = Attributes::default();
    known.patient.id = PatientId { issuer: String::new(), id: id.into() };
    known.patient.name = Some("Müller^Jana".into());
    known.patient.birth_date = Some("20210302".into());
    known.patient.sex = Some("F".into());
    known.study.uid = Uid::parse(study);
    known.study.date = Some(day.into());
    known.study.accession = Some("A-1".into());
    known.series.modality = Some("DX".into());
    known.instance.view_position = Some("AP".into());
    known
}

impl Fixture {
    /// A finished image of a patient.
    async fn film(&self, key: &str, known: &Attributes) -> ImageId {
        let ids = self.admit([key.to_owned()]).await;
        self.finish_known(&ids, &ready(0.9), Some(known)).await;
        ids[0]
    }

    async fn ask(&self, method: Method, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let request = self.http.request(method, self.url(path)).bearer_auth(token);
        let request = if body.is_null() { request } else { request.json(body) };
        let answer = request.send().await.expect("answers");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// The patient's id as an image tells it.
    async fn patient_of(&self, image: ImageId) -> Value {
        self.get(&format!("/v1/images/{image}")).await.1["patient"]["id"].clone()
    }
}

fn ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("a list");
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_tells_whose_it_is_in_lists_too_and_one_of_which_nothing_is_known_does_not() {
    let fixture = Fixture::open().await;
    let id = fixture.film("incoming/north/1.jpg", &known("7", "1.2.3", "20260301")).await;
    let other = fixture.admit(["incoming/north/2.jpg".to_owned()]).await;
    fixture.finish(&other, &blank()).await;
    let (_, image) = fixture.get(&format!("/v1/images/{id}")).await;
    assert_eq!(
        image["patient"],
        json!({ "id": "7", "issuer": "", "name": "Müller^Jana", "birth_date": "20210302",
            "sex": "F", "age": "004Y", "former": null, "given_name": null })
    );
    assert_eq!(
        (&image["study"]["uid"], &image["study"]["date"]),
        (&json!("1.2.3"), &json!("20260301"))
    );
    assert_eq!(image["study"]["accession"], "A-1");
    assert_eq!(
        (&image["series"]["modality"], &image["instance"]["view_position"]),
        (&json!("DX"), &json!("AP"))
    );
    let (_, list) = fixture.get("/v1/images").await;
    let listed = list["items"].as_array().expect("a list");
    assert!(listed.iter().any(|item| item["patient"] == image["patient"]));
    let unknown = listed.iter().find(|item| item["id"] == json!(other[0])).expect("listed");
    for member in ["patient", "study", "series", "instance"] {
        assert_eq!(unknown[member], Value::Null, "{member}");
    }
    let (_, found) = fixture.get("/v1/images?patient=7").await;
    assert_eq!((ids(&found), &found["total"]), (vec![id.to_string()], &json!(1)));
    let (_, found) = fixture.get("/v1/images?patient=70").await;
    assert_eq!((ids(&found), &found["total"]), (vec![], &json!(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_upload_says_of_its_patient_becomes_metadata_of_the_object() {
    let fixture = Fixture::open_without_ingest().await;
    let picture = radiograph_jpeg(320, 300, 1);
    let send = async |fields: &[(&str, &str)]| {
        let mut form = Vec::new();
        let head = "--x\r\ncontent-disposition: form-data; name=\"";
        form.extend_from_slice(format!("{head}file\"; filename=\"a.jpg\"\r\n\r\n").as_bytes());
        form.extend_from_slice(&picture);
        for (name, value) in [("site", "north")].iter().chain(fields) {
            form.extend_from_slice(format!("\r\n{head}{name}\"\r\n\r\n{value}").as_bytes());
        }
        form.extend_from_slice(b"\r\n--x--\r\n");
        let request = fixture.http.post(fixture.url("/v1/images"));
        let request = request.header(CONTENT_TYPE, "multipart/form-data; boundary=x").body(form);
        request.send().await.expect("answers").status().as_u16()
    };
    assert_eq!(send(&[("patient_id", "7"), ("patient_name", "Müller^Jana")]).await, 202);
    assert_eq!(send(&[("patient_sex", "female")]).await, 400);
    assert_eq!(send(&[("study_date", "yesterday")]).await, 400);
    assert_eq!(send(&[("colour", "red")]).await, 400);

    let body = json!({ "site": "north", "priority": "stat", "names": ["a.jpg"],
        "identity": { "patient_id": "7/1", "study_date": "2026-03-01" } });
    let answer = fixture.http.post(fixture.url("/v1/uploads")).json(&body).send().await;
    let given: Value = answer.expect("answers").json().await.expect("JSON");
    let upload = &given["uploads"][0];
    let mut put = fixture.http.put(upload["url"].as_str().expect("a URL"));
    for (name, value) in upload["headers"].as_object().expect("headers") {
        put = put.header(name, value.as_str().expect("text"));
    }
    let put = put.body(picture).send().await.expect("answers");
    assert!(put.status().is_success(), "{}", put.status());
    let key = upload["key"].as_str().expect("a key").to_owned();
    let (version, etag) = (put.headers()["x-amz-version-id"].to_str().expect("text"), None);
    let version = Some(version.to_owned());
    let (bucket, sequencer, size) = ("xrays".to_owned(), None, None);
    let object = lobar_core::object::ObjectVersion { bucket, key, version, etag, sequencer, size };
    let fetched = fixture.objects.fetch(&object, 1_000_000).await.expect("there");
    let said = lobar_core::study::of_metadata(&fetched.metadata).expect("something");
    assert_eq!(said.patient.id.id, "7/1");
    assert_eq!(said.study.date.as_deref(), Some("20260301"));
    assert_eq!(fetched.metadata.get("priority"), Some("stat"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn priors_come_newest_first_with_their_results_and_only_to_readers_of_the_site() {
    let fixture = Fixture::open().await;
    let old = fixture.film("incoming/north/1.jpg", &known("7", "1.1", "20240101")).await;
    let new = fixture.film("incoming/north/2.jpg", &known("7", "1.2", "20250101")).await;
    fixture.film("incoming/south/3.jpg", &known("7", "1.3", "20250102")).await;
    let open = fixture.film("incoming/north/4.jpg", &known("7", "1.4", "20260301")).await;
    fixture.person("somebody", "admin@*").await;
    let token = fixture.token("reader@north").await;
    let path = format!("/v1/images/{open}/priors");
    let (status, list) = fixture.ask(Method::GET, &path, &token, &Value::Null).await;
    assert_eq!((status, ids(&list)), (200, vec![new.to_string(), old.to_string()]));
    let first = &list["items"][0];
    assert_eq!(first["result"]["probability"], json!(0.9));
    assert_eq!(first["study"]["date"], "20250101");
    let (_, list) =
        fixture.ask(Method::GET, &format!("{path}?limit=1"), &token, &Value::Null).await;
    assert_eq!(ids(&list), [new.to_string()]);
    for limit in ["0", "101", "x"] {
        let path = format!("{path}?limit={limit}");
        assert_eq!(fixture.ask(Method::GET, &path, &token, &Value::Null).await.0, 400, "{limit}");
    }
    let elsewhere = fixture.token("reader@south").await;
    assert_eq!(fixture.ask(Method::GET, &path, &elsewhere, &Value::Null).await.0, 404);
    let uploader = fixture.token("uploader@north").await;
    assert_eq!(fixture.ask(Method::GET, &path, &uploader, &Value::Null).await.0, 403);
    eventually("it is on record", async || {
        let filter = Filter { action: Some(Action::Listed), ..Filter::default() };
        let entries = fixture.audit.page(&filter, Cursor::After(0), 100).await.expect("read");
        entries.iter().any(|entry| entry.detail.contains(&open.to_string())).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prior_s_result_is_withheld_where_its_reader_is_asked_first() {
    let fixture = Fixture::open_with(crate::exposure::of_all).await;
    fixture.film("incoming/north/1.jpg", &known("7", "1.1", "20240101")).await;
    let open = fixture.film("incoming/north/2.jpg", &known("7", "1.2", "20260301")).await;
    let (_, list) = fixture.get(&format!("/v1/images/{open}/priors")).await;
    let prior = &list["items"][0];
    assert_eq!((&prior["result"], &prior["withheld"]), (&Value::Null, &json!("own_opinion_first")));
    assert_eq!(prior["patient"]["id"], "7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patients_are_merged_separated_corrected_and_studies_moved_by_clinicians_of_their_site() {
    let fixture = Fixture::open().await;
    let a = fixture.film("incoming/north/1.jpg", &known("Sown7", "1.1", "20240101")).await;
    let b = fixture.film("incoming/north/2.jpg", &known("Sown8", "1.2", "20250101")).await;
    let body = json!({ "site": "north", "from": { "id": "Sown7" }, "into": { "id": "Sown8" } });
    fixture.person("somebody", "admin@*").await;
    for (grants, status) in [
        ("reader@north", 403),
        ("admin@*", 403),
        ("clinician@south", 403),
        ("clinician@north", 200),
    ] {
        let token = fixture.token(grants).await;
        let (answered, said) = fixture.ask(Method::POST, "/v1/patients/merge", &token, &body).await;
        assert_eq!(answered, status, "{grants}: {said}");
        if status == 200 {
            assert_eq!(said["images"], json!([a]));
        }
    }
    let token = fixture.token("clinician@north").await;
    let ask = async |method, path: &str, body: Value| {
        let (status, said) = fixture.ask(method, path, &token, &body).await;
        (status, said["type"].as_str().unwrap_or_default().to_owned())
    };
    let of = async |image| {
        let path = format!("/v1/images/{image}");
        fixture.ask(Method::GET, &path, &token, &Value::Null).await.1["patient"].clone()
    };
    let ok = (200, String::new());
    let now = of(a).await;
    assert_eq!((&now["id"], &now["former"]), (&json!("Sown8"), &json!("Sown7")));
    // To an id that is another's now.
    let seven = json!({ "patient": { "id": "Sown7" } });
    let path = format!("/v1/images/{b}/patient");
    let merged = (409, "/problems/patient-merged".to_owned());
    assert_eq!(ask(Method::POST, &path, seven.clone()).await, merged);
    let apart = json!({ "site": "north", "patient": { "id": "Sown7" } });
    assert_eq!(ask(Method::POST, "/v1/patients/separate", apart.clone()).await, ok);
    let unknown = (404, "/problems/unknown-patient".to_owned());
    assert_eq!(ask(Method::POST, "/v1/patients/separate", apart).await, unknown);
    assert_eq!(of(a).await["id"], "Sown7");
    assert_eq!(ask(Method::POST, &path, seven).await, ok);
    assert_eq!(of(b).await["id"], "Sown7");
    let right = json!({ "site": "north", "patient": { "id": "Sown7" }, "name": "Roe^Ann", "birth_date": "2020-03-02" });
    assert_eq!(ask(Method::PUT, "/v1/patients", right).await, ok);
    let now = of(b).await;
    assert_eq!(
        (&now["name"], &now["birth_date"], &now["sex"]),
        (&json!("Roe^Ann"), &json!("20200302"), &json!("F"))
    );
    for bad in [
        json!({ "site": "north", "patient": { "id": "Sown7" }, "sex": "female" }),
        json!({ "site": "north", "patient": { "id": "" }, "sex": "F" }),
        json!({ "site": "Doe, Jane", "patient": { "id": "Sown7" }, "sex": "F" }),
        json!({ "site": "north", "patient": { "id": "Sown7" }, "colour": "red" }),
    ] {
        assert_eq!(ask(Method::PUT, "/v1/patients", bad).await.0, 400);
    }
    let nobody = json!({ "site": "north", "patient": { "id": "9" }, "sex": "F" });
    assert_eq!(ask(Method::PUT, "/v1/patients", nobody).await, unknown);
    // On record by opaque ids.
    let filter = Filter { action: Some(Action::PatientChanged), ..Filter::default() };
    let entries = fixture.audit.page(&filter, Cursor::After(0), 100).await.expect("read");
    assert_eq!(entries.len(), 4);
    for entry in &entries {
        assert!(entry.subject.is_some() && entry.site.as_deref() == Some("north"));
        assert_eq!(entry.role.as_deref(), Some("clinician"));
        assert!(!entry.detail.contains("Sown") && !entry.detail.contains("Roe"));
    }
    let contents = fixture.contents().await;
    let bare = ["patient", "patient_alias", "patient_before", "study_moved", "instance"];
    for (table, rows) in contents.iter().filter(|(table, _)| !bare.contains(&table.as_str())) {
        assert!(!rows.contains("Sown") && !rows.contains("Roe^Ann"), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_tells_what_its_file_says_otherwise_and_the_warning_of_it() {
    let fixture = Fixture::open().await;
    fixture.film("incoming/north/1.jpg", &known("7", "1.1", "20240101")).await;
    let mut other = known("7", "1.2", "20240102");
    other.patient.name = Some("Roe^Ann".into());
    let id = fixture.film("incoming/north/2.jpg", &other).await;
    let (_, image) = fixture.get(&format!("/v1/images/{id}")).await;
    assert_eq!(image["patient"]["given_name"], json!("Roe^Ann"));
    assert_eq!(image["instance"]["warnings"], json!(["patient_differs"]));
    let of_result = image["result"]["warnings"].as_array().expect("warnings");
    assert!(of_result.contains(&json!("patient_differs")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_is_erased_with_the_others_of_its_instance() {
    let fixture = Fixture::open().await;
    let mut known = known("7", "1.1", "20240101");
    known.instance.uid = Uid::parse("1.1.1");
    let older = fixture.film("incoming/north/1.jpg", &known).await;
    let newer = fixture.film("incoming/north/2.jpg", &known).await;
    let (_, image) = fixture.get(&format!("/v1/images/{older}")).await;
    assert_eq!(image["status"], json!("superseded"));
    let url = fixture.url(&format!("/v1/images/{newer}?reason=request"));
    let answer = fixture.http.delete(url).send().await.expect("answers");
    assert!(answer.status().is_success());
    for id in [older, newer] {
        let (status, problem) = fixture.get(&format!("/v1/images/{id}")).await;
        assert_eq!((status, &problem["type"]), (410, &json!("/problems/erased")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_kept_tells_of_a_patient_as_they_are_now() {
    let fixture = Fixture::open().await;
    let id = fixture.film("incoming/north/1.jpg", &known("7", "1.1", "20240101")).await;
    let path = format!("/v1/images/{id}");
    let tag = async || {
        let answer = fixture.http.get(fixture.url(&path)).send().await.expect("answers");
        answer.headers()["etag"].to_str().expect("text").to_owned()
    };
    let before = tag().await;
    assert_eq!(tag().await, before);
    let mut events = fixture.events("").await;
    let body = json!({ "site": "north", "from": { "id": "7" }, "into": { "id": "8" } });
    let merged = fixture.http.post(fixture.url("/v1/patients/merge")).json(&body).send().await;
    assert_eq!(merged.expect("answers").status(), 200);
    assert_eq!(fixture.patient_of(id).await, json!("8"));
    assert_ne!(tag().await, before);
    // Pages that show it are told to look again.
    assert_eq!(events.image().await.id, id.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_patient_is_in_events_or_metrics_and_only_readers_of_the_site_find_them() {
    let fixture = Fixture::open().await;
    let mut sown = known("SOWN-71", "1.99.1", "20240101");
    sown.patient.name = Some("SOWN^Jana".into());
    let id = fixture.film("incoming/north/1.jpg", &sown).await;
    let mut stream = fixture.events("?after=0").await;
    assert_eq!(stream.images(3).await[2].id, id.to_string());
    fixture.person("somebody", "admin@*").await;
    for (grants, found) in [("reader@north", 1), ("reader@south", 0)] {
        let token = fixture.token(grants).await;
        let path = "/v1/images?patient=SOWN-71";
        let (_, list) = fixture.ask(Method::GET, path, &token, &Value::Null).await;
        assert_eq!(list["total"], json!(found), "{grants}");
    }
    for text in [&stream.text, &fixture.metrics().await] {
        assert!(!text.contains("SOWN") && !text.contains("1.99.1"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_whose_image_it_is_and_a_prior_beside_it_by_the_keyboard_alone() {
    let fixture = Fixture::open().await;
    let mut hostile = known("7<img src=x onerror=document.title='owned'>", "1.1", "20240101");
    hostile.patient.name = Some("<b>Doe</b>^Jana".into());
    let picture = radiograph_jpeg(700, 640, 3);
    let upload = async || {
        let sent = fixture.http.post(fixture.url("/v1/images?site=north")).body(picture.clone());
        let receipt: Value = sent.send().await.expect("answers").json().await.expect("JSON");
        let id: ImageId = receipt["id"].as_str().expect("an id").parse().expect("an id");
        eventually("it is admitted", async || {
            fixture.store.image(id).await.expect("asked").map(drop)
        })
        .await;
        id
    };
    let prior = upload().await;
    fixture.finish_known(&[prior], &ready(0.1), Some(&hostile)).await;
    hostile.study.uid = Uid::parse("1.2");
    hostile.study.date = Some("20260301".into());
    let id = upload().await;
    fixture.finish_known(&[id], &ready(0.9), Some(&hostile)).await;

    let browser = Browser::open(&fixture.url("/")).await;
    let row = format!("tr[data-id='{id}'] .patient");
    let about = "ID 7<img src=x onerror=document.title='owned'> · 4 y · F";
    let particulars = &format!("{about} · 2026-03-01");
    browser.text_becomes(&row, "<b>Doe</b>, Jana").await;
    browser.text_becomes(&row, about).await;
    browser.click(&format!("tr[data-id='{id}'] .open")).await;
    browser.text_becomes(".viewer-bar h1", particulars).await;
    browser.text_becomes("#viewer .facts", "A-1").await;
    browser.text_becomes(".priors", "2024-01-01, AP").await;
    browser.run("document.querySelector('.priors button').focus()").await;
    browser.press(&fantoccini::key::Key::Enter.to_string()).await;
    browser.text_becomes(".prior figcaption", "Prior, 2024-01-01").await;
    browser.text_becomes(".prior figcaption", "Not flagged").await;
    let beside = "const [one, two] = [document.querySelector('.layers .picture'), document.querySelector('.prior .picture')]; \
        if (!two || two.naturalWidth !== 700 || one.naturalWidth !== 700) return false; \
        const [a, b] = [one.getBoundingClientRect(), two.getBoundingClientRect()]; \
        return a.right <= b.left && a.width > 100 && b.width > 100";
    browser.becomes(beside).await;
    browser.becomes("return document.querySelector('.priors button').ariaPressed === 'true'").await;
    browser.press(&fantoccini::key::Key::Enter.to_string()).await;
    browser.becomes("return document.querySelector('.prior').hidden").await;
    let title = browser.run("return document.title").await;
    assert!(!title.to_string().contains("Jana") && !title.to_string().contains("owned"));
    let injected = browser
        .run("return document.querySelectorAll('img[src=x], .patient b, h1 b, dd b').length")
        .await;
    assert_eq!(injected, json!(0));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_warns_of_the_person_in_rows_priors_and_the_head() {
    let fixture = Fixture::open().await;
    let ageless = known("7", "1.1", "20240101");
    let prior = fixture.admit(["incoming/north/1.jpg".to_owned()]).await[0];
    let Outcome::Ready(mut finding) = ready(0.1) else { panic!("a finding") };
    finding.warnings = vec![AGE_UNKNOWN.into()];
    fixture.finish_known(&[prior], &Outcome::Ready(finding), Some(&ageless)).await;
    let mut other = known("7", "1.2", "20240102");
    other.patient.name = Some("Roe^Ann".into());
    let id = fixture.film("incoming/north/2.jpg", &other).await;

    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes(&format!("tr[data-id='{prior}'] .warned"), "Age unknown").await;
    browser.text_becomes(&format!("tr[data-id='{id}'] .warned"), "Other person?").await;
    browser.click(&format!("tr[data-id='{id}'] .open")).await;
    browser.text_becomes(".viewer-bar h1 .warned", "Other person?").await;
    browser.text_becomes(".priors .warned", "Age unknown").await;
    browser.close().await;
}
