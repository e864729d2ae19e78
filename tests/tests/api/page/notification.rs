//! The notification of the desktop: asked for, seldom, and nothing of a patient.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::exposure::of_all;
use crate::fixture::{Fixture, blank, ready};
use crate::signing_in::browser_of;

/// Notes what is shown, and plays a page that is not in sight: a headless browser has no tab before it.
const WATCH: &str = "
    window.shown = [];
    const Real = window.Notification;
    window.Notification = class extends Real {
      constructor(title, options) { super(title, options); shown.push([title, options.body ?? '']); }
    };
    window.sight = 'visible';
    Object.defineProperty(document, 'visibilityState', { get: () => sight });
    window.waited = [];
    const later = window.setTimeout;
    window.setTimeout = (does, ms, ...more) => {
      if (ms > 30000) waited.push(ms);
      return later(does, ms > 30000 ? 3000 : ms, ...more);
    };";

/// The notifications that were shown by now.
async fn shown(browser: &Browser) -> Value {
    browser.run("return shown.map(([title, body]) => title + body)").await
}

async fn ask_for_them(browser: &Browser) {
    let granted = json!({ "permissions": ["notifications"] });
    browser.devtools("Browser.grantPermissions", granted).await;
    browser.run(WATCH).await;
    browser.click("#options").await;
    browser.click("#notify").await;
    browser.becomes("return localStorage.getItem('lobar.notify') === 'on'").await;
    browser.click(".dialog .dialog-close").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_shown_only_out_of_sight_and_once_a_minute_and_says_how_many() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit((0..7).map(|n| format!("incoming/north/{n}.jpg"))).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#connection", "live").await;
    browser.text_becomes("#count", "Showing 7 of 7").await;
    assert_eq!(browser.run("return localStorage.length").await, Value::from(0), "off at first");
    ask_for_them(&browser).await;

    // In sight nothing is shown, and what is not flagged is never told of.
    fixture.finish(&ids[..1], &ready(0.9)).await;
    browser.text_becomes(&format!("tr[data-id='{}']", ids[0]), "Suspected pneumonia").await;
    browser.run("window.sight = 'hidden'").await;
    fixture.finish(&ids[1..2], &ready(0.1)).await;
    fixture.finish(&ids[2..3], &ready(0.9)).await;
    browser.becomes("return shown.length === 1").await;
    assert_eq!(shown(&browser).await, json!(["1 image needs a reader"]));

    // What comes soon after waits until a minute is over.
    fixture.finish(&ids[3..5], &blank()).await;
    browser.becomes("return waited.length === 1 && waited[0] > 40000 && waited[0] <= 60000").await;
    browser.becomes("return shown.length === 2").await;
    assert_eq!(shown(&browser).await[1], "2 images need a reader");

    browser
        .run("window.sight = 'visible'; document.dispatchEvent(new Event('visibilitychange'))")
        .await;
    browser.click("#options").await;
    browser.click("#notify").await;
    assert_eq!(browser.run("return localStorage.length").await, Value::from(0));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_own_opinion_comes_first_is_told_nothing_of_flags() {
    let fixture = Fixture::open_with(of_all).await;
    fixture.person("jane", "clinician@north").await;
    let ids = fixture.admit((0..2).map(|n| format!("incoming/north/{n}.jpg"))).await;
    let browser = browser_of(&fixture, "jane", "/").await;
    browser.text_becomes("#connection", "live").await;
    browser.text_becomes("#count", "Showing 2 of 2").await;
    ask_for_them(&browser).await;
    browser.run("window.sight = 'hidden'").await;
    fixture.finish(&ids[..1], &ready(0.9)).await;
    browser.text_becomes(&format!("tr[data-id='{}']", ids[0]), "Your opinion first").await;
    fixture.finish(&ids[1..], &blank()).await;
    browser.becomes("return shown.length === 1").await;
    assert_eq!(
        shown(&browser).await,
        json!(["1 image needs a reader"]),
        "the one that was not assessed"
    );
    browser.close().await;
}
