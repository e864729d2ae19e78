//! What is withheld from whom, and what reveals it.

use std::sync::Arc;

use lobar_core::access::SiteName;
use lobar_core::audit::{Cursor, Filter};
use lobar_core::exposure::{Share, SiteShares};
use lobar_core::image::Lane;
use lobar_core::object::ImageId;
use reqwest::Method;
use reqwest::header::{ETAG, IF_NONE_MATCH};
use serde_json::{Value, json};

use super::{As, alike, of_all, person, two};
use crate::fixture::{Fixture, new_image, ready};

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
async fn a_site_has_a_share_of_its_own_and_who_judges_elsewhere_keeps_lists_by_flag() {
    let site = |name: &str| SiteName::parse(name).expect("a site");
    let share = |text: &str| text.parse::<Share>().expect("a share");
    let fixture = Fixture::open_with(|settings| {
        let sites = [(site("north"), share("1")), (site("south"), share("0"))].into();
        settings.opinion_first = SiteShares { others: share("0"), sites };
    })
    .await;
    let jane = person(&fixture, "jane", "clinician@north,south").await;
    let sam = person(&fixture, "sam", "clinician@south,west").await;
    let keys = ["north", "south", "west"].map(|site| format!("incoming/{site}/1.jpg"));
    let [north, south, west] = fixture.admit(keys).await.try_into().expect("three");
    fixture.finish(&[north, south, west], &ready(0.9)).await;
    assert_eq!(jane.withheld(&fixture, north).await, json!("own_opinion_first"));
    assert_eq!(jane.withheld(&fixture, south).await, Value::Null);
    assert_eq!(sam.withheld(&fixture, west).await, Value::Null, "it has that of all others");
    for (reader, asked, status) in [(&jane, true, 409), (&sam, false, 200)] {
        assert_eq!(reader.get(&fixture, "/v1/session").await.1["opinion_first"], asked);
        assert_eq!(reader.get(&fixture, "/v1/images?flagged=true").await.0, status);
    }
}
