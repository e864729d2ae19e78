//! Erasing an image over HTTP.

use lobar_core::audit::{Action, Cursor, Filter};
use lobar_core::object::ImageId;
use lobar_core::object_store::FetchError;
use lobar_tests::kit::radiograph_jpeg;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::fixture::{Fixture, eventually, ready};
use crate::signing_in::browser_of;

impl Fixture {
    async fn erase(&self, id: ImageId, query: &str) -> (StatusCode, Value) {
        let url = self.url(&format!("/v1/images/{id}{query}"));
        let answer = self.http.delete(url).send().await.expect("an answer");
        (answer.status(), answer.json().await.expect("JSON"))
    }

    /// An image that was uploaded, and flagged.
    async fn uploaded(&self) -> ImageId {
        let picture = radiograph_jpeg(300, 200, 1);
        let sent = self.http.post(self.url("/v1/images?site=north")).body(picture).send().await;
        let receipt: Value = sent.expect("an answer").json().await.expect("JSON");
        let id: ImageId = receipt["id"].as_str().expect("an id").parse().expect("an id");
        eventually("it is admitted", async || self.store.image(id).await.expect("asked")).await;
        self.finish(&[id], &ready(0.9)).await;
        id
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_image_is_gone_from_every_answer_and_from_the_bucket() {
    let fixture = Fixture::open().await;
    let id = fixture.uploaded().await;
    let object = fixture.store.image(id).await.expect("asked").expect("known").object;
    let verdict = json!({ "model_version": "test-1", "opinion": "agree" });
    let path = format!("/v1/images/{id}/verdicts");
    let given = fixture.http.post(fixture.url(&path)).json(&verdict).send().await;
    assert_eq!(given.expect("an answer").status(), 201);
    // So that it is in the cache.
    eventually("it is shown", async || {
        let (_, item) = fixture.get(&format!("/v1/images/{id}")).await;
        (item["verdict"]["opinion"] == "agree").then_some(())
    })
    .await;
    let last = fixture.stored_events().await.last().expect("events").position().number();
    let mut stream = fixture.events(&format!("?after={last}")).await;

    let (status, left) = fixture.erase(id, "?reason=request").await;
    assert_eq!((status.as_u16(), &left["state"]), (200, &json!("erased")), "{left}");
    assert_eq!(left["id"], id.to_string());
    for what in ["", "/picture", "/heatmap", "/verdicts"] {
        let (status, problem) = fixture.get(&format!("/v1/images/{id}{what}")).await;
        assert_eq!((status, &problem["type"]), (410, &json!("/problems/erased")), "{what}");
        assert_eq!(problem["erased_at"], left["asked_at"]);
    }
    let given = fixture.http.post(fixture.url(&path)).json(&verdict).send().await;
    assert_eq!(given.expect("an answer").status(), 410);
    let (_, list) = fixture.get("/v1/images").await;
    assert_eq!((&list["items"], &list["total"]), (&json!([]), &json!(0)));
    let event = stream.image().await;
    assert_eq!((event.id, event.status.as_str()), (id.to_string(), "removed"));
    let fetched = fixture.objects.fetch(&object, 1_000_000).await;
    assert!(matches!(fetched, Err(FetchError::Gone)), "{fetched:?}");
    assert_eq!(fixture.verdicts.labelled(None, 10).await.expect("asked"), []);

    // Asked again it is as it was, and one entry tells of it.
    assert_eq!(fixture.erase(id, "?reason=mistake").await, (StatusCode::OK, left));
    let filter = Filter { action: Some(Action::Erased), ..Filter::default() };
    let entries = fixture.audit.page(&filter, Cursor::After(0), 10).await.expect("read");
    assert_eq!(entries.len(), 1);
    let entry = &entries[0];
    assert_eq!((entry.image, entry.site.as_deref()), (Some(id.0), Some("north")));
    assert_eq!((&*entry.actor_kind, entry.role.as_deref()), ("local", Some("admin")));
    assert_eq!(entry.detail(), json!({ "reason": "request" }));
    assert!(entry.request.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_image_is_known_to_its_uploader_who_does_not_send_it_again() {
    let fixture = Fixture::open().await;
    let id = fixture.uploaded().await;
    assert_eq!(fixture.erase(id, "?reason=request").await.0, 200);
    fixture.person("somebody", "admin@*").await;
    let ids = json!({ "ids": [id.to_string(), uuid::Uuid::nil().to_string()] });
    for (grant, known) in [("uploader@north", [true, false]), ("uploader@south", [false, false])] {
        let token = fixture.token(grant).await;
        let asked = fixture.http.post(fixture.url("/v1/uploads/known")).bearer_auth(token);
        let answer = asked.json(&ids).send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        assert_eq!(answer, json!({ "known": known }), "{grant}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reason_is_asked_for_and_what_is_not_known_is_not_erased() {
    let fixture = Fixture::open().await;
    let id = fixture.uploaded().await;
    for query in ["", "?reason=", "?reason=because", "?reason=request&force=1"] {
        let (status, problem) = fixture.erase(id, query).await;
        assert_eq!((status.as_u16(), &problem["type"]), (400, &json!("/problems/bad-parameter")));
    }
    let (status, _) = fixture.get(&format!("/v1/images/{id}")).await;
    assert_eq!(status, 200);
    let (status, problem) = fixture.erase(ImageId(uuid::Uuid::nil()), "?reason=request").await;
    assert_eq!((status.as_u16(), &problem["type"]), (404, &json!("/problems/unknown-image")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_an_image_was_erased_is_told_at_its_site_only() {
    let fixture = Fixture::open().await;
    let id = fixture.uploaded().await;
    fixture.person("somebody", "admin@*").await;
    let ask = async |method: reqwest::Method, grant: &str| {
        let token = fixture.token(grant).await;
        let url = fixture.url(&format!("/v1/images/{id}?reason=consent"));
        let url = if method == "GET" { fixture.url(&format!("/v1/images/{id}")) } else { url };
        let answer = fixture.http.request(method, url).bearer_auth(token).send().await;
        answer.expect("an answer").status().as_u16()
    };
    let (get, delete) = (reqwest::Method::GET, reqwest::Method::DELETE);
    assert_eq!(ask(delete.clone(), "clinician@*").await, 403);
    assert_eq!(ask(delete.clone(), "admin@north").await, 403, "of use at every site only");
    assert_eq!(ask(delete.clone(), "admin@*").await, 200);
    assert_eq!(ask(get.clone(), "clinician@north").await, 410);
    assert_eq!(ask(get, "clinician@south").await, 404);
    assert_eq!(ask(delete, "admin@*").await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_page_an_admin_erases_an_image_by_its_id_with_a_reason_and_on_purpose() {
    let fixture = Fixture::open().await;
    let (id, other) =
        (fixture.uploaded().await, fixture.admit(["incoming/north/b.jpg".into()]).await[0]);
    fixture.person("ada", "admin@*").await;
    let browser = browser_of(&fixture, "ada", "/#/people").await;
    browser.text_becomes("#erase h2", "Erase an image").await;
    browser.click("#erase summary").await;
    let send = "#erase button[type=submit]";
    let why = "document.querySelector('#erase select').value = 'request'";
    browser.fill("#erase input[type=text]", &id.to_string()).await;
    // Neither without a reason nor unless it is meant.
    browser.click(send).await;
    browser.run(why).await;
    browser.click(send).await;
    assert!(fixture.store.image(id).await.expect("asked").is_some());
    browser.click("#erase input[type=checkbox]").await;
    browser.screenshot("erase.png").await;
    browser.click(send).await;
    browser.text_becomes("#erase [role=status]", &format!("{id} is erased.")).await;
    assert!(fixture.store.image(id).await.expect("asked").is_none());
    assert!(fixture.store.image(other).await.expect("asked").is_some(), "that one alone");
    let filter = Filter { action: Some(Action::Erased), ..Filter::default() };
    let entries = fixture.audit.page(&filter, Cursor::After(0), 10).await.expect("read");
    let [entry] = entries.as_slice() else { panic!("one entry") };
    assert_eq!((entry.image, entry.actor.as_str()), (Some(id.0), "ada"));
    assert_eq!(entry.detail(), json!({ "reason": "request" }));

    // What nobody knows is said to be unknown.
    browser.fill("#erase input[type=text]", &uuid::Uuid::nil().to_string()).await;
    browser.run(why).await;
    browser.click("#erase input[type=checkbox]").await;
    browser.click(send).await;
    browser.text_becomes("#erase .form-fault", "o image").await;
    browser.close().await;

    // Who manages no people has no such form.
    fixture.person("jane", "clinician@north").await;
    let browser = browser_of(&fixture, "jane", "/#/people").await;
    browser.text_becomes("#connection", "live").await;
    assert_eq!(browser.run("return document.querySelector('#erase')").await, Value::Null);
    browser.close().await;
}
