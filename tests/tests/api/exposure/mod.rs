//! Own opinion first: what is withheld from whom, what reveals it, and what is on record of it.

mod on_record;
mod report;
mod withheld;

use lobar_api::ApiSettings;
use lobar_core::exposure::Share;
use lobar_core::object::ImageId;
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::fixture::{Fixture, PASSWORD, eventually, ready};

/// Of every image that is not urgent.
pub fn of_all(settings: &mut ApiSettings) {
    settings.opinion_first = "1".parse::<Share>().expect("a share").into();
}

/// Somebody who has signed in, or a machine.
pub enum As {
    Person { cookie: String, csrf: String },
    Machine(String),
}

pub async fn person(fixture: &Fixture, name: &str, grants: &str) -> As {
    fixture.person(name, grants).await;
    let body = json!({ "name": name, "password": PASSWORD });
    let answer = fixture.http.post(fixture.url("/v1/session")).json(&body).send().await;
    let answer = answer.expect("answers");
    let cookie = answer.headers()[SET_COOKIE].to_str().expect("text");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let session: Value = answer.json().await.expect("JSON");
    As::Person { cookie, csrf: session["csrf_token"].as_str().expect("a token").to_owned() }
}

impl As {
    pub fn request(&self, fixture: &Fixture, method: Method, path: &str) -> RequestBuilder {
        let request = fixture.http.request(method, fixture.url(path));
        match self {
            Self::Person { cookie, csrf } => {
                request.header(COOKIE, cookie).header("lobar-csrf", csrf)
            }
            Self::Machine(token) => request.bearer_auth(token),
        }
    }

    pub async fn get(&self, fixture: &Fixture, path: &str) -> (u16, Value) {
        let answer = self.request(fixture, Method::GET, path).send().await.expect("answers");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    pub async fn post(&self, fixture: &Fixture, path: &str, body: Value) -> (u16, Value) {
        let request = self.request(fixture, Method::POST, path).json(&body);
        let answer = request.send().await.expect("answers");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn withheld(&self, fixture: &Fixture, id: ImageId) -> Value {
        let (status, image) = self.get(fixture, &format!("/v1/images/{id}")).await;
        assert_eq!(status, 200, "{image}");
        assert_eq!(image["withheld"].is_null(), !image["result"].is_null(), "{image}");
        image["withheld"].clone()
    }
}

/// An image that was flagged and one that was not, on which somebody else has agreed.
async fn two(fixture: &Fixture) -> [ImageId; 2] {
    let keys = ["incoming/north/1.jpg", "incoming/north/2.jpg"].map(str::to_owned);
    let ids = fixture.admit(keys).await;
    fixture.finish(&ids[..1], &ready(0.9)).await;
    fixture.finish(&ids[1..], &ready(0.1)).await;
    eventually("the server has followed", async || {
        let last = fixture.stored_events().await.last().expect("events").position().number();
        let token = fixture.token("reader@*").await;
        let (_, list) = As::Machine(token).get(fixture, "/v1/images").await;
        (list["last_event"] == last).then_some(())
    })
    .await;
    [ids[0], ids[1]]
}

/// A text without what differs between any two images.
fn alike(text: &str, id: ImageId) -> String {
    let mut body: Value = serde_json::from_str(text).expect("JSON");
    for member in ["id", "received_at", "finished_at", "request_id"] {
        if let Some(place) = body.get_mut(member) {
            *place = Value::Null;
        }
    }
    // When somebody has read it, and since when it waits.
    for member in ["since", "until", "waiting_since", "overdue_at"] {
        if let Some(place) = body.pointer_mut(&format!("/reading/{member}")) {
            *place = Value::Null;
        }
    }
    body.to_string().replace(&id.to_string(), "ID")
}
