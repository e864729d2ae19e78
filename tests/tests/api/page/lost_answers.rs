//! Answers that are lost on their way to the page: what was kept is found out, and what was not is said.

use lobar_core::object::ImageId;
use serde_json::json;

use crate::browser::Browser;
use crate::fixture::Fixture;
use crate::signing_in::{browser_of, image};

/// What the page says of a verdict that was not kept, or may not have been.
const FAULT: &str = ".opinion [role='status'].fault";

/// Loses answers to what is asked by a method of a path that ends so: so many, after the server has given them or before the
/// request has reached it.
async fn lose(browser: &Browser, method: &str, end: &str, many: u32, given: bool) {
    let script = format!(
        "const real = window.fetch; let left = {many}; window.lost = 0; \
         window.fetch = async (path, options) => {{ \
             if (left === 0 || (options?.method ?? 'GET') !== '{method}' || !String(path).endsWith('{end}')) return real(path, options); \
             left -= 1; if ({given}) await real(path, options); window.lost += 1; throw new TypeError('lost'); }};"
    );
    browser.run(&script).await;
}

async fn opened(fixture: &Fixture) -> (Browser, ImageId) {
    fixture.person("jane", "clinician@*").await;
    let id = image(fixture, &fixture.token("uploader@north").await).await;
    let browser = browser_of(fixture, "jane", &format!("/#/images/{id}")).await;
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    (browser, id)
}

async fn kept(fixture: &Fixture, id: ImageId) -> usize {
    fixture.verdicts.of(id).await.expect("asked").len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_that_was_kept_though_its_answer_was_lost_is_found_and_can_be_taken_back() {
    let fixture = Fixture::open().await;
    let (browser, id) = opened(&fixture).await;
    lose(&browser, "POST", "/verdicts", 1, true).await;
    browser.press("a").await;
    browser.text_becomes("#undo", "was kept").await;
    browser.text_becomes(".opinion", "agreed").await;
    assert_eq!(browser.text(FAULT).await, "");
    assert_eq!(kept(&fixture, id).await, 1);
    browser.press("z").await;
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_that_never_arrived_is_said_to_be_lost_until_it_is_given_again() {
    let fixture = Fixture::open().await;
    let (browser, id) = opened(&fixture).await;
    lose(&browser, "POST", "/verdicts", 1, false).await;
    browser.press("a").await;
    browser.text_becomes(FAULT, "Your verdict was not kept").await;
    // It stays said when the image is drawn anew, here since somebody else has opened it.
    let loads = format!(
        "performance.getEntriesByType('resource').filter((one) => one.name.endsWith('/v1/images/{id}')).length"
    );
    let before = browser.run(&format!("return {loads}")).await;
    let olga = crate::exposure::person(&fixture, "olga", "clinician@*").await;
    let path = format!("/v1/images/{id}/claim?take_over=true");
    let (status, said) = olga.post(&fixture, &path, json!({})).await;
    assert_eq!(status, 200, "{said}");
    browser.becomes(&format!("return {loads} > {before}")).await;
    browser.drawn().await;
    assert!(browser.text(FAULT).await.contains("Your verdict was not kept"));
    assert_eq!(kept(&fixture, id).await, 0);
    browser.press("a").await;
    browser.text_becomes(".opinion", "agreed").await;
    assert_eq!(browser.text(FAULT).await, "");
    assert_eq!(kept(&fixture, id).await, 1);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_of_a_verdict_is_told_over_the_page_when_its_reader_has_gone_on() {
    let fixture = Fixture::open().await;
    let (browser, id) = opened(&fixture).await;
    browser.hold("POST", "/verdicts").await;
    lose(&browser, "POST", "/verdicts", 1, true).await;
    browser.press("a").await;
    browser.holds(1).await;
    browser.press("\u{e00c}").await;
    browser.let_go().await;
    browser.text_becomes("#undo", "was kept").await;
    assert_eq!(browser.text("#not-kept").await, "", "it was kept");
    assert_eq!(kept(&fixture, id).await, 1);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_cannot_be_had_after_an_event_is_asked_for_again() {
    let fixture = Fixture::open().await;
    let (browser, id) = opened(&fixture).await;
    lose(&browser, "GET", &format!("/v1/images/{id}"), 1, false).await;
    // Another reader's verdict is an event, and the only one.
    let olga = crate::exposure::person(&fixture, "olga", "clinician@*").await;
    let path = format!("/v1/images/{id}/verdicts");
    let (status, _) = olga.post(&fixture, &path, crate::verdict_terms::disagree()).await;
    assert_eq!(status, 201);
    browser.becomes("return window.lost === 1").await;
    browser.text_becomes(".opinion", "labelled: no pneumonia").await;
    browser.text_becomes(".facts", "pneumonia").await;
    assert_eq!(browser.text(".facts .fault").await, "");
    browser.close().await;
}
