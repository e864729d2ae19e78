//! Names of patients, people, machines and sites, sown wherever somebody can write one: they come up where they are meant to
//! be read, and in no log, metric, event, span or refusal, and in nothing that another site is shown.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use lobar_tests::kit::{Lobar, executable, radiograph_jpeg};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::collector::Collector;

/// A patient's, in keys, in the metadata of an object, in files' names, in words of a reader.
const PATIENT: [&str; 3] = ["QUIGLEY", "THADDEUS", "19620304"];
/// Of people, known and unknown.
const PEOPLE: [&str; 2] = ["Wilhelmina", "Bellweather"];
/// Of a machine.
const MACHINE: &str = "Zebulon";
/// Of a site.
const SITE: &str = "kirkwallis";
const PASSWORD: &str = "a long enough sentence";
const KEY: &str = "incoming/kirkwallis/stat/QUIGLEY^THADDEUS-19620304.jpg";

struct House {
    lobar: Lobar,
    http: reqwest::Client,
}

impl House {
    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.lobar.page))
    }

    async fn posted(&self, path: &str, token: Option<&str>, body: Value) -> Value {
        let request = self.ask(Method::POST, path).json(&body);
        let request = token.into_iter().fold(request, RequestBuilder::bearer_auth);
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let said = answer.text().await.expect("text");
        assert!(status.is_success(), "{path}: {status} {said}");
        serde_json::from_str(&said).unwrap_or_default()
    }

    async fn token(&self, name: &str, grants: &[&str]) -> String {
        let added =
            self.posted("/v1/tokens", None, json!({ "name": name, "grants": grants })).await;
        added["secret"].as_str().expect("a secret").to_owned()
    }

    /// An answer with its headers, whatever it is.
    async fn said(&self, request: RequestBuilder) -> String {
        let answer = request.send().await.expect("an answer");
        let head = format!("{} {:?}", answer.status(), answer.headers());
        format!("{head}\n{}", answer.text().await.expect("text"))
    }

    fn s3(&self) -> aws_sdk_s3::Client {
        use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
        let pair = self.lobar.key_pair();
        let pair = Credentials::new(pair.access_key, pair.secret_key, None, None, "test");
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .region(Region::new("us-east-1"))
            .credentials_provider(pair)
            .force_path_style(true)
            .endpoint_url(&self.lobar.s3);
        aws_sdk_s3::Client::from_conf(config.build())
    }
}

/// Puts a patient's name into the bucket in every way.
async fn sow_in_the_bucket(house: &House) {
    let s3 = house.s3();
    for (key, body) in [
        (KEY, radiograph_jpeg(900, 700, 7)),
        ("incoming/QUIGLEY THADDEUS/19620304.jpg", radiograph_jpeg(900, 700, 8)),
        ("QUIGLEY^THADDEUS-19620304.jpg", b"no image".to_vec()),
    ] {
        let put = s3.put_object().bucket("xrays").key(key).body(ByteStream::from(body));
        let put = put.metadata("patient", "QUIGLEY^THADDEUS").content_type("image/19620304");
        put.send().await.expect("stored");
    }
    let missing = s3.get_object().bucket("xrays").key("incoming/QUIGLEY.jpg").send().await;
    assert!(missing.is_err());
    s3.delete_object().bucket("xrays").key("QUIGLEY^THADDEUS.jpg").send().await.expect("deleted");
    let unsigned = house.http.get(format!("{}/xrays/QUIGLEY?list-type=THADDEUS", house.lobar.s3));
    assert_eq!(unsigned.send().await.expect("an answer").status(), 403);
}

/// Requests that are refused, with a name in each.
async fn refusals(house: &House, token: &str) -> Vec<String> {
    let mut said = Vec::new();
    for (method, path, body) in [
        ("GET", "/v1/images/QUIGLEY", ""),
        ("GET", "/v1/QUIGLEY/THADDEUS", ""),
        ("GET", "/v1/images?site=QUIGLEY%20THADDEUS", ""),
        ("GET", "/v1/images?QUIGLEY=19620304", ""),
        ("GET", "/v1/images?status=QUIGLEY", ""),
        ("GET", "/v1/images?limit=QUIGLEY", ""),
        ("GET", "/v1/events?after=QUIGLEY", ""),
        ("GET", "/problems/QUIGLEY", ""),
        ("GET", "/web/QUIGLEY.js", ""),
        ("QUIGLEY", "/v1/images", ""),
        ("POST", "/v1/images?site=QUIGLEY%20THADDEUS", "x"),
        ("POST", "/v1/session", r#"{"name":"Bellweather","password":"Bellweather 19620304"}"#),
        ("POST", "/v1/session", r#"{"QUIGLEY":"THADDEUS"}"#),
        ("POST", "/v1/session", "QUIGLEY"),
        ("POST", "/v1/links", r#"{"secret":"QUIGLEY"}"#),
        ("POST", "/v1/people", r#"{"name":"Bellweather","grants":["admin@QUIGLEY"]}"#),
        ("POST", "/v1/people", r#"{"name":"Bellweather","grants":["QUIGLEY@*"]}"#),
        ("POST", "/v1/uploads", r#"{"site":"QUIGLEY THADDEUS"}"#),
        ("DELETE", "/v1/sites/QUIGLEY", ""),
    ] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        for header in ["x-request-id", "traceparent", "referer", "user-agent", "x-forwarded-for"] {
            let request = house.ask(method.clone(), path).bearer_auth(token);
            let request = request.header(header, "QUIGLEY THADDEUS 19620304");
            let request = request.header("content-type", "application/json").body(body);
            said.push(format!("{method} {path}\n{}", house.said(request).await));
        }
    }
    said
}

fn lobar(data: &Path, arguments: &[&str]) -> String {
    let output = Command::new(executable()).args(arguments).arg("--data").arg(data).output();
    let output = output.expect("it runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    // What goes to a terminal while the answer goes into a file.
    format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// What was found where it must not be.
fn found(place: &str, text: &str, names: &[&str], faults: &mut Vec<String>) {
    for line in text.lines() {
        for name in names.iter().filter(|name| line.contains(**name)) {
            faults.push(format!("{name} in {place}: {line:.600}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_was_sown_comes_up_only_where_it_is_meant_to_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let collector = Collector::start().await;
    let settings = [
        ("LOBAR_OTLP", collector.url()),
        ("LOBAR_LOG", "trace".to_owned()),
        ("LOBAR_LOG_FORMAT", "json".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let place = data.clone();
    let start = move || Lobar::start_with(&executable(), &["up"], &place, &settings);
    let lobar_up = tokio::task::spawn_blocking(start).await.expect("started");
    // A second test of this process finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let house = Arc::new(House { lobar: lobar_up, http: reqwest::Client::new() });

    // Sites, machines, people.
    for site in [SITE, "elsewhere"] {
        house.posted("/v1/sites", None, json!({ "name": site })).await;
    }
    let admin =
        house.token(&format!("{MACHINE} admin"), &["admin@*", "auditor@*", "operator@*"]).await;
    let reader = house.token(&format!("{MACHINE} reader"), &["clinician@kirkwallis"]).await;
    let other = house.token("the other", &["clinician@elsewhere"]).await;
    let person = json!({ "name": "Wilhelmina", "grants": ["clinician@kirkwallis"] });
    let invited = house.posted("/v1/people", None, person).await;
    let secret = invited["link_secret"].as_str().expect("a link");
    house.posted("/v1/links/redeem", None, json!({ "secret": secret, "password": PASSWORD })).await;
    let name = json!({ "name": "Wilhelmina", "password": PASSWORD });
    house.posted("/v1/session", None, name).await;

    // A patient: in the bucket, in an upload, in the words of a reader.
    sow_in_the_bucket(&house).await;
    let head = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"QUIGLEY^THADDEUS.jpg\"\r\n\r\n";
    let body = [head.as_bytes(), &radiograph_jpeg(800, 700, 9), b"\r\n--b--\r\n"].concat();
    let upload = house.ask(Method::POST, "/v1/images").bearer_auth(&reader);
    let upload = upload.header("content-type", "multipart/form-data; boundary=b").body(body);
    assert_eq!(upload.send().await.expect("an answer").status(), 202);
    let images = async || -> Vec<Value> {
        let list = house.ask(Method::GET, "/v1/images").bearer_auth(&reader);
        let list: Value = list.send().await.expect("an answer").json().await.expect("JSON");
        list["items"].as_array().expect("items").clone()
    };
    let finished = async || {
        let items = images().await;
        let ended = |item: &Value| item["status"] == "ready" || item["status"] == "needs_human";
        (items.len() == 2 && items.iter().all(ended)).then_some(items)
    };
    let mut items = finished().await;
    let began = std::time::Instant::now();
    while items.is_none() {
        assert!(began.elapsed().as_secs() < 240, "{:?}", images().await);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        items = finished().await;
    }
    let items = items.expect("all are finished");
    for item in &items {
        let id = item["id"].as_str().expect("an id");
        let verdict = json!({
            "opinion": "not_assessable", "reason": "the film is of QUIGLEY THADDEUS, 19620304",
            "model_version": item["result"]["model"]["version"], "displayed": [],
        });
        house.posted(&format!("/v1/images/{id}/verdicts"), Some(&reader), verdict).await;
    }

    let mut faults = Vec::new();
    let everybody = [&PATIENT[..], &PEOPLE[..], &[MACHINE, SITE]].concat();
    // What is said to whoever asks is not repeated to them either, but for a site in a grant, and a member that is not known.
    for said in refusals(&house, &admin).await {
        let (asked, answer) = said.split_once('\n').expect("two parts");
        let named = asked == "POST /v1/people" || asked == "POST /v1/session";
        let names: Vec<&str> =
            everybody.iter().copied().filter(|name| !named || *name != PATIENT[0]).collect();
        found(&format!("the refusal of {asked}"), answer, &names, &mut faults);
    }
    // The other site.
    for path in ["/v1/images", "/v1/session", "/v1/models", "/", "/metrics", "/readyz"] {
        let said = house.said(house.ask(Method::GET, path).bearer_auth(&other)).await;
        found(&format!("what the other site gets of {path}"), &said, &everybody, &mut faults);
    }
    for item in &items {
        let path = format!("/v1/images/{}", item["id"].as_str().expect("an id"));
        let said = house.said(house.ask(Method::GET, &path).bearer_auth(&other)).await;
        assert!(said.starts_with("404"), "{said}");
        found("what the other site gets of an image", &said, &everybody, &mut faults);
    }
    // Whoever reads the images of the site, or runs the machine: no patient, nobody of the staff but by themselves.
    for (who, token, path) in [
        ("a reader", &reader, "/v1/images"),
        ("an operator", &admin, "/v1/queues"),
        ("an operator", &admin, "/v1/quarantine"),
        ("an operator", &admin, "/v1/models/history"),
        ("an auditor", &admin, "/v1/audit"),
        ("an admin", &admin, "/v1/people"),
        ("an admin", &admin, "/v1/tokens"),
    ] {
        let said = house.said(house.ask(Method::GET, path).bearer_auth(token)).await;
        found(&format!("what {who} gets of {path}"), &said, &PATIENT, &mut faults);
    }
    // Where names are meant to be read.
    let people = house.said(house.ask(Method::GET, "/v1/people").bearer_auth(&admin)).await;
    assert!(people.contains("Wilhelmina") && people.contains(SITE), "{people}");

    // Commands whose answers go into files.
    let commands: [&[&str]; 4] =
        [&["audit", "export"], &["audit", "verify"], &["quarantine", "list"], &["config"]];
    for arguments in commands {
        found(&format!("{arguments:?}"), &lobar(&data, arguments), &PATIENT, &mut faults);
    }
    let record = lobar(&data, &["audit", "export"]);
    assert!(record.contains("Wilhelmina") && record.contains(MACHINE), "who did it");
    assert!(!record.contains("Bellweather"), "a name that was typed may be a password");

    let house = Arc::into_inner(house).expect("the only one");
    assert_eq!(house.lobar.stop(), 0, "a clean stop");
    let log = std::fs::read_to_string(data.with_extension("log")).expect("a log");
    assert!(log.contains("image admitted"), "it logged");
    found("the log", &log, &everybody, &mut faults);
    let spans = collector.spans();
    assert!(spans.iter().any(|span| span.name == "infer"), "it sent spans");
    for span in spans {
        found(&format!("the span {}", span.name), &span.text, &everybody, &mut faults);
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
