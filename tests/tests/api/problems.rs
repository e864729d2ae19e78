//! Bad input: a clear answer in one form, and nothing else is harmed.

use serde_json::Value;

use crate::fixture::Fixture;
use crate::images::form;

/// A request and what must come of it.
struct Bad {
    method: &'static str,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    status: u16,
    problem: &'static str,
}

fn bad(method: &'static str, path: &'static str, status: u16, problem: &'static str) -> Bad {
    Bad { method, path, headers: Vec::new(), body: Vec::new(), status, problem }
}

impl Bad {
    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn json(self, body: &str) -> Self {
        self.with("content-type", "application/json").body(body)
    }

    fn form(self, fields: &[(&str, &str)], file: Option<(&str, &[u8])>) -> Self {
        let (kind, body) = form(fields, file);
        self.with("content-type", kind).body(body)
    }
}

fn table() -> Vec<Bad> {
    let id = "/v1/images/6c6f6261-722d-5a17-9e1d-696d61676573";
    let picture = "/v1/images/6c6f6261-722d-5a17-9e1d-696d61676573/picture";
    let verdicts = "/v1/images/6c6f6261-722d-5a17-9e1d-696d61676573/verdicts";
    let file: Option<(&str, &[u8])> = Some(("a.jpg", b"abc"));
    vec![
        bad("GET", "/nothing", 404, "unknown-route"),
        bad("GET", "/v1/images/", 404, "unknown-route"),
        bad("DELETE", "/v1/images", 405, "wrong-method"),
        bad("PUT", "/v1/predict", 405, "wrong-method"),
        bad("GET", "/v1/images/not-an-id", 400, "bad-parameter"),
        bad("GET", id, 404, "unknown-image"),
        bad("GET", picture, 404, "unknown-image"),
        bad("GET", verdicts, 404, "unknown-image"),
        bad("POST", verdicts, 404, "unknown-image").json(r#"{"opinion":"agree"}"#),
        bad("POST", verdicts, 400, "bad-json").json(r#"{"opinion":"perhaps"}"#),
        bad("POST", verdicts, 400, "bad-json").json(r#"{"opinion":"agree","reader":"ada"}"#),
        bad("POST", verdicts, 400, "bad-parameter").json(r#"{"opinion":"disagree"}"#),
        bad("POST", verdicts, 415, "wrong-media-type").body(r#"{"opinion":"agree"}"#),
        bad("POST", verdicts, 403, "foreign-origin").with("origin", "http://evil.example"),
        bad("DELETE", verdicts, 405, "wrong-method"),
        bad("GET", "/v1/images?limit=0", 400, "bad-parameter"),
        bad("GET", "/v1/images?status=done", 400, "bad-parameter"),
        bad("GET", "/v1/images?flagged=1", 400, "bad-parameter"),
        bad("GET", "/v1/images?flaged=true", 400, "bad-parameter"),
        bad("GET", "/v1/images?after=nothing", 400, "bad-parameter"),
        bad("GET", "/v1/events?after=x", 400, "bad-parameter"),
        bad("GET", "/v1/events", 400, "bad-parameter").with("last-event-id", "-4"),
        bad("POST", "/v1/images", 400, "missing-file"),
        bad("POST", "/v1/images?site=a/b", 400, "bad-parameter").body("x"),
        bad("POST", "/v1/images?priority=soon", 400, "bad-parameter").body("x"),
        bad("POST", "/v1/images", 413, "too-large").body(vec![0; 300_000]),
        bad("POST", "/v1/images", 413, "too-large").body(vec![0; 210_000]),
        bad("POST", "/v1/images", 400, "missing-file").form(&[("site", "a")], None),
        bad("POST", "/v1/images", 400, "bad-multipart").form(&[("sight", "a")], file),
        bad("POST", "/v1/images", 400, "bad-parameter").form(&[("site", "..")], file),
        bad("POST", "/v1/images", 400, "bad-multipart")
            .with("content-type", "multipart/form-data; boundary=b")
            .body("--b\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\ncut sho"),
        bad("POST", "/v1/images", 400, "bad-multipart").with("content-type", "multipart/form-data"),
        bad("POST", "/v1/images", 415, "wrong-media-type")
            .with("content-type", "multipart/mixed; boundary=b"),
        bad("POST", "/v1/predict", 400, "bad-json").json("{"),
        bad("POST", "/v1/predict", 400, "bad-json").json("{}"),
        bad("POST", "/v1/predict", 400, "bad-base64").json(r#"{"image":"no!"}"#),
        bad("POST", "/v1/predict", 400, "bad-parameter").json(r#"{"image":"","priority":"x"}"#),
        bad("POST", "/v1/predict", 415, "wrong-media-type").body(r#"{"image":""}"#),
        bad("POST", "/v1/uploads", 400, "bad-parameter").json(r#"{"names":[]}"#),
        bad("POST", "/v1/uploads", 400, "bad-json").json(r#"{"names":["a"],"cite":"b"}"#),
        bad("POST", "/v1/uploads/identify", 400, "bad-parameter")
            .json(r#"{"uploads":[{"key":"a"}]}"#),
        bad("GET", "/v1/models/none", 404, "unknown-model"),
        bad("GET", "/v1/models/none/comparison", 404, "unknown-model"),
        bad("POST", "/v1/models/none/activate", 404, "unknown-model"),
        bad("POST", "/v1/models/none/retire", 404, "unknown-model"),
        bad("POST", "/v1/models/none/shadow", 404, "unknown-model"),
        bad("DELETE", "/v1/models/none/shadow", 404, "unknown-model"),
        bad("POST", "/v1/models/rollback", 409, "model-conflict"),
        bad("GET", "/v1/models/history?limit=0", 400, "bad-parameter"),
        bad("GET", "/v1/models/history?before=1", 400, "bad-parameter"),
        bad("POST", "/v1/models", 405, "wrong-method"),
        bad("POST", "/v1/models/rollback", 403, "foreign-origin")
            .with("origin", "http://evil.example"),
        bad("DELETE", "/v1/models/none/shadow", 403, "foreign-origin")
            .with("sec-fetch-site", "cross-site"),
        bad("GET", "/v1/images", 421, "foreign-host").with("host", "evil.example"),
        bad("POST", "/v1/images", 403, "foreign-origin").with("origin", "http://evil.example"),
        bad("POST", "/v1/images", 403, "foreign-origin").with("sec-fetch-site", "cross-site"),
    ]
}

#[tokio::test]
async fn every_bad_request_gets_a_problem_of_its_type() {
    let fixture = Fixture::open().await;
    for bad in table() {
        let method = bad.method.parse().expect("a method");
        let mut request = fixture.http.request(method, fixture.url(bad.path)).body(bad.body);
        for (name, value) in bad.headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.expect("an answer");
        let what = format!("{} {} wants {}", bad.method, bad.path, bad.problem);
        assert_eq!(answer.status(), bad.status, "{what}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{what}");
        let id = answer.headers()["x-request-id"].to_str().expect("text").to_owned();
        let problem: Value = answer.json().await.expect("JSON");
        assert_eq!(problem["type"], format!("/problems/{}", bad.problem), "{what}: {problem}");
        assert_eq!(problem["status"], bad.status);
        assert_eq!(problem["request_id"], id, "{what}");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
    }
    assert_eq!(fixture.get("/v1/images").await.1["total"], 0);
}

#[tokio::test]
async fn a_store_that_is_away_is_said_to_be_and_looks_like_no_empty_list() {
    let fixture = Fixture::open().await;
    fixture.close_store().await;
    let (status, problem) = fixture.get("/v1/images").await;
    assert!(status == 503 || status == 500, "{status}");
    assert!(problem.get("items").is_none());
}

/// A request's id, and what the answer says it is.
async fn named(fixture: &Fixture, header: &'static str, given: &str) -> String {
    let asked = fixture.http.get(fixture.url("/v1/images")).header(header, given);
    let answer = asked.send().await.expect("an answer");
    answer.headers()["x-request-id"].to_str().expect("text").to_owned()
}

#[tokio::test]
async fn a_request_keeps_its_callers_id_and_gets_one_where_that_is_none() {
    let fixture = Fixture::open().await;
    let given = "0af7651916cd43dd8448eb211c80319c";
    assert_eq!(named(&fixture, "x-request-id", given).await, given);
    let traceparent = format!("00-{given}-b7ad6b7169203331-01");
    assert_eq!(named(&fixture, "traceparent", &traceparent).await, given);
    let mut made = std::collections::HashSet::new();
    for personal in ["DOE^JANE", "19620304", "", "-"] {
        assert!(made.insert(named(&fixture, "x-request-id", personal).await), "each is another");
        assert!(made.insert(named(&fixture, "traceparent", personal).await), "each is another");
    }
    assert!(made.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())));
}
