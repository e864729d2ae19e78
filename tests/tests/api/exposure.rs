//! Own opinion first: what is withheld from whom, what reveals it, and what is on record of it.

use std::sync::Arc;

use lobar_api::ApiSettings;
use lobar_core::audit::{Cursor, Filter};
use lobar_core::exposure::{Share, Source, Visible};
use lobar_core::image::Lane;
use lobar_core::object::ImageId;
use reqwest::header::{COOKIE, ETAG, IF_NONE_MATCH, SET_COOKIE};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{Fixture, PASSWORD, eventually, new_image, ready};

/// Of every image that is not urgent.
pub fn of_all(settings: &mut ApiSettings) {
    settings.opinion_first = "1".parse::<Share>().expect("a share").into();
}

/// Somebody who has signed in, or a machine.
enum As {
    Person { cookie: String, csrf: String },
    Machine(String),
}

async fn person(fixture: &Fixture, name: &str, grants: &str) -> As {
    fixture.person(name, grants).await;
    let body = json!({ "name": name, "password": PASSWORD });
    let answer = fixture.http.post(fixture.url("/v1/session")).json(&body).send().await;
    let answer = answer.expect("answers");
    let cookie = answer.headers()[SET_COOKIE].to_str().expect("text");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let session: Value = answer.json().await.expect("JSON");
    As::Person { cookie, csrf: session["csrf_token"].as_str().expect("a token").to_owned() }
}

impl As {
    fn request(&self, fixture: &Fixture, method: Method, path: &str) -> RequestBuilder {
        let request = fixture.http.request(method, fixture.url(path));
        match self {
            Self::Person { cookie, csrf } => {
                request.header(COOKIE, cookie).header("lobar-csrf", csrf)
            }
            Self::Machine(token) => request.bearer_auth(token),
        }
    }

    async fn get(&self, fixture: &Fixture, path: &str) -> (u16, Value) {
        let answer = self.request(fixture, Method::GET, path).send().await.expect("answers");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn post(&self, fixture: &Fixture, path: &str, body: Value) -> (u16, Value) {
        let request = self.request(fixture, Method::POST, path).json(&body);
        let answer = request.send().await.expect("answers");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn withheld(&self, fixture: &Fixture, id: ImageId) -> Value {
        let (status, image) = self.get(fixture, &format!("/v1/images/{id}")).await;
        assert_eq!(status, 200, "{image}");
        assert_eq!(image["withheld"].is_null(), !image["result"].is_null(), "{image}");
        image["withheld"].clone()
    }
}

/// An image that was flagged and one that was not, on which somebody else has agreed.
async fn two(fixture: &Fixture) -> [ImageId; 2] {
    let keys = ["incoming/north/1.jpg", "incoming/north/2.jpg"].map(str::to_owned);
    let ids = fixture.admit(keys).await;
    fixture.finish(&ids[..1], &ready(0.9)).await;
    fixture.finish(&ids[1..], &ready(0.1)).await;
    eventually("the server has followed", async || {
        let last = fixture.stored_events().await.last().expect("events").position().number();
        let token = fixture.token("reader@*").await;
        let (_, list) = As::Machine(token).get(fixture, "/v1/images").await;
        (list["last_event"] == last).then_some(())
    })
    .await;
    [ids[0], ids[1]]
}

/// A text without what differs between any two images.
fn alike(text: &str, id: ImageId) -> String {
    let mut body: Value = serde_json::from_str(text).expect("JSON");
    for member in ["id", "received_at", "finished_at", "request_id"] {
        if let Some(place) = body.get_mut(member) {
            *place = Value::Null;
        }
    }
    body.to_string().replace(&id.to_string(), "ID")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_route_tells_a_result_to_a_reader_whose_opinion_is_asked_for_first() {
    let fixture = Arc::new(Fixture::open_with(of_all).await);
    let jane = person(&fixture, "jane", "clinician@north").await;
    let student = person(&fixture, "student", "reader@north").await;
    let elsewhere = person(&fixture, "olga", "clinician@south reader@north").await;
    let machine = As::Machine(fixture.token("clinician@north").await);
    let ids = two(&fixture).await;
    for id in ids {
        let agree = json!({ "opinion": "agree", "model_version": "test-1" });
        let path = format!("/v1/images/{id}/verdicts");
        assert_eq!(machine.post(&fixture, &path, agree).await.0, 201);
    }
    let mut stream = jane.request(&fixture, Method::GET, "/v1/events?after=0").send().await;
    let routes =
        |id: ImageId| ["", "/heatmap", "/verdicts"].map(|end| format!("/v1/images/{id}{end}"));
    // Asked before anybody has seen it, and again once others' answers are kept.
    for _ in 0..2 {
        let mut told = Vec::new();
        for id in ids {
            let mut of_image = Vec::new();
            for path in routes(id) {
                let answer =
                    jane.request(&fixture, Method::GET, &path).send().await.expect("answers");
                let (status, text) = (answer.status().as_u16(), answer.text().await.expect("text"));
                assert!(text.contains("own"), "{path}: it says why: {text}");
                for word in ["test-1", "PNEUMONIA", "NORMAL", "0.9", "0.1", "agree", "flagged"] {
                    assert!(!text.contains(word), "{path}: {text}");
                }
                of_image.push((status, alike(&text, id)));
            }
            let statuses: Vec<_> = of_image.iter().map(|(status, _)| *status).collect();
            assert_eq!(statuses, [200, 409, 200]);
            told.push(of_image);
        }
        assert_eq!(told[0], told[1], "a flagged image looks like another");
        let (_, list) = jane.get(&fixture, "/v1/images").await;
        for item in list["items"].as_array().expect("items") {
            assert_eq!(
                (&item["result"], &item["withheld"]),
                (&Value::Null, &json!("own_opinion_first"))
            );
        }
        assert_eq!((&list["total"], list["items"].as_array().map(Vec::len)), (&json!(2), Some(2)));
        for query in ["flagged=true", "flagged=false", "flagged=true&status=ready&site=north"] {
            let (status, refused) = jane.get(&fixture, &format!("/v1/images?{query}")).await;
            assert_eq!((status, &refused["type"]), (409, &json!("/problems/own-opinion-first")));
        }
        // Who cannot give verdicts there sees results, and so does a machine.
        for other in [&student, &elsewhere, &machine] {
            for id in ids {
                assert_eq!(other.withheld(&fixture, id).await, Value::Null);
            }
            assert_eq!(other.get(&fixture, &format!("/v1/images/{}/heatmap", ids[0])).await.0, 200);
        }
        for other in [&student, &machine] {
            let (status, list) = other.get(&fixture, "/v1/images?flagged=true").await;
            assert_eq!((status, &list["total"]), (200, &json!(1)));
        }
    }
    let stream = stream.as_mut().expect("a stream");
    let mut events = String::new();
    while events.matches("event: image").count() < 6 {
        let chunk = stream.chunk().await.expect("a chunk").expect("an open stream");
        events.push_str(std::str::from_utf8(&chunk).expect("text"));
    }
    for line in events.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let data: Value = serde_json::from_str(line).expect("JSON");
        let mut members: Vec<_> = data.as_object().expect("an object").keys().collect();
        members.sort();
        assert_eq!(members, ["id", "status"]);
    }
    // A verdict would tell what it agrees with, or that there is something to agree with.
    for body in [
        json!({ "opinion": "agree", "model_version": "test-1" }),
        json!({ "opinion": "disagree", "label": "NORMAL", "model_version": "test-1" }),
        json!({ "opinion": "not_assessable", "model_version": "test-2" }),
    ] {
        let (status, refused) =
            jane.post(&fixture, &format!("/v1/images/{}/verdicts", ids[0]), body).await;
        assert_eq!((status, &refused["type"]), (409, &json!("/problems/own-opinion-first")));
    }
    // The one who waits for the result is one who is asked, too.
    fixture.play_worker_as(ready(0.9), "reader@*").await;
    let body = json!({ "image": "AAECAwQF", "site": "north" });
    let (status, refused) = jane.post(&fixture, "/v1/predict", body).await;
    assert_eq!(
        (status, &refused["type"]),
        (409, &json!("/problems/own-opinion-first")),
        "{refused}"
    );
    assert!(refused["id"].is_string() && !refused.to_string().contains("0.9"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_opinion_reveals_the_result_to_its_reader_alone_and_stays() {
    let fixture = Fixture::open_with(of_all).await;
    let jane = person(&fixture, "jane", "clinician@north").await;
    let ben = person(&fixture, "ben", "clinician@north").await;
    let [id, _] = two(&fixture).await;
    let path = format!("/v1/images/{id}");
    let opinion = format!("{path}/opinion");
    let before = jane.request(&fixture, Method::GET, &path).send().await.expect("answers");
    let tag = before.headers()[ETAG].clone();
    for wrong in [json!({ "label": "normal" }), json!({ "label": null, "rendering": "picture" })] {
        assert_eq!(jane.post(&fixture, &opinion, wrong).await.0, 400);
    }
    let (status, kept) = jane.post(&fixture, &opinion, json!({ "label": "NORMAL" })).await;
    assert_eq!((status, &kept["opinion"], &kept["label"]), (201, &json!("own"), &json!("NORMAL")));
    // The very next answer has it, whatever a browser kept of the one before.
    let after = jane.request(&fixture, Method::GET, &path).header(IF_NONE_MATCH, &tag);
    let after = after.send().await.expect("answers");
    assert_eq!(after.status(), 200);
    assert_ne!(after.headers()[ETAG], tag);
    assert_eq!(jane.withheld(&fixture, id).await, Value::Null);
    assert_eq!(ben.withheld(&fixture, id).await, json!("own_opinion_first"));
    let (status, again) = jane.post(&fixture, &opinion, json!({ "label": "PNEUMONIA" })).await;
    assert_eq!((status, &again["type"]), (409, &json!("/problems/no-opinion-asked")));

    let agree = json!({ "opinion": "agree", "model_version": "test-1" });
    assert_eq!(jane.post(&fixture, &format!("{path}/verdicts"), agree).await.0, 201);
    let (_, said) = jane.get(&fixture, &format!("{path}/verdicts")).await;
    let said: Vec<_> = said["items"].as_array().expect("items").iter().collect();
    let words: Vec<_> = said.iter().map(|item| (&item["opinion"], &item["label"])).collect();
    assert_eq!(words, [(&json!("own"), &json!("NORMAL")), (&json!("agree"), &json!("PNEUMONIA"))]);
    let (_, said) = ben.get(&fixture, &format!("{path}/verdicts")).await;
    assert_eq!((&said["items"], &said["withheld"]), (&json!([]), &json!("own_opinion_first")));
    // Nothing is learnt from it: it is no verdict.
    assert_eq!(fixture.verdicts.of(id).await.expect("asked").len(), 1);
    let filter = Filter::default();
    let actions = fixture.audit.page(&filter, Cursor::NEWEST, 1_000).await.expect("read");
    let given: Vec<_> = actions.iter().filter(|entry| entry.action == "opinion_given").collect();
    assert_eq!((given.len(), given[0].actor.as_str(), given[0].image), (1, "jane", Some(id.0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_urgent_image_is_shown_at_once() {
    let fixture = Fixture::open_with(of_all).await;
    let jane = person(&fixture, "jane", "clinician@north").await;
    let mut urgent = new_image("incoming/north/1.jpg");
    urgent.lane = Lane::Stat;
    let id = fixture.store.admit(&[urgent]).await.expect("admitted")[0].id();
    fixture.finish(&[id], &ready(0.9)).await;
    assert_eq!(jane.withheld(&fixture, id).await, Value::Null);
    let (status, _) = jane.post(&fixture, &format!("/v1/images/{id}/opinion"), json!({})).await;
    assert_eq!(status, 409);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cannot_be_read_or_written_withholds() {
    let fixture = Fixture::open_with(of_all).await;
    let jane = person(&fixture, "jane", "clinician@north").await;
    let [id, other] = two(&fixture).await;
    let (path, opinion) = (format!("/v1/images/{id}"), format!("/v1/images/{id}/opinion"));
    let label = json!({ "label": "NORMAL" });
    fixture
        .damage("create trigger full before insert on first_opinion begin select raise(abort, 'full'); end")
        .await;
    let (status, _) = jane.post(&fixture, &opinion, label.clone()).await;
    assert!(status >= 500, "{status}");
    assert_eq!(jane.withheld(&fixture, id).await, json!("own_opinion_first"));
    fixture.damage("drop trigger full").await;
    assert_eq!(jane.post(&fixture, &opinion, label.clone()).await.0, 201);
    assert_eq!(jane.withheld(&fixture, id).await, Value::Null);

    fixture.damage("alter table first_opinion rename to away").await;
    for id in [id, other] {
        assert_eq!(jane.withheld(&fixture, id).await, json!("record_unavailable"));
        let path = format!("/v1/images/{id}");
        assert_eq!(jane.get(&fixture, &format!("{path}/heatmap")).await.0, 503);
        let agree = json!({ "opinion": "agree", "model_version": "test-1" });
        assert_eq!(jane.post(&fixture, &format!("{path}/verdicts"), agree).await.0, 503);
        assert_eq!(jane.post(&fixture, &format!("{path}/opinion"), label.clone()).await.0, 503);
    }
    let (_, list) = jane.get(&fixture, "/v1/images").await;
    for item in list["items"].as_array().expect("items") {
        assert_eq!((&item["status"], &item["result"]), (&json!("ready"), &Value::Null));
        assert_eq!(item["withheld"], "record_unavailable");
    }
    fixture.damage("alter table away rename to first_opinion").await;
    assert_eq!(jane.withheld(&fixture, id).await, Value::Null);
    assert_eq!(jane.get(&fixture, &format!("{path}/heatmap")).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_and_what_was_painted_is_on_record_apart() {
    let fixture = Fixture::open().await;
    let jane = person(&fixture, "jane", "reader@north").await;
    let machine = As::Machine(fixture.token("clinician@north").await);
    let [id, other] = two(&fixture).await;
    machine.get(&fixture, &format!("/v1/images/{other}")).await;
    for _ in 0..3 {
        jane.get(&fixture, &format!("/v1/images/{id}")).await;
    }
    jane.get(&fixture, &format!("/v1/images/{id}/heatmap")).await;
    let items: Vec<_> = [("word", 900), ("heatmap", 200)]
        .map(|(part, ago)| {
            json!({ "id": Uuid::new_v4(), "image": id, "model_sha256": "ab".repeat(32),
                "visible": [part, "probability"], "ago_ms": ago, "ms": 100 })
        })
        .into();
    for _ in 0..2 {
        let (status, kept) = jane.post(&fixture, "/v1/exposure", json!({ "items": items })).await;
        assert_eq!((status, &kept["kept"]), (200, &json!(2)));
    }
    let (_, none) = machine.post(&fixture, "/v1/exposure", json!({ "items": items })).await;
    assert_eq!(none["kept"], 0);
    let met = eventually("all are written", async || {
        let met = fixture.exposures.of_image(id).await.expect("asked");
        (met.len() == 4).then_some(met)
    })
    .await;
    let of = |source| {
        let of_source = met.iter().filter(|one| one.source == source);
        of_source.map(|one| (one.visible, one.millis)).collect::<Vec<_>>()
    };
    assert_eq!(of(Source::Sent), [(Visible::RESULT, 0), (Visible::HEATMAP, 0)]);
    let score = Visible::PROBABILITY;
    assert_eq!(
        of(Source::Painted),
        [(Visible::WORD | score, 100), (Visible::HEATMAP | score, 100)]
    );
    assert_eq!(fixture.exposures.of_image(other).await.expect("asked"), []);

    let one = |change: fn(&mut Value)| {
        let mut item = items[0].clone();
        item["id"] = json!(Uuid::new_v4());
        change(&mut item);
        json!({ "items": [item] })
    };
    for wrong in [
        one(|item| item["visible"] = json!(["everything"])),
        one(|item| item["visible"] = json!([])),
        one(|item| item["ms"] = json!(901)),
        one(|item| item["ago_ms"] = json!(100_000_000)),
        json!({ "items": vec![items[0].clone(); 101] }),
    ] {
        assert_eq!(jane.post(&fixture, "/v1/exposure", wrong).await.0, 400);
    }
    let unknown = one(|item| item["image"] = json!(Uuid::nil()));
    assert_eq!(jane.post(&fixture, "/v1/exposure", unknown).await.1["kept"], 0);
    let of_another = one(|item| item["model_sha256"] = json!("cd".repeat(32)));
    assert_eq!(jane.post(&fixture, "/v1/exposure", of_another).await.1["kept"], 0);
    let elsewhere = person(&fixture, "olga", "reader@south").await;
    assert_eq!(elsewhere.post(&fixture, "/v1/exposure", one(|_| {})).await.1["kept"], 0);
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_refuses_exposures_keeps_results_back_only_where_opinions_are_asked_for() {
    let refusing =
        "create trigger no_more before insert on exposure begin select raise(abort, 'no'); end";
    for is_asked in [true, false] {
        let fixture = match is_asked {
            true => Fixture::open_with(of_all).await,
            false => Fixture::open().await,
        };
        let student = person(&fixture, "student", "reader@north").await;
        let [one, other] = two(&fixture).await.map(|id| format!("/v1/images/{id}"));
        let is_ready = async |wanted: u16| {
            eventually("readiness is as it should be", async || {
                let status = fixture.http.get(fixture.url("/readyz")).send().await;
                (status.expect("answers").status() == wanted).then_some(())
            })
            .await;
        };
        is_ready(200).await;
        fixture.damage(refusing).await;
        assert_eq!(student.get(&fixture, &one).await.0, 200, "nobody knows yet");
        if is_asked {
            is_ready(503).await;
            assert_eq!(student.get(&fixture, &other).await.0, 503);
            fixture.damage("drop trigger no_more").await;
            is_ready(200).await;
        }
        assert_eq!(student.get(&fixture, &other).await.0, 200);
        is_ready(200).await;
    }
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
