//! The page's sign-in: signing in and out, and a session that ends in the middle of work.

use lobar_core::object::ImageId;
use lobar_tests::kit::radiograph_jpeg;
use serde_json::{Value, json};

use crate::browser::{Browser, rows};
use crate::fixture::{Fixture, PASSWORD, eventually, ready};

pub(crate) const NAME: &str = ".door input[autocomplete=username]";
pub(crate) const SECRET: &str = ".door input[type=password]";
pub(crate) const SEND: &str = ".door button[type=submit]";

/// What somebody can see on the page.
const SEEN: &str = "return document.body.innerText";

pub(crate) async fn sign_in(browser: &Browser, name: &str, password: &str) {
    browser.text_becomes(".door h1", "Sign in").await;
    browser.fill(NAME, name).await;
    browser.fill(SECRET, password).await;
    browser.click(SEND).await;
}

/// A browser in which somebody has signed in.
pub(crate) async fn browser_of(fixture: &Fixture, name: &str, address: &str) -> Browser {
    let browser = Browser::open(&fixture.url(address)).await;
    sign_in(&browser, name, PASSWORD).await;
    browser.text_becomes("#who", name).await;
    browser
}

async fn says(browser: &Browser, words: &str) -> bool {
    browser.run(SEEN).await.as_str().expect("text").contains(words)
}

pub(crate) async fn value(browser: &Browser, css: &str) -> String {
    let script = "return document.querySelector(arguments[0])?.value ?? ''";
    let value = browser.page.execute(script, vec![json!(css)]).await.expect("a script");
    value.as_str().expect("text").to_owned()
}

/// One image of a site with its result, and its picture in the bucket.
pub async fn image(fixture: &Fixture, token: &str) -> ImageId {
    let request = fixture.http.post(fixture.url("/v1/images")).bearer_auth(token);
    let answer = request.body(radiograph_jpeg(700, 600, 1)).send().await.expect("an answer");
    let receipt: Value = answer.json().await.expect("JSON");
    let id: ImageId = receipt["id"].as_str().expect("an id").parse().expect("an id");
    eventually("it is admitted", async || {
        let events = fixture.stored_events().await;
        events.iter().any(|event| event.image == id).then_some(())
    })
    .await;
    fixture.finish(&[id], &ready(0.9)).await;
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_asked_for_or_shown_until_somebody_signs_in_who_then_gets_what_they_came_for() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let id = fixture.admit(["incoming/north/0.jpg".to_owned()]).await.remove(0);
    let browser = Browser::open(&fixture.url(&format!("/#/images/{id}"))).await;
    browser.text_becomes(".door h1", "Sign in").await;
    browser.becomes("return document.activeElement.autocomplete === 'username'").await;
    browser.screenshot("sign-in.png").await;

    sign_in(&browser, "jane", "a wrong sentence").await;
    browser.text_becomes(".form-fault", "The name, the password or the code is wrong.").await;
    browser.becomes("return document.activeElement.type === 'password' && document.activeElement.value === ''").await;
    browser.screenshot("sign-in-refused.png").await;
    let asked = "return performance.getEntriesByType('resource').map((entry) => entry.name)\
        .filter((name) => name.includes('/v1/') && !name.endsWith('/v1/session') && !name.endsWith('/v1/oidc'))";
    assert_eq!(browser.run(asked).await, json!([]));
    for view in ["#worklist", "#viewer", "#people", "#connection"] {
        assert_eq!(browser.text(view).await, "", "{view}");
    }

    sign_in(&browser, "jane", PASSWORD).await;
    browser.text_becomes("#viewer h1", &id.to_string()[..8]).await;
    browser.text_becomes("#who", "jane").await;
    browser.text_becomes("#connection", "live").await;
    assert_eq!(browser.text(".door").await, "");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_several_failures_the_page_says_when_to_try_again() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes(".door h1", "Sign in").await;
    // Many at once, as no person could: the page's own try comes into the pause.
    for _ in 0..9 {
        let body = json!({ "name": "jane", "password": "a wrong sentence" });
        let request = fixture.http.post(fixture.url("/v1/session")).json(&body);
        if request.send().await.expect("an answer").status() == 429 {
            break;
        }
    }
    sign_in(&browser, "jane", "a wrong sentence").await;
    eventually("it says for how long, or that it is over", async || {
        let said = browser.text(".form-fault").await;
        if !said.contains("Try again in") && !said.is_empty() {
            // The pause was over already; the next one is twice as long.
            sign_in(&browser, "jane", "a wrong sentence").await;
        }
        said.contains("Try again in").then_some(())
    })
    .await;
    browser.text_becomes(".form-fault", "You can try again now.").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_in_the_middle_of_a_verdict_loses_nothing_and_shows_nothing() {
    let fixture = Fixture::open().await;
    let jane = fixture.person("jane", "clinician@north").await;
    let token = fixture.token("uploader@north").await;
    let id = image(&fixture, &token).await;
    let browser = browser_of(&fixture, "jane", &format!("/#/images/{id}")).await;
    browser.shows_its_picture().await;
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    browser.press("i").await;
    // The verdict is on its way when the session ends.
    browser.hold("POST", "/verdicts").await;
    browser.press("d").await;
    browser.holds(1).await;
    fixture.accounts.end_sessions(jane, None).await.expect("ended");
    browser.let_go().await;

    browser.text_becomes("#lock", "The session of jane is over").await;
    browser.screenshot("session-over.png").await;
    let hidden = "return [...document.querySelectorAll('img, #who, h1:not(#door-title), .facts, tr')]\
        .every((element) => !element.checkVisibility({ visibilityProperty: true }))";
    browser.becomes(hidden).await;
    assert!(!says(&browser, &id.to_string()[..8]).await);
    assert_eq!(value(&browser, NAME).await, "jane");
    // Neither Escape nor a key for what lies below does anything.
    browser.click(".door h1").await;
    for keys in ["\u{e00c}", "\u{e00c}", "\u{e00c}", "a"] {
        browser.run("document.querySelector('.door button').focus()").await;
        browser.press(keys).await;
    }
    // Nor where the browser closes the dialog by itself, which the page hears of later.
    browser
        .run(
            "document.querySelector('#lock').close(); \
            document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }))",
        )
        .await;
    browser.text_becomes("#lock", "The session of jane is over").await;
    assert_eq!(browser.run("return location.hash").await, json!(format!("#/images/{id}")));
    browser.becomes(hidden).await;
    assert_eq!(fixture.verdicts.of(id).await.expect("asked"), []);

    browser.fill(SECRET, PASSWORD).await;
    browser.click(SEND).await;
    browser.text_becomes(".opinion", "labelled: no pneumonia").await;
    assert_eq!(browser.text("#lock").await, "");
    browser
        .becomes("return document.querySelector('.picture').classList.contains('inverted')")
        .await;
    let said = fixture.verdicts.of(id).await.expect("asked");
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].verdict.displayed, ["picture", "inverted"]);
    assert_eq!(said[0].verdict.reader, "jane");
    browser.text_becomes("#connection", "live").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_else_signs_in_over_a_session_that_is_over_gets_a_fresh_page() {
    let fixture = Fixture::open().await;
    let jane = fixture.person("jane", "clinician@north").await;
    fixture.person("olga", "reader@south").await;
    let id = fixture.admit(["incoming/north/0.jpg".to_owned()]).await.remove(0);
    let browser = browser_of(&fixture, "jane", &format!("/#/images/{id}")).await;
    browser.text_becomes("#viewer h1", &id.to_string()[..8]).await;
    fixture.accounts.end_sessions(jane, None).await.expect("ended");
    browser.text_becomes("#lock", "The session of jane is over").await;
    sign_in(&browser, "olga", PASSWORD).await;
    browser.text_becomes("#who", "olga").await;
    browser.text_becomes("#count", "Showing 0 of 0").await;
    assert_eq!(browser.run("return location.hash + location.search").await, "");
    assert!(!says(&browser, "jane").await && !says(&browser, &id.to_string()[..8]).await);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_signing_out_the_back_button_shows_nothing() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let token = fixture.token("uploader@north").await;
    let id = image(&fixture, &token).await;
    let browser = browser_of(&fixture, "jane", "/").await;
    browser.text_becomes("#count", "Showing 1 of 1").await;
    browser.click("tr[data-id] .open").await;
    browser.shows_its_picture().await;
    let picture = browser.run("return document.querySelector('.picture').src").await;
    browser.click("#who > div > button:last-child").await;
    browser.text_becomes(".door h1", "Sign in").await;
    assert_eq!(browser.run("return location.hash").await, "");
    for back in [true, false] {
        let went = if back { browser.page.back().await } else { browser.page.forward().await };
        went.expect("goes");
        browser.text_becomes(".door h1", "Sign in").await;
        assert_eq!(rows(&browser).await, Vec::<String>::new());
        assert!(!says(&browser, &id.to_string()[..8]).await && !says(&browser, "jane").await);
    }
    let script = "const done = arguments[1]; \
        fetch(arguments[0]).then(() => done('there'), () => done('gone'))";
    let kept = browser.page.execute_async(script, vec![picture]).await.expect("a script");
    assert_eq!(kept, "gone", "the picture's object URL");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_page_asks_by_itself_is_no_use_of_the_session() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let ids = fixture.admit(["incoming/north/0.jpg".to_owned()]).await;
    let browser = browser_of(&fixture, "jane", "/").await;
    browser.text_becomes("#connection", "live").await;
    // An hour passes in which nobody touches anything.
    browser
        .run("const real = window.fetch; window.asked = []; \
            window.fetch = (path, options) => { \
                asked.push([String(path).split('?')[0], options?.headers?.['Lobar-Activity'] ?? null]); \
                return real(path, options); }; \
            const now = performance.now.bind(performance); performance.now = () => now() + 3600000;")
        .await;
    fixture.finish(&ids, &ready(0.9)).await;
    browser.text_becomes("tr[data-id]", "Suspected pneumonia").await;
    let asked = browser.run("return asked").await;
    assert!(asked.as_array().expect("a list").contains(&json!(["/v1/images", null])), "{asked}");
    assert!(!asked.to_string().contains("person"), "{asked}");
    // A key, even one that asks for nothing, is one: the server is told of it.
    browser.press("x").await;
    browser
        .becomes("return asked.some(([path, by]) => path === '/v1/session' && by === 'person')")
        .await;
    browser.close().await;
}
