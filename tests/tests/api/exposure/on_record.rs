//! What was sent and what was painted, on record.

use lobar_core::exposure::{Source, Visible};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{As, of_all, person, two};
use crate::fixture::{Fixture, eventually};

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
