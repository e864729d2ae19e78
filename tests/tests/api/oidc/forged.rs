//! A provider that lies, and answers that were not asked for.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use lobar_api::ApiSettings;
use lobar_core::accounts::{External, NewAccount};
use lobar_testkit::services::openid::OpenidProvider;
use reqwest::header;
use serde_json::{Value, json};
use url::Url;

use super::{Visitor, landed, with_provider_and};
use crate::fixture::{Fixture, eventually};

/// A server whose provider lies.
async fn with_forger() -> (Fixture, OpenidProvider, u16) {
    with_forger_and(|_| {}).await
}

async fn with_forger_and(more: impl FnOnce(&mut ApiSettings)) -> (Fixture, OpenidProvider, u16) {
    let (fixture, _, port) = with_provider_and(more).await;
    let forger = OpenidProvider::forger(port);
    forger.start().await;
    (fixture, forger, port)
}

async fn next(fixture: &Fixture, port: u16, next: Value) {
    let request = fixture.http.post(format!("http://localhost:{port}/test/next"));
    let told = request.body(next.to_string()).send().await.expect("an answer");
    assert_eq!(told.status(), 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_wrong_in_any_way_signs_nobody_in() {
    let (fixture, _forger, port) = with_forger().await;
    let (expired, refused) = ("/#/sign-in/expired", "/#/sign-in/refused");
    for (lie, ends) in [
        (json!({}), "/"),
        // Clocks that differ by less than a minute, and by more.
        (json!({ "claims": { "exp": -40 } }), "/"),
        (json!({ "claims": { "exp": -90 } }), refused),
        (json!({ "claims": { "iat": 40, "nbf": 40 } }), "/"),
        (json!({ "claims": { "iat": 90 } }), refused),
        (json!({ "claims": { "nbf": 90 } }), refused),
        (json!({ "claims": { "exp": null } }), refused),
        (json!({ "sign": "none" }), refused),
        (json!({ "sign": "hs256" }), refused),
        (json!({ "sign": "other" }), refused),
        (json!({ "sign": "unknown" }), refused),
        (json!({ "header": { "typ": "logout+jwt" } }), refused),
        (json!({ "claims": { "aud": "another" } }), refused),
        (json!({ "claims": { "aud": ["lobar", "another"] } }), refused),
        (json!({ "claims": { "azp": "another" } }), refused),
        (json!({ "claims": { "azp": "lobar" } }), "/"),
        (json!({ "claims": { "iss": "http://localhost:1" } }), refused),
        (json!({ "claims": { "nonce": "another" } }), refused),
        (json!({ "claims": { "nonce": null } }), refused),
        // Mix-up: another provider's answer, or one that does not say whose it is.
        (json!({ "callback": { "iss": "https://evil.example" } }), refused),
        (json!({ "callback": { "iss": null } }), refused),
        (json!({ "callback": { "code": null } }), refused),
        (json!({ "callback": { "code": null, "error": "access_denied" } }), refused),
        (json!({ "callback": { "state": "another" } }), expired),
        (json!({ "callback": { "state": null } }), expired),
        (json!({ "token": "invalid_grant" }), refused),
        (json!({ "token": "html" }), "/#/sign-in/away"),
        (json!({ "token": "redirect" }), "/#/sign-in/away"),
        (json!({ "token": "huge" }), "/#/sign-in/away"),
        (json!({ "claims": { "groups": "x-rays" } }), "/"),
        (json!({ "claims": { "groups": [1, 2] } }), "/#/sign-in/no-role"),
        (json!({ "claims": { "groups": null } }), "/#/sign-in/no-role"),
        (json!({ "claims": { "sub": "new", "preferred_username": null } }), "/#/sign-in/name"),
        (json!({ "claims": { "sub": "new", "preferred_username": "a\u{0}b" } }), "/#/sign-in/name"),
        // The account is that of the subject, whatever it is called.
        (json!({ "claims": { "preferred_username": "somebody else" } }), "/"),
        (json!({ "claims": { "sub": "new" } }), "/#/sign-in/name"),
        (json!({ "sign": "rotate" }), "/"),
    ] {
        next(&fixture, port, lie.clone()).await;
        if lie["sign"] == "rotate" {
            // Keys are asked for once in two seconds.
            eventually("the new key is fetched", async || {
                (Visitor::new().sign_in(&fixture, "").await == "/").then_some(())
            })
            .await;
            continue;
        }
        let mut visitor = Visitor::new();
        assert_eq!(visitor.sign_in(&fixture, "").await, ends, "{lie}");
        let signed_in = visitor.session(&fixture).await;
        assert_eq!(signed_in.is_null(), ends != "/", "{lie}: {signed_in}");
        assert!(signed_in.is_null() || signed_in["name"] == "ada", "{lie}: {signed_in}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_ends_once_in_the_browser_that_began_it_and_on_the_page() {
    let (fixture, _forger, _) = with_forger().await;
    // An answer that somebody else brings, or the same one again.
    let (mut ada, mut eve) = (Visitor::new(), Visitor::new());
    let callback = ada.signed_in_there(&fixture, "").await;
    assert_eq!(landed(&eve.get(&callback).await), "/#/sign-in/expired");
    eve.signed_in_there(&fixture, "").await;
    assert_eq!(landed(&eve.get(&callback).await), "/#/sign-in/expired");
    assert!(eve.session(&fixture).await.is_null());
    let kept = ada.cookies.clone();
    assert_eq!(landed(&ada.get(&callback).await), "/");
    assert_eq!(landed(&ada.get(&callback).await), "/#/sign-in/expired", "its cookie is gone");
    ada.cookies = kept;
    assert_eq!(landed(&ada.get(&callback).await), "/#/sign-in/expired", "the state was used");

    for (wanted, goes) in [
        ("/?show=all#/images/1", "/?show=all#/images/1"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/v1/session", "/"),
    ] {
        let mut visitor = Visitor::new();
        let mut start = Url::parse(&fixture.url("/v1/oidc/start")).expect("an address");
        start.query_pairs_mut().append_pair("return_to", wanted);
        let away = landed(&visitor.get(start.as_str()).await);
        let query: BTreeMap<_, _> =
            Url::parse(&away).expect("an address").query_pairs().into_owned().collect();
        assert_eq!(
            (query["code_challenge_method"].as_str(), query["response_type"].as_str()),
            ("S256", "code")
        );
        assert!(query["state"].len() > 40 && query["nonce"].len() > 40, "{query:?}");
        let back = landed(&visitor.get(&away).await);
        assert_eq!(landed(&visitor.get(&back).await), goes, "{wanted}");
    }
    // The cookie is the server's own, and the session's is stricter.
    let begun = Visitor::new().get(&fixture.url("/v1/oidc/start")).await;
    let cookie = begun.headers()[header::SET_COOKIE].to_str().expect("text").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_whose_cookie_was_changed_or_planted_goes_nowhere() {
    let (fixture, _forger, _) = with_forger().await;
    let host = fixture.base.trim_start_matches("http://").to_owned();
    // The cookie is the browser's own and not signed: what it says is looked at again.
    for (wanted, goes) in [
        ("/#/images/1", "/#/images/1"),
        ("https://evil.example/", "/#/sign-in/expired"),
        ("//evil.example", "/#/sign-in/expired"),
        ("/v1/session", "/#/sign-in/expired"),
    ] {
        let mut visitor = Visitor::new();
        let callback = visitor.signed_in_there(&fixture, "").await;
        let cookies = visitor.cookies.get_mut(&host).expect("cookies");
        let cookie = cookies.get_mut("lobar_oidc").expect("what was begun");
        let begun = BASE64_URL_SAFE_NO_PAD.decode(&*cookie).expect("base64");
        let mut begun: Value = serde_json::from_slice(&begun).expect("JSON");
        begun["return_to"] = wanted.into();
        *cookie = BASE64_URL_SAFE_NO_PAD.encode(begun.to_string());
        let answer = visitor.get(&callback).await;
        assert_eq!(landed(&answer), goes, "{wanted}");
        let signs_in = visitor.cookies[&host].contains_key("lobar_session");
        assert_eq!(signs_in, goes == wanted, "{wanted}");
        assert!(!visitor.cookies[&host].contains_key("lobar_oidc"), "it is taken back");
    }
    // Of two, one was planted by another server on this host: which, is not told.
    let mut visitor = Visitor::new();
    let callback = visitor.signed_in_there(&fixture, "").await;
    let own = visitor.cookies[&host]["lobar_oidc"].clone();
    for cookies in
        [format!("lobar_oidc={own}; lobar_oidc={own}"), "lobar_oidc=x".into(), "lobar_oidc=".into()]
    {
        let answer = visitor.http.get(&callback).header(header::COOKIE, cookies).send().await;
        assert_eq!(landed(&answer.expect("an answer")), "/#/sign-in/expired");
    }
    assert_eq!(landed(&visitor.get(&callback).await), "/", "its own still does");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_that_the_token_lacks_are_asked_for_also_where_it_has_other_parts_of_their_claim() {
    let nested = |set: &mut ApiSettings| {
        let oidc = set.oidc.as_mut().expect("a provider");
        oidc.groups_claim = "realm_access.roles".parse().expect("a claim");
    };
    let (fixture, _forger, port) = with_forger_and(nested).await;
    let userinfo = format!("http://localhost:{port}/userinfo");
    let part = json!({ "realm_access": { "verified": true } });
    let roles = |subject: &str, roles: &[&str]| json!({ "sub": subject, "realm_access": { "roles": roles } });
    for (claims, said, ends) in [
        (json!({ "realm_access": { "roles": ["x-rays"] } }), roles("ada", &["nobody"]), "/"),
        (part.clone(), roles("ada", &["x-rays"]), "/"),
        (part.clone(), roles("ada", &["nobody"]), "/#/sign-in/no-role"),
        (part.clone(), json!({ "sub": "ada" }), "/#/sign-in/no-role"),
        // Of somebody else it says nothing.
        (part.clone(), roles("eve", &["x-rays"]), "/#/sign-in/away"),
    ] {
        let discovery = json!({ "userinfo_endpoint": userinfo });
        let lie = json!({ "claims": claims, "userinfo": said, "discovery": discovery });
        next(&fixture, port, lie.clone()).await;
        assert_eq!(Visitor::new().sign_in(&fixture, "").await, ends, "{lie}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_token_that_is_wrong_in_any_way_ends_no_session() {
    let (fixture, _forger, port) = with_forger().await;
    let mut ada = Visitor::new();
    assert_eq!(ada.sign_in(&fixture, "").await, "/");
    let other = NewAccount {
        name: "other".into(),
        grants: Default::default(),
        external: Some(External { issuer: "https://other.example".into(), subject: "ada".into() }),
    };
    fixture.accounts.add(&other).await.expect("added");
    let token = async |lie: &Value| {
        next(&fixture, port, lie.clone()).await;
        let asked = fixture.http.get(format!("http://localhost:{port}/test/logout-token")).send();
        asked.await.expect("an answer").text().await.expect("a token")
    };
    let send = async |token: &str| {
        let request = fixture.http.post(fixture.url("/v1/oidc/logout"));
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = request.body(format!("logout_token={token}")).send().await;
        answer.expect("an answer").status().as_u16()
    };
    for lie in [
        json!({ "sign": "none" }),
        json!({ "sign": "hs256" }),
        json!({ "sign": "other" }),
        json!({ "sign": "unknown" }),
        json!({ "header": { "typ": "at+jwt" } }),
        json!({ "header": { "crit": ["b64"] } }),
        json!({ "claims": { "iss": "http://localhost:1" } }),
        json!({ "claims": { "aud": "another" } }),
        json!({ "claims": { "iat": -300 } }),
        json!({ "claims": { "iat": 120 } }),
        json!({ "claims": { "iat": null } }),
        json!({ "claims": { "exp": -120 } }),
        json!({ "claims": { "events": {} } }),
        json!({ "claims": { "events": null } }),
        json!({ "claims": { "nonce": "any" } }),
        json!({ "claims": { "jti": null } }),
        json!({ "claims": { "sub": null } }),
    ] {
        let forged = token(&lie).await;
        assert_eq!(send(&forged).await, 400, "{lie}");
        assert!(!ada.session(&fixture).await.is_null(), "{lie}");
    }
    for nothing in ["", "a.b.c", "a", &"a".repeat(40_000)] {
        let status = send(nothing).await;
        assert!(matches!(status, 400 | 413), "{status}");
    }
    let right = token(&json!({})).await;
    assert_eq!(send(&right).await, 200);
    assert!(ada.session(&fixture).await.is_null());
    // Kept by somebody, it would sign her out again and again.
    assert_eq!(ada.sign_in(&fixture, "").await, "/");
    assert_eq!(send(&right).await, 400);
    assert!(!ada.session(&fixture).await.is_null());
    // Somebody else's session, and then her own by its name.
    next(&fixture, port, json!({ "claims": { "sid": "s1" } })).await;
    let mut named = Visitor::new();
    assert_eq!(named.sign_in(&fixture, "").await, "/");
    let by_name = |sid: &str| json!({ "claims": { "sub": null, "sid": sid } });
    assert_eq!(send(&token(&by_name("s2")).await).await, 200);
    assert!(!named.session(&fixture).await.is_null());
    assert_eq!(send(&token(&by_name("s1")).await).await, 200);
    assert!(named.session(&fixture).await.is_null() && !ada.session(&fixture).await.is_null());
}
