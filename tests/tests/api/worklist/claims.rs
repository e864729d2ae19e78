//! `/v1/images/{id}/claim`.

use lobar_core::audit::{Cursor, Filter};
use reqwest::Method;

use super::*;
use crate::exposure::person;

async fn claim(fixture: &Fixture, reader: &As, id: ImageId, query: &str) -> (u16, Value) {
    reader.post(fixture, &format!("/v1/images/{id}/claim{query}"), Value::Null).await
}

async fn release(fixture: &Fixture, reader: &As, id: ImageId) -> u16 {
    let path = format!("/v1/images/{id}/claim");
    reader.request(fixture, Method::DELETE, &path).send().await.expect("answers").status().as_u16()
}

async fn reading(fixture: &Fixture, reader: &As, id: ImageId) -> Value {
    reader.get(fixture, &format!("/v1/images/{id}")).await.1["reading"].take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_has_an_image_open_is_told_to_others_who_may_take_it_over() {
    let fixture = Fixture::open().await;
    let jane = person(&fixture, "jane", "clinician@north").await;
    let olga = person(&fixture, "olga", "clinician@*").await;
    let student = person(&fixture, "student", "reader@north clinician@south").await;
    let [id, ..] = of_every_rank(&fixture).await;
    let (status, first) = claim(&fixture, &jane, id, "").await;
    assert_eq!((status, &first["mine"], &first["by"]), (200, &json!(true), &json!("jane")));
    let (status, warned) = claim(&fixture, &olga, id, "").await;
    let student_told = claim(&fixture, &student, id, "?take_over=true").await;
    assert_eq!(student_told, (200, warned.clone()), "who judges nothing there takes nothing over");
    let told =
        json!({ "mine": false, "by": "jane", "since": first["since"], "until": first["until"] });
    assert_eq!((status, warned), (200, told), "a warning");
    let seen = reading(&fixture, &olga, id).await;
    assert_eq!((&seen["state"], &seen["by"]), (&json!("reading"), &json!("jane")));
    assert_eq!((&seen["since"], &seen["until"]), (&first["since"], &first["until"]));
    assert!(seen["waiting_since"].is_string(), "it waits for its verdict still");

    // It blocks nobody.
    agree(&fixture, &As::Machine(fixture.token("clinician@north").await), id).await;
    assert_eq!(olga.get(&fixture, &format!("/v1/images/{id}")).await.0, 200);

    let (_, taken) = claim(&fixture, &olga, id, "?take_over=true").await;
    assert_eq!((&taken["mine"], &taken["by"]), (&json!(true), &json!("olga")));
    assert_eq!(claim(&fixture, &jane, id, "").await.1["by"], "olga");
    assert_eq!(release(&fixture, &jane, id).await, 204);
    assert_eq!(reading(&fixture, &jane, id).await["by"], "olga", "another's claim stays");
    assert_eq!(release(&fixture, &olga, id).await, 204);
    assert_eq!(release(&fixture, &olga, id).await, 204);
    let nobody = json!({ "mine": false, "by": null, "since": null, "until": null });
    assert_eq!(claim(&fixture, &student, id, "").await, (200, nobody));
    assert_eq!(reading(&fixture, &jane, id).await["state"], "verified");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_its_reader_leaves_alone_lapses() {
    let fixture =
        Fixture::open_with(|settings| settings.reading_lease = Duration::from_millis(500)).await;
    let jane = person(&fixture, "jane", "clinician@north").await;
    let olga = person(&fixture, "olga", "clinician@north").await;
    let [id, ..] = of_every_rank(&fixture).await;
    claim(&fixture, &jane, id, "").await;
    let taken = eventually("it lapses", async || {
        let (_, answer) = claim(&fixture, &olga, id, "").await;
        (answer["mine"] == true).then_some(answer)
    })
    .await;
    assert_eq!(taken["by"], "olga");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_are_told_of_by_events_without_names_and_are_on_record() {
    let fixture = Fixture::open().await;
    let jane = person(&fixture, "jane", "clinician@north").await;
    let olga = person(&fixture, "olga", "clinician@north").await;
    let [id, ..] = of_every_rank(&fixture).await;
    let token = fixture.token("reader@north").await;
    let last = fixture.stored_events().await.last().expect("events").position().number();
    let mut stream = fixture.events_of(&format!("?after={last}"), &token).await;
    claim(&fixture, &jane, id, "").await;
    claim(&fixture, &jane, id, "").await;
    claim(&fixture, &olga, id, "").await;
    claim(&fixture, &olga, id, "?take_over=true").await;
    release(&fixture, &olga, id).await;
    for _ in 0..3 {
        let event = stream.image().await;
        assert_eq!((event.id, event.status.as_str()), (id.to_string(), "ready"));
    }
    let after = fixture.stored_events().await;
    let fresh = after.iter().filter(|event| event.position().number() > last).count();
    assert_eq!(fresh, 3, "a claim that is made longer, or warned of, is no event");

    let entries = eventually("it is on record", async || {
        let filter = Filter { image: Some(id), ..Filter::default() };
        let page = fixture.audit.page(&filter, Cursor::After(0), 100).await.expect("read");
        let of_claims: Vec<_> =
            page.into_iter().filter(|entry| entry.action.starts_with("reading_")).collect();
        (of_claims.len() >= 3).then_some(of_claims)
    })
    .await;
    let told: Vec<_> =
        entries.iter().map(|entry| (entry.actor.as_str(), entry.action.as_str())).collect();
    let expected =
        [("jane", "reading_claimed"), ("olga", "reading_claimed"), ("olga", "reading_released")];
    assert_eq!(told, expected);
    let detail: Value = serde_json::from_str(&entries[1].detail).expect("JSON");
    assert_eq!(detail["taken_from"], json!(entries[0].actor_id), "by an id, without a name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_of_another_site_gone_or_asked_for_wrongly_is_not_claimed() {
    let fixture = Fixture::open().await;
    let olga = person(&fixture, "olga", "clinician@south").await;
    let jane = person(&fixture, "jane", "clinician@north").await;
    let [id, human, ..] = of_every_rank(&fixture).await;
    for query in ["", "?take_over=true"] {
        let (status, problem) = claim(&fixture, &olga, id, query).await;
        assert_eq!((status, &problem["type"]), (404, &json!("/problems/unknown-image")));
    }
    assert_eq!(release(&fixture, &olga, id).await, 404);
    for query in ["?take_over=perhaps", "?taken=true"] {
        assert_eq!(claim(&fixture, &jane, id, query).await.0, 400, "{query}");
    }
    assert_eq!(reading(&fixture, &jane, id).await["state"], "unread");
    fixture.store.remove(&new_image("incoming/north/human.jpg").object).await.expect("removed");
    assert_eq!(claim(&fixture, &jane, human, "").await.0, 404);
}
