//! A body that has to be an object and comes as an array is refused, by every route that takes one.

use serde_json::{Value, json};

use crate::fixture::Fixture;

/// The schema that a reference leads to.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(place) => document.pointer(place.trim_start_matches('#')).expect("it is there"),
        None => schema,
    }
}

/// An address with something in place of its parameters.
fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{id}" => uuid::Uuid::nil().to_string(),
        part if part.starts_with('{') => "none".to_owned(),
        part => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_array_is_no_object_on_any_route() {
    let fixture = Fixture::open().await;
    let (status, document) = fixture.get("/openapi.json").await;
    assert_eq!(status, 200);
    let mut tried = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let properties = &resolved(&document, schema)["properties"];
            let Some(properties) = properties.as_object() else { continue };
            // None of its members, all of them, and as many as one that is asked for by mistake.
            for count in [0, 1, properties.len()] {
                let method = method.to_uppercase().parse().expect("a method");
                let request = fixture.http.request(method, fixture.url(&filled(path)));
                let body = vec![Value::Null; count];
                let answer = request.json(&json!(body)).send().await.expect("an answer");
                let status = answer.status().as_u16();
                let problem: Value = answer.json().await.expect("JSON");
                let what = format!("{path}, {count} nulls: {problem}");
                assert_eq!(
                    (status, &problem["type"]),
                    (400, &json!("/problems/bad-json")),
                    "{what}"
                );
                let detail = problem["detail"].as_str().expect("text");
                assert!(detail.contains("invalid type: sequence"), "{what}");
            }
            tried.push(path);
        }
    }
    assert!(tried.len() >= 18, "{tried:?}");
}
