//! People and machines: signing in, sessions, and what ends them.

use std::time::Duration;

use lobar_core::access::Grants;
use lobar_core::accounts::NewAccount;
use lobar_core::audit::{Action, Cursor, Filter};
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::fixture::{Fixture, PASSWORD, eventually};

/// A browser that has signed in.
struct Browser<'a> {
    fixture: &'a Fixture,
    cookie: String,
    csrf: String,
}

impl<'a> Browser<'a> {
    async fn sign_in(fixture: &'a Fixture, name: &str) -> Self {
        let answer = sign_in(fixture, name, PASSWORD).await;
        assert_eq!(answer.status(), 200);
        Self::of(fixture, answer).await
    }

    /// With the session of an answer.
    async fn of(fixture: &'a Fixture, answer: Response) -> Self {
        let cookie = answer.headers()[SET_COOKIE].to_str().expect("text").to_owned();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        assert!(!cookie.contains("Secure"), "plain HTTP on loopback: {cookie}");
        let body: Value = answer.json().await.expect("JSON");
        let csrf = body["csrf_token"].as_str().expect("a token").to_owned();
        Self { fixture, cookie: cookie.split(';').next().expect("a pair").to_owned(), csrf }
    }

    async fn ask(&self, method: Method, path: &str) -> Response {
        let request = self.fixture.http.request(method, self.fixture.url(path));
        let request = request.header(COOKIE, &self.cookie).header("lobar-csrf", &self.csrf);
        request.send().await.expect("answers")
    }

    async fn put(&self, path: &str, body: Value) -> Response {
        let request = self.fixture.http.put(self.fixture.url(path)).json(&body);
        let request = request.header(COOKIE, &self.cookie).header("lobar-csrf", &self.csrf);
        request.send().await.expect("answers")
    }

    async fn status(&self, path: &str) -> u16 {
        self.ask(Method::GET, path).await.status().as_u16()
    }
}

async fn sign_in(fixture: &Fixture, name: &str, password: &str) -> Response {
    let body = json!({ "name": name, "password": password });
    fixture.http.post(fixture.url("/v1/session")).json(&body).send().await.expect("answers")
}

async fn problem(answer: Response) -> String {
    let body: Value = answer.json().await.expect("JSON");
    body["type"].as_str().expect("a type").trim_start_matches("/problems/").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_user_may_everything_until_somebody_has_an_account() {
    let fixture = Fixture::open().await;
    let (status, session) = fixture.get("/v1/session").await;
    assert_eq!((status, &session["kind"]), (200, &json!("local")));
    assert_eq!(fixture.get("/v1/people").await.0, 200);
    fixture.person("jane", "clinician@north").await;
    assert_eq!(fixture.get("/v1/session").await.0, 401);
    assert_eq!(fixture.get("/v1/images").await.0, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_local_user_lets_nobody_in_who_did_not_sign_in() {
    let fixture = Fixture::open_with(|settings| settings.local_user = false).await;
    assert_eq!(fixture.get("/v1/images").await.0, 401);
    assert_eq!(fixture.get("/v1/session").await.0, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_through_a_proxy_is_not_from_the_local_user() {
    let fixture = Fixture::open().await;
    for header in ["forwarded", "x-forwarded-for"] {
        let request = fixture.http.get(fixture.url("/v1/images")).header(header, "for=10.0.0.1");
        assert_eq!(request.send().await.expect("answers").status(), 401, "{header}");
    }
    assert_eq!(fixture.get("/v1/images").await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_at_sign_out_and_its_cookie_opens_nothing_any_more() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let browser = Browser::sign_in(&fixture, "Jane").await;
    assert_eq!(browser.status("/v1/images").await, 200);
    let (mine, _) = (browser.ask(Method::GET, "/v1/session").await, ());
    let mine: Value = mine.json().await.expect("JSON");
    assert_eq!((&mine["name"], &mine["grants"]), (&json!("jane"), &json!(["clinician@north"])));
    assert_eq!(mine["csrf_token"], json!(browser.csrf));
    let answer = browser.ask(Method::DELETE, "/v1/session").await;
    assert_eq!(answer.status(), 204);
    assert!(answer.headers()[SET_COOKIE].to_str().expect("text").contains("Max-Age=0"));
    assert_eq!(answer.headers()["clear-site-data"], r#""cache", "storage""#);
    assert_eq!(browser.status("/v1/images").await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_changes_something_needs_the_session_s_own_csrf_token() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "admin@*").await;
    let browser = Browser::sign_in(&fixture, "jane").await;
    let other = Browser::sign_in(&fixture, "jane").await;
    for csrf in [None, Some(""), Some("0"), Some(other.csrf.as_str())] {
        let mut request =
            fixture.http.post(fixture.url("/v1/sites")).header(COOKIE, &browser.cookie);
        if let Some(csrf) = csrf {
            request = request.header("lobar-csrf", csrf);
        }
        let answer = request.json(&json!({ "name": "east" })).send().await.expect("answers");
        assert_eq!(
            (answer.status().as_u16(), problem(answer).await),
            (403, "wrong-csrf-token".into())
        );
    }
    let request = fixture.http.post(fixture.url("/v1/sites")).header(COOKIE, &browser.cookie);
    let request = request.header("lobar-csrf", &browser.csrf).json(&json!({ "name": "east" }));
    assert_eq!(request.send().await.expect("answers").status(), 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_in_gives_a_new_session_and_ends_the_one_that_the_browser_had() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let planted = Browser::sign_in(&fixture, "jane").await;
    let body = json!({ "name": "jane", "password": PASSWORD });
    let request = fixture.http.post(fixture.url("/v1/session")).header(COOKIE, &planted.cookie);
    let answer = request.json(&body).send().await.expect("answers");
    let cookie = answer.headers()[SET_COOKIE].to_str().expect("text");
    assert!(!cookie.starts_with(&planted.cookie));
    assert_eq!(planted.status("/v1/session").await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_does_not_tell_whether_the_name_is_known() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let mut answers = Vec::new();
    for (name, password) in [("jane", "not her password"), ("nobody", PASSWORD), ("", PASSWORD)] {
        let answer = sign_in(&fixture, name, password).await;
        let status = answer.status().as_u16();
        let mut body: Value = answer.json().await.expect("JSON");
        body["request_id"] = Value::Null;
        answers.push((status, body));
    }
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_paused_and_harm_nobody_who_is_signed_in() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let browser = Browser::sign_in(&fixture, "jane").await;
    let mut last = 0;
    for _ in 0..12 {
        let answer = sign_in(&fixture, "jane", "not her password").await;
        last = answer.status().as_u16();
        if last == 429 {
            assert!(
                answer.headers()["retry-after"]
                    .to_str()
                    .expect("text")
                    .parse::<u64>()
                    .expect("seconds")
                    >= 1
            );
            break;
        }
    }
    assert_eq!(last, 429);
    assert_eq!(browser.status("/v1/images").await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_sets_a_password_once_and_what_may_be_done_changes_at_once() {
    let fixture = Fixture::open().await;
    fixture.person("root", "admin@*").await;
    fixture.sites(&["north"]).await;
    let admin = Browser::sign_in(&fixture, "root").await;
    let post = async |path: &str, body: Value| {
        let request = fixture.http.post(fixture.url(path)).header(COOKIE, &admin.cookie);
        request.header("lobar-csrf", &admin.csrf).json(&body).send().await.expect("answers")
    };
    let invited =
        post("/v1/people", json!({ "name": "Dr. Müller", "grants": ["reader@north"] })).await;
    assert_eq!(invited.status(), 201);
    let invited: Value = invited.json().await.expect("JSON");
    let (secret, id) = (&invited["link_secret"], invited["person"]["id"].as_str().expect("an id"));
    let taken =
        post("/v1/people", json!({ "name": "dr. müller", "grants": ["reader@north"] })).await;
    assert_eq!(problem(taken).await, "name-taken");
    let open = async |path: &str, body: Value| {
        fixture.http.post(fixture.url(path)).json(&body).send().await.expect("answers")
    };
    let whose: Value =
        open("/v1/links", json!({ "secret": secret })).await.json().await.expect("JSON");
    assert_eq!(whose["name"], "Dr. Müller");
    let weak = open("/v1/links/redeem", json!({ "secret": secret, "password": "short" })).await;
    assert_eq!(problem(weak).await, "weak-password");
    let redeem = json!({ "secret": secret, "password": PASSWORD });
    assert_eq!(open("/v1/links/redeem", redeem.clone()).await.status(), 200);
    assert_eq!(problem(open("/v1/links/redeem", redeem).await).await, "void-link");
    let reader = Browser::sign_in(&fixture, "dr. müller").await;
    assert_eq!(reader.status("/v1/images").await, 200);
    assert_eq!(reader.status("/v1/people").await, 403);
    let put = async |body: Value| {
        let request = fixture.http.put(fixture.url(&format!("/v1/people/{id}")));
        let request = request.header(COOKIE, &admin.cookie).header("lobar-csrf", &admin.csrf);
        request.json(&body).send().await.expect("answers").status()
    };
    assert_eq!(put(json!({ "grants": ["operator@*"] })).await, 200);
    assert_eq!(reader.status("/v1/images").await, 403);
    assert_eq!(put(json!({ "disabled": true })).await, 200);
    assert_eq!(reader.status("/v1/session").await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_password_gives_the_session_another_secret_and_ends_all_others() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let (browser, other) =
        (Browser::sign_in(&fixture, "jane").await, Browser::sign_in(&fixture, "jane").await);
    let mine: Value = browser.ask(Method::GET, "/v1/session").await.json().await.expect("JSON");
    assert_eq!(mine["codes"], false);
    let new = json!({ "current": PASSWORD, "new": "another long sentence" });
    let answer = browser.put("/v1/password", new).await;
    assert_eq!(answer.status(), 200);
    let after = Browser::of(&fixture, answer).await;
    assert!(after.cookie != browser.cookie && after.csrf != browser.csrf);
    assert_eq!(
        (browser.status("/v1/session").await, other.status("/v1/session").await),
        (401, 401)
    );
    let again: Value = after.ask(Method::GET, "/v1/session").await.json().await.expect("JSON");
    assert_eq!((&again["csrf_token"], &again["id"]), (&json!(after.csrf), &mine["id"]));
    assert_eq!(again["expires_at"], mine["expires_at"], "it is the same session");
    assert_eq!(after.ask(Method::DELETE, "/v1/session").await.status(), 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_give_nothing_is_not_granted() {
    let fixture = Fixture::open().await;
    let jane = fixture.person("root", "admin@*").await;
    fixture.sites(&["north"]).await;
    let admin = Browser::sign_in(&fixture, "root").await;
    for (grant, why) in [
        ("reader@nroth", "unknown-site"),
        ("reader@north,south", "unknown-site"),
        ("admin@north", "useless-grant"),
        ("root@*", "bad-parameter"),
    ] {
        let bodies = [
            ("/v1/people", json!({ "name": "jane", "grants": [grant] })),
            ("/v1/tokens", json!({ "name": "pacs", "grants": ["reader@north", grant] })),
        ];
        for (path, body) in bodies {
            let request = fixture.http.post(fixture.url(path)).header(COOKIE, &admin.cookie);
            let answer = request.header("lobar-csrf", &admin.csrf).json(&body).send().await;
            assert_eq!(problem(answer.expect("answers")).await, why, "{path} {grant}");
        }
        let change = json!({ "grants": [grant] });
        let answer = admin.put(&format!("/v1/people/{}", jane.0), change).await;
        assert_eq!(problem(answer).await, why, "{grant}");
    }
    assert_eq!(fixture.accounts.accounts().await.expect("asked").len(), 1);
    assert_eq!(fixture.accounts.tokens().await.expect("asked"), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_listed_a_page_at_a_time() {
    let fixture = Fixture::open().await;
    fixture.person("root", "admin@*").await;
    let token = fixture.token("admin@*").await;
    for name in ["zoe", "Ada", "bob", "émile"] {
        let new = NewAccount { name: name.into(), grants: Grants::default(), external: None };
        fixture.accounts.add(&new).await.expect("added");
    }
    let get = async |query: &str| {
        let request = fixture.http.get(fixture.url(&format!("/v1/people{query}")));
        let answer = request.bearer_auth(&token).send().await.expect("answers");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    let (mut names, mut query) = (Vec::new(), "?limit=2".to_owned());
    let mut sizes = Vec::new();
    loop {
        let (status, page) = get(&query).await;
        assert_eq!(status, 200, "{page}");
        let items = page["items"].as_array().expect("items");
        sizes.push(items.len());
        names.extend(items.iter().map(|item| item["name"].as_str().expect("text").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=2&after={next}");
    }
    assert_eq!(
        (names, sizes),
        (["Ada", "bob", "root", "zoe", "émile"].map(String::from).into(), vec![2, 2, 1])
    );
    let (_, all) = get("").await;
    assert_eq!((all["items"].as_array().map(Vec::len), &all["next"]), (Some(5), &Value::Null));
    for bad in ["?limit=0", "?after=x", "?after=00000000-0000-0000-0000-000000000007", "?name=a"] {
        assert_eq!(get(bad).await.0, 400, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_its_session() {
    let fixture = Fixture::open_with(|settings| {
        settings.heartbeat = std::time::Duration::from_millis(200);
        settings.stream_check = std::time::Duration::from_millis(50);
    })
    .await;
    fixture.person("jane", "clinician@north").await;
    let browser = Browser::sign_in(&fixture, "jane").await;
    let mut stream = crate::sse::Stream::new(browser.ask(Method::GET, "/v1/events").await);
    assert_eq!(stream.block().await.expect("open").comment, "open");
    assert_eq!(browser.ask(Method::DELETE, "/v1/sessions").await.status(), 204);
    while stream.block().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_its_token() {
    let fixture = Fixture::open_with(|settings| {
        settings.heartbeat = std::time::Duration::from_millis(200);
        settings.stream_check = std::time::Duration::from_millis(50);
    })
    .await;
    let token = fixture.token("reader@north").await;
    let mut stream = fixture.events_of("", &token).await;
    assert_eq!(stream.block().await.expect("open").comment, "open");
    let id = fixture.accounts.tokens().await.expect("asked")[0].id;
    assert!(fixture.accounts.revoke_token(id).await.expect("asked"));
    while stream.block().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_shown_once_works_until_it_is_revoked_and_needs_no_csrf_token() {
    let fixture = Fixture::open().await;
    fixture.person("root", "admin@*").await;
    fixture.sites(&["north"]).await;
    let admin = Browser::sign_in(&fixture, "root").await;
    let body = json!({ "name": "PACS", "grants": ["uploader@north"], "days": 1 });
    let request = fixture.http.post(fixture.url("/v1/tokens")).header(COOKIE, &admin.cookie);
    let answer =
        request.header("lobar-csrf", &admin.csrf).json(&body).send().await.expect("answers");
    let made: Value = answer.json().await.expect("JSON");
    let (secret, id) =
        (made["secret"].as_str().expect("shown"), made["token"]["id"].as_str().expect("an id"));
    let listed: Value = admin.ask(Method::GET, "/v1/tokens").await.json().await.expect("JSON");
    assert!(listed["items"][0]["name"] == "PACS" && !listed.to_string().contains(secret));
    let upload = async || {
        let request = fixture.http.post(fixture.url("/v1/images")).bearer_auth(secret);
        request
            .header("content-type", "image/png")
            .body("x")
            .send()
            .await
            .expect("answers")
            .status()
    };
    assert_eq!(upload().await, 202);
    assert_eq!(admin.ask(Method::DELETE, &format!("/v1/tokens/{id}")).await.status(), 204);
    assert_eq!(upload().await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_bears_its_reader_and_the_role_that_allowed_it() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit(["incoming/north/1.jpg".to_owned()]).await;
    fixture.finish(&ids, &crate::fixture::ready(0.9)).await;
    fixture.person("jane", "clinician@north").await;
    let browser = Browser::sign_in(&fixture, "jane").await;
    let url = fixture.url(&format!("/v1/images/{}/verdicts", ids[0]));
    let body = json!({ "opinion": "agree", "model_version": "test-1" });
    let request =
        fixture.http.post(url).header(COOKIE, &browser.cookie).header("lobar-csrf", &browser.csrf);
    assert_eq!(request.json(&body).send().await.expect("answers").status(), 201);
    let given = eventually("the verdict", || async {
        fixture.verdicts.of(ids[0]).await.expect("read").pop()
    })
    .await;
    assert_eq!((given.verdict.reader.as_str(), given.verdict.role.as_str()), ("jane", "clinician"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_hangs_up_while_they_sign_in_leaves_no_session_without_a_record() {
    const TRIES: usize = 8;
    let fixture = Fixture::open().await;
    let jane = fixture.person("jane", "clinician@north").await;
    let address = fixture.base.trim_start_matches("http://");
    let body = json!({ "name": "jane", "password": PASSWORD }).to_string();
    let request = format!(
        "POST /v1/session HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    for _ in 0..TRIES {
        let mut connection = tokio::net::TcpStream::connect(address).await.expect("connects");
        connection.write_all(request.as_bytes()).await.expect("sent");
        // A moment later, when its password is looked at.
        tokio::task::yield_now().await;
    }
    let signed_in = Filter { action: Some(Action::SignedIn), ..Filter::default() };
    eventually("each session is on record", async || {
        let open = fixture.accounts.sessions(jane, Duration::from_secs(3600)).await;
        let open = open.expect("asked").len();
        let entries = fixture.audit.page(&signed_in, Cursor::After(0), 100).await.expect("read");
        (open == TRIES && entries.len() == TRIES).then_some(())
    })
    .await;
}
