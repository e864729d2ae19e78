//! A real provider: `oidc-provider` of npm.

use std::time::Duration;

use lobar_api::ApiSettings;
use lobar_core::audit::{Cursor, Filter};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Visitor, landed, tell, with_provider, with_provider_and};
use crate::fixture::{Fixture, PASSWORD, PATIENCE, eventually};

/// Waits until this is on record.
async fn recorded(fixture: &Fixture, action: &str, detail: Value) {
    eventually(&format!("{action} {detail} is on record"), async || {
        let all =
            fixture.audit.page(&Filter::default(), Cursor::After(0), 1_000).await.expect("read");
        all.iter().any(|one| one.action == action && one.detail() == detail).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_in_at_the_provider_may_what_their_groups_say_each_time_anew() {
    let (fixture, provider, port) = with_provider().await;
    provider.start().await;
    let mut ada = Visitor::new();
    assert_eq!(ada.sign_in(&fixture, "ada").await, "/");
    let session = ada.session(&fixture).await;
    assert_eq!(
        (&session["name"], &session["external"]),
        (&json!("ada"), &json!(true)),
        "{session}"
    );
    assert_eq!(session["grants"], json!(["clinician@north"]));

    // Nobody's group; a site that is none; a name that somebody else has.
    assert_eq!(Visitor::new().sign_in(&fixture, "bob").await, "/#/sign-in/no-role");
    assert_eq!(Visitor::new().sign_in(&fixture, "elsewhere").await, "/#/sign-in/no-role");
    fixture.person("Root", "admin@*").await;
    assert_eq!(Visitor::new().sign_in(&fixture, "root").await, "/#/sign-in/name");
    assert_eq!(fixture.accounts.accounts().await.expect("asked").len(), 2, "ada, and Root");

    tell(&fixture, port, "/test/groups?name=ada&group=it").await;
    assert_eq!(Visitor::new().sign_in(&fixture, "ada").await, "/");
    assert_eq!(ada.session(&fixture).await["grants"], json!(["operator@*", "admin@*"]));
    recorded(&fixture, "signed_in", json!({ "way": "oidc" })).await;
    recorded(&fixture, "sign_in_failed", json!({ "way": "oidc", "why": "no-role" })).await;
    for (change, grants) in
        [("added", json!(["clinician@north"])), ("granted", json!(["operator@*", "admin@*"]))]
    {
        let detail = json!({ "change": change, "grants": grants, "way": "oidc" });
        recorded(&fixture, "person_changed", detail).await;
    }

    // Without a group that is named she is out, also where she was signed in.
    tell(&fixture, port, "/test/groups?name=ada&group=everybody").await;
    assert_eq!(Visitor::new().sign_in(&fixture, "ada").await, "/#/sign-in/no-role");
    assert_eq!(ada.session(&fixture).await, Value::Null);
    tell(&fixture, port, "/test/groups?name=ada&group=x-rays").await;
    let account = fixture.accounts.named("ada").await.expect("asked").expect("there");
    fixture.accounts.disable(account.id, true).await.expect("disabled");
    assert_eq!(Visitor::new().sign_in(&fixture, "ada").await, "/#/sign-in/disabled");
    let account = fixture.accounts.named("ada").await.expect("asked").expect("there");
    assert!(account.disabled && account.password.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_away_stops_nothing_and_one_that_changes_its_keys_goes_on() {
    let (fixture, provider, _) = with_provider().await;
    fixture.person("local", "clinician@north").await;
    let mut visitor = Visitor::new();
    let away = visitor.get(&fixture.url("/v1/oidc/start")).await;
    assert_eq!((away.status(), landed(&away)), (StatusCode::SEE_OTHER, "/#/sign-in/away".into()));
    assert_eq!(fixture.get("/v1/oidc").await, (200, json!({ "label": "Hospital ID" })));
    eventually("the server is ready all the same", async || {
        (fixture.get("/readyz").await.0 == 200).then_some(())
    })
    .await;
    let body = json!({ "name": "local", "password": PASSWORD });
    let answer = fixture.http.post(fixture.url("/v1/session")).json(&body).send().await;
    assert_eq!(answer.expect("an answer").status(), 200);

    provider.start().await;
    eventually("the provider is heard of", async || {
        let answer = Visitor::new().get(&fixture.url("/v1/oidc/start")).await;
        (landed(&answer) != "/#/sign-in/away").then_some(())
    })
    .await;
    assert_eq!(Visitor::new().sign_in(&fixture, "ada").await, "/");
    // It makes another key when it starts.
    provider.stop();
    provider.start().await;
    eventually("the new key is fetched", async || {
        (Visitor::new().sign_in(&fixture, "ada").await == "/").then_some(())
    })
    .await;
    assert!(!provider.log().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_is_revoked_at_the_provider_is_signed_out_everywhere_and_their_streams_end() {
    // Nobody would look within the test's time.
    let never = |set: &mut ApiSettings| set.stream_check = Duration::from_secs(3600);
    let (fixture, provider, port) = with_provider_and(never).await;
    provider.start().await;
    let (mut one, mut two, mut root) = (Visitor::new(), Visitor::new(), Visitor::new());
    for (visitor, name) in [(&mut one, "ada"), (&mut two, "ada"), (&mut root, "root")] {
        assert_eq!(visitor.sign_in(&fixture, name).await, "/");
    }
    let mut stream = one.get(&fixture.url("/v1/events?after=0")).await;
    assert_eq!(stream.status(), 200);
    tell(&fixture, port, "/test/revoke?name=ada").await;
    for visitor in [&mut one, &mut two] {
        assert_eq!(visitor.session(&fixture).await, Value::Null);
    }
    assert_eq!(root.session(&fixture).await["name"], "root", "nobody else is signed out");
    let ended = async { while let Ok(Some(_)) = stream.chunk().await {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("the stream ends");
    recorded(&fixture, "signed_out", json!({ "way": "oidc" })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_session_that_a_browser_had_ends_when_somebody_signs_in_there_at_the_provider() {
    let (fixture, provider, _) = with_provider().await;
    provider.start().await;
    let (mut visitor, mut elsewhere) = (Visitor::new(), Visitor::new());
    for visitor in [&mut visitor, &mut elsewhere] {
        assert_eq!(visitor.sign_in(&fixture, "ada").await, "/");
    }
    let mut before = Visitor { http: visitor.http.clone(), cookies: visitor.cookies.clone() };
    let callback = visitor.signed_in_there(&fixture, "ada").await;
    // As a browser does: what is `SameSite=Strict` comes with no request that another site's page began.
    let host = fixture.base.trim_start_matches("http://");
    let own = visitor.cookies.get_mut(host).expect("cookies");
    assert!(own.remove("lobar_session").is_some());
    let answer = visitor.get(&callback).await;
    assert_eq!(landed(&answer), "/");
    assert_eq!(visitor.session(&fixture).await["name"], "ada");
    assert_eq!(before.session(&fixture).await, Value::Null, "it ended");
    assert_eq!(elsewhere.session(&fixture).await["name"], "ada", "another browser's goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_known_to_the_provider_is_asked_anew_where_the_page_wants_it() {
    let (fixture, provider, _) = with_provider().await;
    provider.start().await;
    for (path, prompts) in [("/v1/oidc/start", false), ("/v1/oidc/start?anew=true", true)] {
        let answer = Visitor::new().get(&fixture.url(path)).await;
        assert_eq!(landed(&answer).contains("prompt=login"), prompts, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_provider_there_is_nothing_to_sign_in_at() {
    let fixture = Fixture::open().await;
    assert_eq!(fixture.get("/v1/oidc").await, (200, json!({ "label": null })));
    for path in ["/v1/oidc/start", "/v1/oidc/callback?code=x&state=y"] {
        assert_eq!(fixture.get(path).await.0, 404, "{path}");
    }
}
