//! A tablet of 768 pixels, by fingers alone: from signing in to a verdict, and back.

use serde_json::json;

use super::Report;
use crate::browser::Browser;
use crate::fixture::{Fixture, PASSWORD, eventually};
use crate::signing_in::image;
use crate::signing_in::{NAME, SECRET, SEND};

/// Taps the middle of an element once it has stood still: what has just come under a finger is not what it was aimed at.
async fn tap(browser: &Browser, css: &str) {
    let place = "const e = document.querySelector(arguments[0]); if (!e?.checkVisibility()) return null; \
        const { left, top, width, height } = e.getBoundingClientRect(); \
        const at = [left + width / 2, top + height / 2, width, height]; \
        const hit = document.elementFromPoint(at[0], at[1]); \
        if (!hit || !(e.contains(hit) || hit.contains(e))) return null; \
        const now = `${arguments[0]} ${at}`; \
        if (window.stood_ !== now) [window.stood_, window.since_] = [now, performance.now()]; \
        return performance.now() - since_ > 600 ? at : null";
    let at = eventually(css, async || {
        let at = browser.page.execute(place, vec![json!(css)]).await.expect("a script");
        (!at.is_null()).then_some(at)
    })
    .await;
    let size = [&at[2], &at[3]].map(|side| side.as_f64().expect("a side"));
    assert!(size[0] >= 24.0 && size[1] >= 24.0, "{css} is too small for a finger: {size:?}");
    let fingers = json!([{ "x": at[0], "y": at[1] }]);
    for (kind, points) in [("touchStart", fingers), ("touchEnd", json!([]))] {
        let touch = json!({ "type": kind, "touchPoints": points });
        browser.devtools("Input.dispatchTouchEvent", touch).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fingers_alone_lead_from_signing_in_to_a_verdict_on_the_next_image_and_back() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let token = fixture.token("uploader@north").await;
    for _ in 0..2 {
        image(&fixture, &token).await;
    }
    let browser = Browser::open(&fixture.url("/")).await;
    let size = json!({ "width": 768, "height": 1024, "deviceScaleFactor": 2, "mobile": true });
    browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
    let touch = json!({ "enabled": true, "maxTouchPoints": 5 });
    browser.devtools("Emulation.setTouchEmulationEnabled", touch).await;
    for (field, text) in [(NAME, "jane"), (SECRET, PASSWORD)] {
        tap(&browser, field).await;
        browser.becomes(&format!("return document.activeElement.matches('{field}')")).await;
        browser.press(text).await;
    }
    tap(&browser, SEND).await;
    browser.text_becomes("#count", "Showing 2 of 2").await;

    let first = "return document.querySelector('tr[data-id]').dataset.id";
    let first = browser.run(first).await.as_str().expect("an id").to_owned();
    tap(&browser, "tr[data-id] .cell.waiting").await;
    browser.becomes(&format!("return location.hash === '#/images/{first}'")).await;
    browser.shows_its_picture().await;
    tap(&browser, ".viewer-bar button:last-child").await;
    browser
        .becomes(&format!(
            "return location.hash.startsWith('#/images/') && !location.hash.endsWith('{first}')"
        ))
        .await;
    browser.shows_its_picture().await;
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    browser.becomes("document.querySelector('.opinion [data-key=d]').scrollIntoView({ block: 'center' }); return true").await;
    tap(&browser, ".opinion [data-key=d]").await;
    browser.text_becomes(".opinion", "labelled: no pneumonia").await;
    let mut report = Report::default();
    report.look_as_it_is(&browser, "viewer on a tablet").await;
    browser.run("scrollTo(0, 0)").await;
    tap(&browser, ".viewer-bar button:first-child").await;
    browser.becomes("return location.hash === '' || location.hash === '#/'").await;
    browser.text_becomes("#rows", "Verified: you").await;
    report.look_as_it_is(&browser, "list on a tablet").await;
    assert!(report.0.is_empty(), "{}", report.0.join("\n"));
    browser.close().await;
}
