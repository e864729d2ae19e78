//! An attacker's page in a browser in which a doctor has signed in: it reads nothing, and changes nothing.

mod elsewhere;
mod sessions;
mod viewers;

use std::collections::BTreeMap;

use lobar_api::ViewerOrigin;
use lobar_core::object::ImageId;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::fixture::{Fixture, PASSWORD, eventually, ready};
use crate::signing_in::{image, sign_in};
use elsewhere::Elsewhere;

/// What the attacker's page does with, in the browser.
const TOOLS: &str = include_str!("tools.js");

/// Where the attacker's page lies. Another port of the same host is of the same site: browsers send it `SameSite` cookies.
const PLACES: [&str; 3] = ["127.0.0.1", "localhost", "evil.example"];

/// The place of `used_at` among the columns of the table `session`.
const USED_AT: usize = 4;

/// What is tried, and how. Each resolves with what the attacker got.
const TRIES: &[(&str, &str)] = &[
    // Writing, without a preflight.
    (
        "a form invites an admin",
        "form(`${API}/v1/people`, 'application/x-www-form-urlencoded', { name: 'eve', grants: 'admin@*' })",
    ),
    (
        "a form in which JSON is hidden",
        r#"form(`${API}/v1/people`, 'text/plain', { '{"name":"eve","grants":["admin@*"],"x":"': '"}' })"#,
    ),
    (
        "a form that uploads",
        "form(`${API}/v1/images`, 'multipart/form-data', { file: 'an X-ray' })",
    ),
    (
        "a form that signs in as the attacker",
        r#"form(`${API}/v1/session`, 'text/plain', { '{"name":"eve","password":"a long enough sentence","code":"': '"}' })"#,
    ),
    (
        "a form that uploads to the bucket",
        "form(`${S3}/xrays`, 'multipart/form-data', { key: 'incoming/north/eve.jpg', file: 'an X-ray' })",
    ),
    ("a verdict as plain text", "read(`${API}/v1/images/${OWN}/verdicts`, json(VERDICT))"),
    (
        "a verdict that asks for no answer",
        "read(`${API}/v1/images/${OWN}/verdicts`, { ...json(VERDICT), mode: 'no-cors' })",
    ),
    (
        "a beacon",
        "navigator.sendBeacon(`${API}/v1/images/${OWN}/verdicts`, JSON.stringify(VERDICT)) && NOTHING",
    ),
    ("an upload as plain text", "read(`${API}/v1/images`, { method: 'POST', body: 'an X-ray' })"),
    (
        "a put into the bucket",
        "read(`${S3}/xrays/incoming/north/eve.jpg`, { method: 'PUT', body: 'X' })",
    ),
    (
        "a deletion in the bucket",
        "read(`${S3}/xrays?delete`, { method: 'POST', body: '<Delete/>' })",
    ),
    // Writing that asks for leave first.
    (
        "a verdict as JSON",
        "read(`${API}/v1/images/${OWN}/verdicts`, { ...json(VERDICT), headers: { 'content-type': 'application/json', 'lobar-csrf': '0' } })",
    ),
    ("signing the doctor out", "read(`${API}/v1/session`, { method: 'DELETE' })"),
    ("ending all sessions", "read(`${API}/v1/sessions`, { method: 'DELETE' })"),
    (
        "another password",
        "read(`${API}/v1/password`, { method: 'PUT', body: JSON.stringify({ current: 'a long enough sentence', new: 'owned by eve, who is evil' }) })",
    ),
    // Reading.
    (
        "a fetch",
        "Promise.all(READABLE.map((path) => read(API + path))).then((said) => said.find((one) => one !== NOTHING) ?? NOTHING)",
    ),
    (
        "a fetch that asks for no answer",
        "Promise.all(READABLE.map((path) => read(API + path, { mode: 'no-cors' }))).then((said) => said.find((one) => one !== NOTHING) ?? NOTHING)",
    ),
    ("the bucket's list", "read(`${S3}/xrays`)"),
    ("an object of the bucket", "read(`${S3}/xrays/incoming/north/0.jpg`)"),
    ("a picture", "load('img', `${API}/v1/images/${OWN}/picture`)"),
    ("the session as a script", "load('script', `${API}/v1/session`)"),
    ("the list as a script", "load('script', `${API}/v1/images`)"),
    ("the page's own script", "load('script', `${API}/web/session.js`, { type: 'module' })"),
    ("the list as a style", "load('link', `${API}/v1/images`, { rel: 'stylesheet' })"),
    ("the list as an object", "load('object', `${API}/v1/images`)"),
    ("live events", "follow(`${API}/v1/events?after=0`)"),
    ("a socket", "talk(API.replace('http', 'ws') + '/v1/events')"),
    // Framing and holding.
    ("the page in a frame", "frame(API + '/')"),
    ("an answer in a frame", "frame(`${API}/v1/images`)"),
    ("the page in a window that is held", "hold(API + '/')"),
    ("an answer in a window that is held", "hold(`${API}/v1/images`)"),
    // Guessing: what differs tells.
    (
        "whether an image exists",
        "tell([OWN, OTHER, UNKNOWN].map((id) => `${API}/v1/images/${id}`), [read, (url) => read(url, { mode: 'no-cors' }), \
         (url) => load('img', url), (url) => load('script', url), (url) => load('object', url), \
         (url) => load('img', `${url}/picture`), frame])",
    ),
];

/// A doctor at north with an image, in a browser that knows where the attacker's host is.
struct Ward {
    fixture: Fixture,
    elsewhere: Elsewhere,
    browser: Browser,
    own: ImageId,
    other: ImageId,
}

/// The browser's arguments by which hosts that nobody has point to this machine.
fn hosts() -> String {
    "--host-resolver-rules=MAP evil.example 127.0.0.1, MAP rebound.example 127.0.0.1".into()
}

impl Ward {
    async fn open() -> Self {
        Self::open_listing(&[]).await
    }

    /// Where Lobar lists the attacker's page as a viewer, under these hosts.
    async fn open_listing(hosts_listed: &[&str]) -> Self {
        let elsewhere = Elsewhere::start().await;
        let listed = hosts_listed.iter().map(|host| elsewhere.origin(host));
        let listed: Vec<ViewerOrigin> =
            listed.map(|origin| origin.parse().expect("an origin")).collect();
        let fixture = Fixture::open_with(|settings| settings.viewers = listed).await;
        fixture.person("jane", "clinician@north").await;
        fixture.person("eve", "clinician@south").await;
        let token = fixture.token("uploader@north").await;
        let own = image(&fixture, &token).await;
        let other = fixture.admit(["incoming/south/0.jpg".to_owned()]).await.remove(0);
        fixture.finish(&[other], &ready(0.9)).await;
        let browser = Browser::open_with(&fixture.url("/"), &[hosts()]).await;
        sign_in(&browser, "jane", PASSWORD).await;
        browser.text_becomes("#count", "Showing 1 of 1").await;
        browser.text_becomes("#connection", "live").await;
        Self { fixture, elsewhere, browser, own, other }
    }

    /// Everything that is stored, and what is on record of the doctor. What is seen is recorded a moment later, in the
    /// order in which it was: once a later failure to sign in is there, so is all before it.
    async fn stored(&self) -> BTreeMap<String, String> {
        let failures = |contents: &BTreeMap<String, String>| {
            contents["audit"].lines().filter(|line| line.contains("sign_in_failed")).count()
        };
        let before = failures(&self.fixture.contents().await);
        let body = json!({ "name": "nobody", "password": "nothing" });
        let request = self.fixture.http.post(self.fixture.url("/v1/session")).json(&body);
        assert_eq!(request.send().await.expect("an answer").status(), 401);
        let mut contents = eventually("what was seen is on record", async || {
            let contents = self.fixture.contents().await;
            (failures(&contents) > before).then_some(contents)
        })
        .await;
        let audit = contents.remove("audit").expect("a table");
        // A window of hers, whoever opens it, shows her the list and follows it: that is on record once a minute.
        let by_page =
            |line: &str| line.contains(" 'listed' ") || line.contains(" 'events_followed' ");
        let of_jane = audit.lines().filter(|line| line.contains("'jane'") && !by_page(line));
        let of_jane: Vec<_> = of_jane.collect();
        contents.insert("audit of jane".into(), of_jane.join("\n"));
        // Windows of hers, whoever opens them, keep her session in use: when it was used last is noted once a minute.
        let sessions = contents.remove("session").expect("a table");
        let sessions = sessions.lines().map(|line| {
            let columns = line.split(' ').enumerate().filter(|(column, _)| *column != USED_AT);
            columns.map(|(_, value)| value).collect::<Vec<_>>().join(" ")
        });
        contents.insert("session".into(), sessions.collect::<Vec<_>>().join("\n"));
        // The failure above is one of a name that nobody has.
        contents.remove("stranger").expect("a table");
        // Her own page tells what it painted when it is left, whoever leads away from it. Of other images it tells nothing.
        let exposures = contents.remove("exposure").expect("a table");
        let own = format!("X'{}'", self.own.0.simple().to_string().to_uppercase());
        let of_others: Vec<_> = exposures.lines().filter(|line| !line.contains(&own)).collect();
        contents.insert("exposure of other images".into(), of_others.join("\n"));
        contents
    }

    /// Runs one of the attacker's scripts in the page that is open.
    async fn attack(&self, script: &str) -> Value {
        let paths = json!([
            "/v1/session",
            "/v1/images",
            format!("/v1/images/{}", self.own),
            "/v1/sites",
            "/v1/events?after=0",
            format!("/v1/images/{}/picture", self.own),
            format!("/v1/images/{}/heatmap", self.own),
            "/v1/people",
            "/dicom-web/studies",
            "/",
        ]);
        let verdict =
            json!({ "opinion": "agree", "model_version": "test-1", "displayed": ["picture"] });
        let known = json!({
            "API": self.fixture.base, "S3": self.fixture.s3, "OWN": self.own, "OTHER": self.other,
            "UNKNOWN": "00000000-0000-4000-8000-000000000000", "READABLE": paths, "VERDICT": verdict,
        });
        let script = format!(
            "{TOOLS}\nconst [known, done] = arguments;\n\
             const {{ API, S3, OWN, OTHER, UNKNOWN, READABLE, VERDICT }} = known;\n\
             Promise.resolve({script}).then(done, (error) => done(String(error)));"
        );
        let said = self.browser.page.execute_async(&script, vec![known]).await;
        said.unwrap_or_else(|error| json!(format!("no end: {error:.100}")))
    }

    /// Closes all windows but this one.
    async fn close_others(&self) {
        let own = self.browser.page.window().await.expect("a window");
        for window in self.browser.page.windows().await.expect("windows") {
            if window != own {
                self.browser.page.switch_to_window(window).await.expect("there");
                self.browser.page.close_window().await.expect("closed");
            }
        }
        self.browser.page.switch_to_window(own).await.expect("there");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attacker_s_page_reads_nothing_and_changes_nothing() {
    let ward = Ward::open().await;
    let before = ward.stored().await;
    let mut got = Vec::new();
    for place in PLACES {
        ward.browser.page.goto(&ward.elsewhere.at(place)).await.expect("goes");
        for (what, script) in TRIES {
            let said = ward.attack(script).await;
            if said != "nothing" {
                got.push(format!("from {place}: {what}: {said}"));
            }
            // A page in the background would not be laid out, and load less.
            ward.close_others().await;
        }
    }
    assert!(got.is_empty(), "the attacker got\n{}", got.join("\n"));
    let after = ward.stored().await;
    for (table, rows) in &before {
        assert_eq!(&after[table], rows, "{table} is as it was");
    }
    // The doctor is still signed in, and her page works.
    ward.browser.page.goto(&ward.fixture.url("/")).await.expect("goes");
    ward.browser.text_becomes("#who", "jane").await;
    ward.browser.text_becomes("#count", "Showing 1 of 1").await;
    let workers = "const done = arguments[0]; \
        navigator.serviceWorker.getRegistrations().then((all) => done(all.length))";
    let workers = ward.browser.page.execute_async(workers, Vec::new()).await.expect("a script");
    assert_eq!(workers, 0, "nothing stands between the page and its server");
    ward.browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_a_page_elsewhere_leads_to_the_api_is_not_the_local_user_s() {
    let fixture = Fixture::open().await;
    let id = fixture.admit(["incoming/north/0.jpg".to_owned()]).await.remove(0);
    fixture.finish(&[id], &ready(0.9)).await;
    let led = async |path: &str, site: &str| {
        let request = fixture.http.get(fixture.url(path)).header("sec-fetch-site", site);
        let request = request.header("sec-fetch-mode", "navigate");
        let request = request.header("sec-fetch-dest", "document");
        request.send().await.expect("an answer").status().as_u16()
    };
    for path in [
        "/v1/images".to_owned(),
        format!("/v1/images/{id}"),
        "/v1/session".to_owned(),
        "/dicom-web/studies".to_owned(),
    ] {
        assert_eq!(led(&path, "none").await, 200, "{path}, which the local user typed");
        for site in ["cross-site", "same-site"] {
            assert_eq!(led(&path, site).await, 403, "{path}");
        }
    }
    assert_eq!(led("/", "cross-site").await, 200, "a link");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_was_made_to_point_here_shows_nothing() {
    let ward = Ward::open().await;
    let port = |base: &str| base.rsplit(':').next().expect("a port").to_owned();
    let page = format!("http://rebound.example:{}/", port(&ward.fixture.base));
    ward.browser.page.goto(&page).await.expect("goes");
    let read = "Promise.all(READABLE.map((path) => read(path))).then((said) => said.join('\\n'))";
    let said = ward.attack(read).await.to_string();
    assert_eq!(said.matches("421 ").count(), 10, "{said}");
    assert!(!said.contains("jane") && !said.contains(&ward.own.to_string()), "{said}");
    let bucket = format!("http://rebound.example:{}/xrays", port(&ward.fixture.s3));
    ward.browser.page.goto(&bucket).await.expect("goes");
    assert_eq!(ward.attack("read('/xrays')").await, "nothing");
    let shown = ward.browser.run("return document.documentElement.textContent").await.to_string();
    assert!(shown.contains("AccessDenied") && !shown.contains(&ward.own.to_string()), "{shown}");
    ward.browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_cannot_be_framed_under_a_button_of_somebody_else_s() {
    let ward = Ward::open().await;
    for place in PLACES {
        ward.browser.page.goto(&ward.elsewhere.at(place)).await.expect("goes");
        let frame = "new Promise((resolve) => { const frame = document.createElement('iframe'); \
            frame.onload = () => resolve(NOTHING); frame.src = API + '/'; document.body.append(frame); })";
        ward.attack(frame).await;
        ward.browser.page.enter_frame(0).await.expect("a frame");
        let shown = ward.browser.run("return document.URL + document.body.innerText").await;
        let shown = shown.as_str().expect("text");
        assert!(shown.starts_with("chrome-error:") && !shown.contains("jane"), "{place}: {shown}");
        ward.browser.page.enter_parent_frame().await.expect("out of it");
    }
    ward.browser.close().await;
}
