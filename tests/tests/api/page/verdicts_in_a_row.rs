//! Verdicts that are given one soon after the other: each of them counts, whatever the page hears in between.

use lobar_core::verdict::{Cause, Opinion};
use serde_json::json;

use crate::browser::Browser;
use crate::fixture::Fixture;
use crate::signing_in::{browser_of, image};

/// Has every answer of a method whose path ends so wait in `window.answers` until it is called there.
async fn hold_answers(browser: &Browser, method: &str, end: &str) {
    let script = format!(
        "const real = window.fetch; window.answers = []; \
         window.fetch = async (path, options) => {{ \
             const answer = await real(path, options); \
             if ((options?.method ?? 'GET') === '{method}' && String(path).endsWith('{end}')) \
                 await new Promise((go) => window.answers.push(go)); \
             return answer; }};"
    );
    browser.run(&script).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_that_is_given_before_the_last_one_is_answered_is_kept_after_it() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@*").await;
    let id = image(&fixture, &fixture.token("uploader@north").await).await;
    let browser = browser_of(&fixture, "jane", &format!("/#/images/{id}")).await;
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    hold_answers(&browser, "POST", "/verdicts").await;
    browser.press("d").await;
    // The event tells of it before the answer does.
    browser.text_becomes(".opinion", "labelled: no pneumonia").await;
    browser.becomes("return window.answers.length === 1").await;
    browser.press("a").await;
    browser.press("n").await;
    browser.click(".causes input[value=rotation]").await;
    browser.click(".causes .primary").await;
    browser.run("window.answers[0]()").await;
    browser.becomes("return window.answers.length === 2").await;
    browser.run("window.answers[1]()").await;
    browser.text_becomes(".opinion", "found not assessable").await;
    let given = fixture.verdicts.of(id).await.expect("asked");
    assert_eq!(given.len(), 2, "the last one was meant");
    let causes = vec![Cause::Rotation];
    assert_eq!(given[1].verdict.opinion, Opinion::NotAssessable { causes }, "as it was pressed");
    assert_eq!(browser.run("return window.answers.length").await, 2);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_is_not_refused_since_the_page_heard_of_the_last_one_twice() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@*").await;
    let olga = crate::exposure::person(&fixture, "olga", "clinician@*").await;
    let id = image(&fixture, &fixture.token("uploader@north").await).await;
    let browser = browser_of(&fixture, "jane", &format!("/#/images/{id}")).await;
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    hold_answers(&browser, "GET", &format!("/v1/images/{id}")).await;
    browser.press("d").await;
    // It asks for the image after the answer, and after the event.
    browser.text_becomes("#undo", "was kept").await;
    browser.becomes("return window.answers.length === 2").await;
    // And once more, after an event of something else.
    let claim = format!("/v1/images/{id}/claim?take_over=true");
    let (status, said) = olga.post(&fixture, &claim, json!({})).await;
    assert_eq!(status, 200, "{said}");
    browser.becomes("return window.answers.length === 3").await;
    browser.run("window.answers[0](); window.answers[1]()").await;
    browser.press("a").await;
    browser.run("window.answers[2](); window.answers.push = (go) => go()").await;
    browser.text_becomes(".opinion", "agreed: pneumonia").await;
    assert_eq!(browser.text(".opinion .fault:not([hidden])").await, "");
    assert_eq!(fixture.verdicts.of(id).await.expect("asked").len(), 2);
    browser.close().await;
}
