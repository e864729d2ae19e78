//! Signing in at an OpenID provider: a real one, and one that lies.

use std::collections::BTreeMap;
use std::time::Duration;

use fantoccini::Locator;
use fantoccini::key::Key;
use lobar_core::access::SiteName;
use lobar_core::accounts::{External, NewAccount};
use lobar_core::audit::{Cursor, Filter};
use lobar_oidc::{ClientSecret, OidcSettings};
use lobar_testkit::services::free_port;
use lobar_testkit::services::openid::OpenidProvider;
use reqwest::{Response, StatusCode, header, redirect};
use serde_json::{Value, json};
use url::Url;

use crate::browser::Browser;
use crate::fixture::{Fixture, PASSWORD, eventually, ready};

const ROLES: &str = "x-rays=clinician@north; it=admin@* operator@*; nowhere=reader@atlantis";

fn settings(port: u16) -> OidcSettings {
    OidcSettings {
        issuer: format!("http://localhost:{port}").parse().expect("an issuer"),
        client_id: "lobar".into(),
        client_secret: Some(ClientSecret("the client's secret".into())),
        scopes: vec!["profile".into()],
        groups_claim: "groups".parse().expect("a claim"),
        name_claim: "preferred_username".parse().expect("a claim"),
        roles: ROLES.parse().expect("roles"),
        label: "Hospital ID".into(),
        longest: Duration::from_secs(3600),
    }
}

/// A server whose people sign in at a provider that is not started yet.
pub async fn with_provider() -> (Fixture, OpenidProvider, u16) {
    let port = free_port();
    let fixture = Fixture::open_with(|set| {
        set.oidc = Some(settings(port));
        set.local_user = false;
        set.stream_check = Duration::from_millis(100);
    })
    .await;
    let north: SiteName = "north".parse().expect("a site");
    assert!(fixture.accounts.add_site(&north).await.expect("added"));
    let provider = OpenidProvider::new(port, &fixture.base);
    (fixture, provider, port)
}

/// A browser without a screen: it keeps cookies and goes where it is sent.
struct Visitor {
    http: reqwest::Client,
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

/// Where somebody was let go: an address of the page.
fn landed(answer: &Response) -> String {
    let address = answer.headers().get(header::LOCATION).expect("a redirection");
    address.to_str().expect("text").to_owned()
}

impl Visitor {
    fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().redirect(redirect::Policy::none()).build();
        Self { http: http.expect("a client"), cookies: BTreeMap::new() }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Response {
        let mut request = request.build().expect("a request");
        let host = request.url().authority().to_owned();
        let jar = self.cookies.entry(host).or_default();
        let line: Vec<_> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !line.is_empty() {
            let line = line.join("; ").parse().expect("a header");
            request.headers_mut().insert(header::COOKIE, line);
        }
        let answer = self.http.execute(request).await.expect("an answer");
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().expect("text");
            let (name, rest) = cookie.split_once('=').expect("a cookie");
            let value = rest.split(';').next().expect("a value");
            let over = rest.contains("Max-Age=0") || rest.contains("expires=Thu, 01 Jan 1970");
            match over || value.is_empty() {
                true => jar.remove(name),
                false => jar.insert(name.into(), value.into()),
            };
        }
        answer
    }

    async fn get(&mut self, url: &str) -> Response {
        let request = self.http.get(url);
        self.send(request).await
    }

    /// Goes from redirection to redirection, filling in the provider's form, until the provider sends it back: the
    /// address of the callback.
    async fn to_callback(&mut self, fixture: &Fixture, name: &str) -> String {
        let mut answer = self.get(&fixture.url("/v1/oidc/start")).await;
        for _ in 0..12 {
            let here = answer.url().clone();
            if answer.status().is_redirection() {
                let next = here.join(&landed(&answer)).expect("an address").to_string();
                if next.starts_with(&fixture.base) {
                    return next;
                }
                answer = self.get(&next).await;
                continue;
            }
            let form = answer.text().await.expect("a page");
            let action = form.split("action=\"").nth(1).and_then(|rest| rest.split('"').next());
            let action = action.unwrap_or_else(|| panic!("no form in {form}"));
            let to = here.join(action).expect("an address");
            let body = format!("prompt=login&login={name}&password=x");
            let request = self.http.post(to).body(body);
            let form = "application/x-www-form-urlencoded";
            answer = self.send(request.header(header::CONTENT_TYPE, form)).await;
        }
        panic!("the provider sends in circles");
    }

    /// Signs in at the provider; where the page is then.
    async fn sign_in(&mut self, fixture: &Fixture, name: &str) -> String {
        let callback = self.to_callback(fixture, name).await;
        let answer = self.get(&callback).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        landed(&answer)
    }

    /// Who is signed in; null for nobody.
    async fn session(&mut self, fixture: &Fixture) -> Value {
        let answer = self.get(&fixture.url("/v1/session")).await;
        match answer.status() {
            StatusCode::OK => answer.json().await.expect("JSON"),
            _ => Value::Null,
        }
    }
}

async fn tell(fixture: &Fixture, port: u16, path: &str) {
    let told = fixture.http.get(format!("http://localhost:{port}{path}")).send().await;
    assert_eq!(told.expect("an answer").status(), 204);
}

/// Waits until this is on record.
async fn recorded(fixture: &Fixture, action: &str, detail: Value) {
    eventually(&format!("{action} {detail} is on record"), async || {
        let all = fixture.audit.page(&Filter::default(), Cursor::After(0), 1_000).await.expect("read");
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
    assert_eq!((&session["name"], &session["external"]), (&json!("ada"), &json!(true)), "{session}");
    assert_eq!(session["grants"], json!(["clinician@north"]));

    // Nobody's group; a site that is none; a name that somebody else has.
    assert_eq!(Visitor::new().sign_in(&fixture, "bob").await, "/#/sign-in/no-role");
    assert_eq!(Visitor::new().sign_in(&fixture, "elsewhere").await, "/#/sign-in/settings");
    fixture.person("Root", "admin@*").await;
    assert_eq!(Visitor::new().sign_in(&fixture, "root").await, "/#/sign-in/name");
    assert_eq!(fixture.accounts.accounts().await.expect("asked").len(), 2, "ada, and Root");

    tell(&fixture, port, "/test/groups?name=ada&group=it").await;
    assert_eq!(Visitor::new().sign_in(&fixture, "ada").await, "/");
    assert_eq!(ada.session(&fixture).await["grants"], json!(["operator@*", "admin@*"]));
    recorded(&fixture, "signed_in", json!({ "way": "oidc" })).await;
    recorded(&fixture, "sign_in_failed", json!({ "way": "oidc", "why": "no-role" })).await;
    for (change, grants) in [("added", json!(["clinician@north"])), ("granted", json!(["operator@*", "admin@*"]))] {
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
    assert_eq!(fixture.get("/readyz").await.0, 200);
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
    let (fixture, provider, port) = with_provider().await;
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
    tokio::time::timeout(crate::fixture::PATIENCE, ended).await.expect("the stream ends");
    recorded(&fixture, "signed_out", json!({ "way": "oidc" })).await;
}

/// A server whose provider lies.
async fn with_forger() -> (Fixture, OpenidProvider, u16) {
    let (fixture, _, port) = with_provider().await;
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
        (json!({ "token": "html" }), refused),
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
    let (fixture, _forger, port) = with_forger().await;
    // An answer that somebody else brings, or the same one again.
    let (mut ada, mut eve) = (Visitor::new(), Visitor::new());
    let callback = ada.to_callback(&fixture, "").await;
    assert_eq!(landed(&eve.get(&callback).await), "/#/sign-in/expired");
    eve.to_callback(&fixture, "").await;
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
        let query: BTreeMap<_, _> = Url::parse(&away).expect("an address").query_pairs().into_owned().collect();
        assert_eq!((query["code_challenge_method"].as_str(), query["response_type"].as_str()), ("S256", "code"));
        assert!(query["state"].len() > 40 && query["nonce"].len() > 40, "{query:?}");
        let back = landed(&visitor.get(&away).await);
        assert_eq!(landed(&visitor.get(&back).await), goes, "{wanted}");
    }
    // The cookie is the server's own, and the session's is stricter.
    let begun = Visitor::new().get(&fixture.url("/v1/oidc/start")).await;
    let cookie = begun.headers()[header::SET_COOKIE].to_str().expect("text").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    drop(port);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_provider_there_is_nothing_to_sign_in_at() {
    let fixture = Fixture::open().await;
    assert_eq!(fixture.get("/v1/oidc").await, (200, json!({ "label": null })));
    for path in ["/v1/oidc/start", "/v1/oidc/callback?code=x&state=y"] {
        assert_eq!(fixture.get(path).await.0, 404, "{path}");
    }
}

/// Signs in at the provider's own page.
async fn at_the_provider(browser: &Browser, name: &str) {
    for (css, text) in [("input[name=login]", name), ("input[name=password]", "x")] {
        let field = browser.page.wait().for_element(Locator::Css(css)).await.expect(css);
        field.send_keys(text).await.expect("keys");
    }
    browser.click("button.login-submit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_page_somebody_signs_in_at_the_provider_reads_their_images_and_signs_out_there_too() {
    let (fixture, provider, port) = with_provider().await;
    provider.start().await;
    let id = fixture.admit(["incoming/north/0.jpg".to_owned()]).await.remove(0);
    fixture.finish(&[id], &ready(0.9)).await;
    // Another site than the provider's, as browsers count.
    let browser = Browser::open(&fixture.url(&format!("/#/images/{id}"))).await;
    browser.text_becomes(".door .provider", "Sign in with Hospital ID").await;
    browser.screenshot("sign-in-provider.png").await;
    browser.click(".door .provider").await;
    browser.becomes("return location.hostname === 'localhost'").await;
    at_the_provider(&browser, "ada").await;
    browser.text_becomes("#who", "ada").await;
    browser.text_becomes("#viewer .facts", "Suspected pneumonia").await;
    let cookies = browser.page.get_all_cookies().await.expect("cookies");
    let session = cookies.iter().find(|one| one.name() == "session").expect("signed in");
    assert_eq!(session.same_site().map(|site| site.is_strict()), Some(true), "{session:?}");
    assert!(cookies.iter().all(|one| one.name() != "oidc"), "what was needed once is gone");
    // There is no password to change.
    browser.click(".who-name").await;
    browser.text_becomes("dialog", "Your sessions").await;
    assert!(!browser.text("dialog").await.contains("Change the password"));
    browser.press(&Key::Escape.to_string()).await;

    // The provider ends the session: what she reads is covered, and goes on when she is back, from another window.
    tell(&fixture, port, "/test/revoke?name=ada").await;
    tell(&fixture, port, "/test/groups?name=ada&group=x-rays").await;
    browser.text_becomes("#lock", "Sign in to go on").await;
    browser.click("#lock .provider").await;
    eventually("another window", async || {
        let windows = browser.page.windows().await.expect("windows");
        (windows.len() == 2).then_some(())
    })
    .await;
    let windows = browser.page.windows().await.expect("windows");
    browser.page.switch_to_window(windows[1].clone()).await.expect("the other one");
    // The provider may still know her.
    eventually("she is signed in", async || {
        let asked = browser.page.find(Locator::Css("input[name=login]")).await.is_ok();
        if asked {
            at_the_provider(&browser, "ada").await;
        }
        browser.text("#who").await.contains("ada").then_some(())
    })
    .await;
    browser.page.switch_to_window(windows[0].clone()).await.expect("the first one");
    browser.becomes("return !document.querySelector('#lock').open").await;
    browser.text_becomes("#viewer .facts", "Suspected pneumonia").await;

    // Out here, and on to the provider, which asks whether she means it.
    browser.click("#who button:last-child").await;
    browser.becomes("return location.pathname.startsWith('/session/end')").await;
    browser.click("button[name=logout]").await;
    browser.text_becomes(".door h1", "Sign in").await;
    browser.becomes(&format!("return location.host === '{}'", fixture.base.trim_start_matches("http://"))).await;
    browser.click(".door .provider").await;
    browser.becomes("return Boolean(document.querySelector('input[name=login]'))").await;

    // Whom no group lets in is told so, on the page.
    at_the_provider(&browser, "bob").await;
    browser.text_becomes(".form-fault", "none of your groups may use Lobar").await;
    browser.becomes("return location.hash === ''").await;
    browser.screenshot("sign-in-refused-by-groups.png").await;
    browser.close().await;
}
