//! Signing in at an OpenID provider: a real one, and one that lies.

mod forged;
mod page;
mod provider;

use std::collections::BTreeMap;
use std::time::Duration;

use lobar_api::ApiSettings;
use lobar_core::access::SiteName;
use lobar_oidc::{ClientSecret, OidcSettings};
use lobar_testkit::services::free_port;
use lobar_testkit::services::openid::OpenidProvider;
use reqwest::{Response, StatusCode, header, redirect};
use serde_json::Value;

use crate::fixture::Fixture;

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
async fn with_provider() -> (Fixture, OpenidProvider, u16) {
    with_provider_and(|_| {}).await
}

async fn with_provider_and(more: impl FnOnce(&mut ApiSettings)) -> (Fixture, OpenidProvider, u16) {
    let port = free_port();
    let fixture = Fixture::open_with(|set| {
        set.oidc = Some(settings(port));
        set.local_user = false;
        set.stream_check = Duration::from_millis(100);
        more(set);
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
    async fn signed_in_there(&mut self, fixture: &Fixture, name: &str) -> String {
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
        let callback = self.signed_in_there(fixture, name).await;
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
