//! The life of models over HTTP.

use futures::StreamExt as _;
use lobar_core::model_registry::{NewModel, ShadowFinding};
use lobar_core::object::ImageId;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{Fixture, PATIENCE};

impl Fixture {
    /// Registers models of these versions, as the command line does.
    async fn register(&self, versions: &[&str]) {
        for version in versions {
            let sha256 = format!("{version:0>64}");
            let model = NewModel {
                version: (*version).into(),
                key: format!("{version}/{sha256}.safetensors"),
                sha256,
                bytes: 1_000,
                card: json!({ "version": version, "threshold": 0.4 }),
            };
            self.models.register(&model, "ada").await.expect("registered");
        }
    }

    async fn send(&self, method: &str, path: &str) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let answer = self.http.request(method, self.url(path)).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }
}

#[tokio::test]
async fn a_model_is_activated_and_rolled_back_and_the_list_says_which_one_answers() {
    let fixture = Fixture::open().await;
    let (status, list) = fixture.get("/v1/models").await;
    assert_eq!(status, 200);
    let nothing = json!({ "revision": 0, "active": null, "shadow": null, "pinned": false,
        "items": [], "last_change": null });
    assert_eq!(list, nothing);
    fixture.register(&["1", "2"]).await;
    for version in ["1", "2"] {
        let (status, assigned) =
            fixture.send("POST", &format!("/v1/models/{version}/activate")).await;
        assert_eq!((status, &assigned["active"]), (200, &json!(version)));
    }
    let (_, list) = fixture.get("/v1/models").await;
    assert_eq!((&list["active"], &list["revision"]), (&json!("2"), &json!(4)));
    let stages: Vec<_> = list["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| (item["version"].as_str(), item["stage"].as_str()))
        .collect();
    let expected = [(Some("2"), Some("active")), (Some("1"), Some("retired"))];
    assert_eq!(stages, expected, "newest first");
    let change = &list["last_change"];
    assert_eq!(
        (&change["action"], &change["version"], &change["by"]),
        (&json!("activate"), &json!("2"), &json!("local"))
    );

    // Names are for those who manage models, as in the history.
    for (grants, by) in [("reader@north", Value::Null), ("operator@*", json!("local"))] {
        let request = fixture.http.get(fixture.url("/v1/models"));
        let answer = request.bearer_auth(fixture.token(grants).await).send().await;
        let list: Value = answer.expect("an answer").json().await.expect("JSON");
        assert_eq!(
            (&list["last_change"]["action"], &list["last_change"]["by"]),
            (&json!("activate"), &by)
        );
    }

    let (status, assigned) = fixture.send("POST", "/v1/models/rollback").await;
    assert_eq!((status, &assigned["active"]), (200, &json!("1")));
    let (status, problem) = fixture.send("POST", "/v1/models/rollback").await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/model-conflict")));
    let (_, model) = fixture.get("/v1/models/1").await;
    assert_eq!((&model["stage"], &model["card"]["threshold"]), (&json!("active"), &json!(0.4)));
    assert_eq!(model["sha256"].as_str().map(str::len), Some(64));

    let (status, problem) = fixture.send("POST", "/v1/models/1/retire").await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/model-conflict")));
    assert!(problem["detail"].as_str().expect("words").contains("activate another one"));
    let (_, history) = fixture.get("/v1/models/history?limit=2").await;
    let actions: Vec<_> =
        history["items"].as_array().expect("a list").iter().map(|c| &c["action"]).collect();
    assert_eq!(actions, ["rollback", "activate"]);
}

#[tokio::test]
async fn a_shadow_is_set_and_ended_and_its_comparison_read() {
    let fixture = Fixture::open().await;
    fixture.register(&["1", "2", "3"]).await;
    fixture.send("POST", "/v1/models/1/activate").await;
    let (status, problem) = fixture.send("POST", "/v1/models/1/shadow").await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/model-conflict")));
    let (status, assigned) = fixture.send("POST", "/v1/models/2/shadow").await;
    assert_eq!((status, &assigned["shadow"]), (200, &json!("2")));
    let (_, comparison) = fixture.get("/v1/models/2/comparison").await;
    assert_eq!(comparison, json!({ "version": "2", "items": [] }));
    let seen = ShadowFinding {
        image: ImageId(Uuid::from_u128(1)),
        version: "2".into(),
        probability: 0.75,
        flagged: true,
        shown_version: "1".into(),
        shown_probability: 0.25,
        shown_flagged: false,
    };
    fixture.models.record_shadow(&[seen]).await.expect("kept");
    let (_, comparison) = fixture.get("/v1/models/2/comparison").await;
    let expected = json!([{
        "shown_version": "1", "images": 1, "both_flagged": 0, "only_shadow_flagged": 1,
        "only_shown_flagged": 0, "mean_difference": 0.5, "mean_absolute_difference": 0.5,
        "largest_difference": 0.5, "verdicts": 0, "verdicts_for_shadow": 0, "verdicts_for_shown": 0,
    }]);
    assert_eq!(comparison["items"], expected);

    // Ending what does not shadow ends nothing.
    let (status, assigned) = fixture.send("DELETE", "/v1/models/3/shadow").await;
    assert_eq!((status, &assigned["shadow"]), (200, &json!("2")));
    for _ in 0..2 {
        let (status, assigned) = fixture.send("DELETE", "/v1/models/2/shadow").await;
        assert_eq!((status, &assigned["shadow"]), (200, &Value::Null));
    }
    let (status, model) = fixture.send("POST", "/v1/models/2/retire").await;
    assert_eq!((status, &model["stage"]), (200, &json!("retired")));
}

#[tokio::test]
async fn whoever_waits_for_changes_hears_of_one_at_once() {
    let fixture = Fixture::open().await;
    fixture.register(&["1"]).await;
    let mut changes = fixture.signal.subscribe().await.expect("subscribed");
    fixture.send("POST", "/v1/models/1/activate").await;
    let heard = tokio::time::timeout(PATIENCE, changes.next()).await;
    assert!(heard.expect("it is told").is_some());
}

#[tokio::test]
async fn a_process_with_a_model_file_of_its_own_says_so() {
    let fixture = Fixture::open_with(|settings| settings.pinned = true).await;
    assert_eq!(fixture.get("/v1/models").await.1["pinned"], true);
}
