//! Verdicts on what their reader saw, verdicts that are taken back, and two readers for an image, over HTTP.

use lobar_api::ApiSettings;
use lobar_core::access::{SiteName, Sites};
use lobar_core::audit::{Action, Cursor, Filter};
use lobar_core::object::ImageId;
use reqwest::Method;
use reqwest::header::{ETAG, IF_MATCH};
use serde_json::{Value, json};

use crate::exposure::{As, person};
use crate::fixture::{Fixture, eventually, ready};

/// Two readers at north.
pub fn of_north(settings: &mut ApiSettings) {
    settings.double_reading = Sites::one(SiteName::parse("north").expect("a name"));
}

pub fn agree() -> Value {
    json!({ "model_version": "test-1", "opinion": "agree", "displayed": ["picture"] })
}

pub fn disagree() -> Value {
    json!({ "model_version": "test-1", "opinion": "disagree", "label": "NORMAL" })
}

/// A flagged image of north.
pub async fn flagged(fixture: &Fixture, name: &str) -> ImageId {
    let id = fixture.admit([format!("incoming/north/{name}.jpg")]).await[0];
    fixture.finish(&[id], &ready(0.9)).await;
    id
}

async fn image(who: &As, fixture: &Fixture, id: ImageId) -> Value {
    who.get(fixture, &format!("/v1/images/{id}")).await.1
}

/// A verdict on what an answer before showed.
async fn say(
    who: &As,
    fixture: &Fixture,
    id: ImageId,
    tag: &Value,
    verdict: &Value,
) -> (u16, Value) {
    let path = format!("/v1/images/{id}/verdicts");
    let tag = tag.as_str().expect("a tag");
    let request = who.request(fixture, Method::POST, &path).header(IF_MATCH, tag).json(verdict);
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn withdraw(who: &As, fixture: &Fixture, id: ImageId, verdict: &Value) -> (u16, Value) {
    let verdict = verdict["id"].as_str().expect("an id");
    let path = format!("/v1/images/{id}/verdicts/{verdict}/withdrawal");
    let answer = who.request(fixture, Method::POST, &path).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

/// The order of what is to be read.
async fn waiting(who: &As, fixture: &Fixture) -> Vec<String> {
    let (_, page) = who.get(fixture, "/v1/images?order=urgency").await;
    let items = page["items"].as_array().expect("a list");
    assert_eq!(page["total"], items.len());
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

/// Asks until the answers follow the last event.
async fn becomes(what: &str, ask: impl AsyncFn() -> bool) {
    eventually(what, async || ask().await.then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_on_what_is_not_the_newest_any_more_is_refused_and_told_what_is_newer() {
    let fixture = Fixture::open().await;
    let [ada, ben] = [
        person(&fixture, "ada", "clinician@*").await,
        person(&fixture, "ben", "clinician@*").await,
    ];
    let id = flagged(&fixture, "a").await;
    let seen = image(&ada, &fixture, id).await["verdicts_etag"].clone();
    let list = ada.request(&fixture, Method::GET, &format!("/v1/images/{id}/verdicts"));
    let list = list.send().await.expect("an answer");
    assert_eq!(json!(list.headers()[ETAG].to_str().expect("text")), seen);

    let (status, first) = say(&ben, &fixture, id, &seen, &disagree()).await;
    assert_eq!(status, 201, "{first}");
    let (status, problem) = say(&ada, &fixture, id, &seen, &agree()).await;
    assert_eq!((status, &problem["type"]), (412, &json!("/problems/newer-than-seen")));
    assert_eq!(problem["newer"], "verdict");
    assert_eq!(fixture.verdicts.of(id).await.expect("asked").len(), 1, "it was not kept");
    // Who sends none is held to the version of the model alone, as before.
    let (status, _) = ada.post(&fixture, &format!("/v1/images/{id}/verdicts"), agree()).await;
    assert_eq!(status, 201);
    becomes("ada looks again", async || {
        let seen = image(&ada, &fixture, id).await["verdicts_etag"].clone();
        say(&ada, &fixture, id, &seen, &agree()).await.0 == 201
    })
    .await;

    let another = json!("\"v1-7-0\"");
    let (status, problem) = say(&ada, &fixture, id, &another, &agree()).await;
    assert_eq!((status, &problem["newer"]), (412, &json!("result")));
    let (status, _) = say(&ada, &fixture, id, &json!("no tag"), &agree()).await;
    assert_eq!(status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_is_taken_back_by_its_reader_and_both_rows_stay() {
    let fixture = Fixture::open().await;
    let [ada, ben] = [
        person(&fixture, "ada", "clinician@*").await,
        person(&fixture, "ben", "clinician@*").await,
    ];
    let id = flagged(&fixture, "a").await;
    let verdicts = format!("/v1/images/{id}/verdicts");
    let noted = json!({ "model_version": "test-1", "opinion": "not_assessable",
        "causes": ["rotation", "other"], "note": "<b>Mrs Doe</b> moved" });
    let (_, first) = ada.post(&fixture, &verdicts, noted.clone()).await;
    assert_eq!((&first["causes"], &first["note"]), (&noted["causes"], &noted["note"]));
    let (_, second) = ada.post(&fixture, &verdicts, agree()).await;
    assert_eq!(waiting(&ada, &fixture).await, Vec::<String>::new());

    assert_eq!(withdraw(&ben, &fixture, id, &second).await.0, 404, "another's");
    let (status, problem) = withdraw(&ada, &fixture, id, &first).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/not-newest-verdict")));
    let (status, taken) = withdraw(&ada, &fixture, id, &second).await;
    assert!(status == 200 && taken["withdrawn_at"].is_string(), "{taken}");
    assert_eq!(withdraw(&ada, &fixture, id, &second).await, (200, taken.clone()), "once");
    let (_, list) = ben.get(&fixture, &verdicts).await;
    assert_eq!(list["items"], json!([first, taken]));
    becomes("the one before counts", async || {
        image(&ben, &fixture, id).await["verdict"]["id"] == first["id"]
    })
    .await;
    withdraw(&ada, &fixture, id, &first).await;
    becomes("none counts", async || image(&ben, &fixture, id).await["verdict"].is_null()).await;
    assert_eq!(waiting(&ada, &fixture).await, [id.to_string()]);

    // On record is what was said and that there was a note, not the note.
    let entries =
        fixture.audit.page(&Filter::default(), Cursor::After(0), 1_000).await.expect("read");
    let of =
        |action: Action| entries.iter().filter(|entry| entry.action == action.as_str()).count();
    assert_eq!((of(Action::VerdictGiven), of(Action::VerdictWithdrawn)), (2, 3));
    let details: Vec<_> = entries.iter().map(|entry| entry.detail.to_string()).collect();
    assert!(details.iter().any(|detail| detail.contains("\"note\":true")));
    assert!(!details.iter().any(|detail| detail.contains("Doe")), "{details:?}");
    let kept = fixture.contents().await;
    assert!(kept["verdict"].contains("Mrs Doe"));
    assert!(kept.iter().all(|(table, rows)| table == "verdict" || !rows.contains("Mrs Doe")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_readers_read_for_themselves_and_a_third_decides_where_they_differ() {
    let fixture = Fixture::open_with(of_north).await;
    let [ada, ben, eve] = [
        person(&fixture, "ada", "clinician@*").await,
        person(&fixture, "ben", "clinician@*").await,
        person(&fixture, "eve", "clinician@*").await,
    ];
    let student = person(&fixture, "sam", "reader@*").await;
    let id = flagged(&fixture, "a").await;
    let reading = async |who: &As| image(who, &fixture, id).await["reading"].clone();
    assert_eq!(reading(&ada).await["readers"], json!({ "given": 0, "needed": 2, "mine": false }));

    let first = image(&ada, &fixture, id).await["verdicts_etag"].clone();
    let (status, said) = say(&ada, &fixture, id, &first, &agree()).await;
    assert_eq!(status, 201, "{said}");
    becomes("the first is told of their own", async || {
        image(&ada, &fixture, id).await["verdict"]["id"] == said["id"]
    })
    .await;
    // The second is told that there is one, and nothing of what it says.
    let shown = image(&ben, &fixture, id).await;
    assert_eq!(shown["verdict"], Value::Null);
    assert_eq!(shown["verdicts_etag"], first, "nothing that they know is newer");
    assert_eq!(shown["reading"]["state"], "partly_read");
    assert_eq!(shown["reading"]["readers"], json!({ "given": 1, "needed": 2, "mine": false }));
    let (_, list) = ben.get(&fixture, &format!("/v1/images/{id}/verdicts")).await;
    assert_eq!(list, json!({ "items": [], "withheld": "own_verdict_first" }));
    assert_eq!(image(&student, &fixture, id).await["verdict"]["id"], said["id"], "who gives none");
    assert_eq!(waiting(&ada, &fixture).await, Vec::<String>::new());
    assert_eq!(waiting(&ben, &fixture).await, [id.to_string()]);

    let (status, other) = say(&ben, &fixture, id, &first, &disagree()).await;
    assert_eq!(status, 201, "{other}");
    assert_eq!(reading(&eve).await["state"], "disagreement");
    for who in [&ada, &ben] {
        assert_eq!(waiting(who, &fixture).await, Vec::<String>::new());
    }
    assert_eq!(waiting(&eve, &fixture).await, [id.to_string()]);
    becomes("whoever decides sees both", async || {
        let (_, list) = eve.get(&fixture, &format!("/v1/images/{id}/verdicts")).await;
        list["items"].as_array().is_some_and(|items| items.len() == 2)
            && image(&eve, &fixture, id).await["verdict"]["id"] == other["id"]
    })
    .await;
    let seen = image(&eve, &fixture, id).await["verdicts_etag"].clone();
    assert_eq!(say(&eve, &fixture, id, &seen, &agree()).await.0, 201);
    let read = reading(&ada).await;
    assert_eq!((&read["state"], &read["waiting_since"]), (&json!("verified"), &Value::Null));
    assert_eq!(waiting(&eve, &fixture).await, Vec::<String>::new());

    // At other sites one is enough.
    let south = fixture.admit(["incoming/south/a.jpg".to_owned()]).await[0];
    fixture.finish(&[south], &ready(0.9)).await;
    let (status, _) = ada.post(&fixture, &format!("/v1/images/{south}/verdicts"), agree()).await;
    assert_eq!(status, 201);
    let read = image(&ben, &fixture, south).await["reading"].clone();
    assert_eq!((&read["state"], &read["readers"]), (&json!("verified"), &Value::Null));
}
