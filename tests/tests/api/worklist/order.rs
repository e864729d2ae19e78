//! `GET /v1/images?order=urgency`.

use super::*;
use crate::exposure::{of_all, person};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_most_urgent_comes_first_and_pages_join() {
    let fixture = Fixture::open_with(|settings| settings.reading_cap = CAP).await;
    let [rest, human, flagged, urgent, overdue] = of_every_rank(&fixture).await;
    let order = words(&[overdue, flagged, urgent, human, rest]);
    let (status, list) = fixture.get("/v1/images?order=urgency").await;
    // The flagged and the urgent one are of one rank and of one moment: their ids decide.
    let (mut got, mut expected) = (ids(&list), order);
    got[1..3].sort_unstable();
    expected[1..3].sort_unstable();
    assert_eq!((status, got, &list["total"]), (200, expected, &json!(5)));
    let whole = ids(&list);
    for limit in 1..=5 {
        let (mut paged, mut next) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/images?order=urgency&limit={limit}{next}");
            let (_, page) = fixture.get(&path).await;
            paged.extend(ids(&page));
            match page["next"].as_str() {
                Some(token) => next = format!("&after={token}"),
                None => break,
            }
        }
        assert_eq!(paged, whole, "in pages of {limit}");
    }
    for (query, count) in
        [("site=north", 5), ("site=south", 0), ("status=needs_human", 1), ("flagged=true", 1)]
    {
        let (_, list) = fixture.get(&format!("/v1/images?order=urgency&{query}")).await;
        assert_eq!((ids(&list).len(), &list["total"]), (count, &json!(count)), "{query}");
    }
}

#[tokio::test]
async fn a_place_in_one_order_is_none_in_another_and_unknown_orders_are_refused() {
    let fixture = Fixture::open().await;
    of_every_rank(&fixture).await;
    let (_, by_time) = fixture.get("/v1/images?limit=1").await;
    let (_, by_urgency) = fixture.get("/v1/images?limit=1&order=urgency").await;
    let [by_time, by_urgency] =
        [by_time, by_urgency].map(|page| page["next"].as_str().expect("more").to_owned());
    for query in [
        format!("order=urgency&after={by_time}"),
        format!("after={by_urgency}"),
        format!("order=received&after={by_urgency}"),
        "order=loudest".to_owned(),
        "order=urgency&after=".to_owned(),
    ] {
        let (status, problem) = fixture.get(&format!("/v1/images?{query}")).await;
        assert_eq!((status, &problem["type"]), (400, &json!("/problems/bad-parameter")), "{query}");
    }
    assert_eq!(fixture.get(&format!("/v1/images?order=received&after={by_time}")).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_image_says_how_far_it_was_read_and_how_long_it_waits() {
    let fixture = Fixture::open_with(|settings| settings.reading_cap = CAP).await;
    let jane = person(&fixture, "jane", "clinician@north").await;
    let [_, human, flagged, _, overdue] = of_every_rank(&fixture).await;
    let (_, list) = jane.get(&fixture, "/v1/images?order=urgency").await;
    let first = &list["items"][0];
    assert_eq!(first["id"], json!(overdue.0));
    let reading = &first["reading"];
    assert_eq!(reading["waiting_since"], first["received_at"]);
    assert!(
        reading["waiting_seconds"].as_u64().is_some_and(|waited| (7_200..7_800).contains(&waited))
    );
    let unread = json!({ "state": "unread", "by": null, "since": null, "until": null,
        "readers": null, "waiting_since": first["received_at"], "overdue_at": reading["overdue_at"],
        "waiting_seconds": reading["waiting_seconds"] });
    assert_eq!(reading, &unread);
    let (_, image) = jane.get(&fixture, &format!("/v1/images/{overdue}")).await;
    assert_eq!(image["reading"]["overdue_at"], reading["overdue_at"]);
    assert!(image["reading"].get("waiting_seconds").is_none(), "its ETag would never be the same");

    agree(&fixture, &jane, flagged).await;
    let label = json!({ "opinion": "disagree", "label": "NORMAL" });
    let path = format!("/v1/images/{human}/verdicts");
    assert_eq!(jane.post(&fixture, &path, label).await.0, 201);
    followed(&fixture).await;
    for id in [flagged, human] {
        let (_, image) = jane.get(&fixture, &format!("/v1/images/{id}")).await;
        let reading = &image["reading"];
        assert_eq!((&reading["state"], &reading["by"]), (&json!("verified"), &json!("jane")));
        assert_eq!(reading["since"], image["verdict"]["at"]);
        assert_eq!(
            (&reading["waiting_since"], &reading["overdue_at"]),
            (&Value::Null, &Value::Null)
        );
    }
    let (_, list) = jane.get(&fixture, "/v1/images?order=urgency").await;
    assert_eq!((ids(&list).len(), &list["total"]), (3, &json!(3)));
    fixture.store.remove(&new_image("incoming/north/overdue.jpg").object).await.expect("removed");
    let (_, list) = jane.get(&fixture, "/v1/images?status=removed").await;
    assert_eq!(list["items"][0]["reading"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_whose_opinion_is_asked_for_first_learns_nothing_from_the_order() {
    let fixture = Fixture::open_with(|settings| {
        of_all(settings);
        settings.reading_cap = CAP;
    })
    .await;
    let jane = person(&fixture, "jane", "clinician@north").await;
    let student = person(&fixture, "student", "reader@north").await;
    let [rest, human, flagged, urgent, overdue] = of_every_rank(&fixture).await;
    // Flagged ones on both sides of one that is not, in the order of time.
    let later = fixture.admit(["incoming/north/later.jpg".to_owned()]).await[0];
    fixture.finish(&[later], &ready(0.9)).await;
    followed(&fixture).await;
    let (_, list) = jane.get(&fixture, "/v1/images?order=urgency").await;
    let mut by_time = [rest, flagged];
    by_time.sort_unstable();
    let expected = [&[overdue, urgent, human][..], &by_time, &[later]].concat();
    assert_eq!(ids(&list), words(&expected), "the rest by time alone");
    for item in list["items"].as_array().expect("items") {
        assert_eq!(item["result"].is_null(), item["priority"] == "routine", "{item}");
    }
    // A token of a page that somebody else got changes nothing.
    let (_, page) = student.get(&fixture, "/v1/images?order=urgency&limit=1").await;
    let token = page["next"].as_str().expect("more");
    let (_, list) = jane.get(&fixture, &format!("/v1/images?order=urgency&after={token}")).await;
    assert_eq!(ids(&list), words(&expected[1..]));
    let (status, _) = jane.get(&fixture, "/v1/images?order=urgency&flagged=true").await;
    assert_eq!(status, 409);
    // Who is never asked has the order by flag.
    let (_, list) = student.get(&fixture, "/v1/images?order=urgency").await;
    assert_eq!(ids(&list).last(), words(&[rest]).first());
}
