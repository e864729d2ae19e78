//! `POST /v1/predict`: the pipeline's own answer, or a problem that says why there is none.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::{Fixture, blank, ready};

async fn predict(fixture: &Fixture) -> (u16, Value) {
    let request =
        fixture.http.post(fixture.url("/v1/predict")).json(&json!({ "image": "AAECAwQF" }));
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test]
async fn the_answer_is_the_pipeline_s_own() {
    let fixture = Arc::new(Fixture::open().await);
    fixture.play_worker(ready(0.875));
    let (status, answer) = predict(&fixture).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["predicted_label"], "PNEUMONIA");
    assert_eq!(answer["probability_pneumonia"], 0.875);
    assert_eq!(answer["modelVersion"], "test-1");
    let id = answer["id"].as_str().expect("an id");
    assert_eq!(fixture.get(&format!("/v1/images/{id}")).await.1["site"], "predict");
}

#[tokio::test]
async fn an_image_that_cannot_be_assessed_is_a_problem_with_its_reason_never_a_label() {
    let fixture = Arc::new(Fixture::open().await);
    fixture.play_worker(blank());
    let (status, problem) = predict(&fixture).await;
    assert_eq!((status, &problem["type"]), (422, &json!("/problems/not-assessed")));
    assert_eq!(
        (&problem["reason"], &problem["image_status"]),
        (&json!("blank"), &json!("needs_human"))
    );
    assert!(problem.get("predicted_label").is_none());
}

#[tokio::test]
async fn without_a_result_in_time_the_answer_names_the_image_to_ask_for_later() {
    let short = Duration::from_millis(300);
    let fixture = Fixture::open_with(|settings| settings.predict_timeout = short).await;
    let (status, problem) = predict(&fixture).await;
    assert_eq!((status, &problem["type"]), (504, &json!("/problems/timed-out")));
    let id = problem["id"].as_str().expect("an id");
    assert_eq!(fixture.get(&format!("/v1/images/{id}")).await.0, 200);
}

#[tokio::test]
async fn a_stopping_server_does_not_keep_a_caller_waiting() {
    let fixture = Arc::new(Fixture::open().await);
    let waiting = tokio::spawn({
        let fixture = Arc::clone(&fixture);
        async move { predict(&fixture).await }
    });
    fixture.events("?after=0").await.image().await;
    fixture.tell_to_stop();
    let (status, problem) = waiting.await.expect("no panic");
    assert_eq!((status, &problem["type"]), (503, &json!("/problems/stopping")));
}
