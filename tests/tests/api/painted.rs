//! In a real browser: the own opinion before the result, what is on record of what was painted, and the auditors' page.

use lobar_core::exposure::{Exposure, Source, Visible};
use lobar_core::finding::Label;
use lobar_core::object::ImageId;
use lobar_tests::kit::radiograph_jpeg;
use serde_json::Value;

use crate::browser::Browser;
use crate::exposure::of_all;
use crate::fixture::{Fixture, eventually, ready};

/// An image that was flagged, with its picture in the bucket.
async fn flagged(fixture: &Fixture) -> ImageId {
    let picture = radiograph_jpeg(700, 600, 1);
    let sent = fixture.http.post(fixture.url("/v1/images")).body(picture).send().await;
    let receipt: Value = sent.expect("an answer").json().await.expect("JSON");
    let id: ImageId = receipt["id"].as_str().expect("an id").parse().expect("an id");
    eventually("it is admitted", async || fixture.store.image(id).await.expect("asked")).await;
    fixture.finish(&[id], &ready(0.9)).await;
    id
}

async fn painted(fixture: &Fixture, id: ImageId) -> Vec<Exposure> {
    let met = fixture.exposures.of_image(id).await.expect("asked");
    met.into_iter().filter(|exposure| exposure.source == Source::Painted).collect()
}

/// Whether the page shows anything of the answer.
const TELLS: &str = "return /suspected|flagged|threshold|above|below|test-1/i.test(document.body.innerText)\
    || document.querySelector('.band') !== null";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_own_opinion_comes_first_then_the_result_and_then_a_verdict_that_may_differ() {
    let fixture = Fixture::open_with(of_all).await;
    let id = flagged(&fixture).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("tr[data-id]", "Your opinion first").await;
    browser.text_becomes("tr[data-id] + tr, #count", "Showing 1 of 1").await;
    let row = "return /suspected|not flagged/i.test(document.querySelector('#rows').innerText) \
        || document.querySelector('#rows .band') !== null";
    assert_eq!(browser.run(row).await, false);
    browser.click("tr[data-id] .open").await;
    browser.text_becomes("#viewer .facts", "Your opinion first").await;
    browser.text_becomes(".opinion h2", "What do you see?").await;
    browser.shows_its_picture().await;
    assert_eq!(
        browser
            .run(TELLS.replace("document.body", "document.querySelector('#viewer')").as_str())
            .await,
        false
    );
    browser.press("h").await;
    assert_eq!(browser.run("return document.querySelector('.heat').hidden").await, true);
    browser.screenshot("own-opinion-first.png").await;

    browser.click(".opinion [data-key=o]").await;
    browser.text_becomes("#viewer .facts", "Suspected pneumonia").await;
    browser.text_becomes(".opinion h2", "Your verdict").await;
    let [first] = fixture.exposures.opinions(id).await.expect("asked").try_into().expect("one");
    assert_eq!((first.opinion.label, first.found), (Some(Label::Normal), Label::Pneumonia));
    assert!(first.opinion.rendering.is_some(), "the picture was on the screen");
    // A page that is loaded anew in between asks for nothing again.
    browser.page.refresh().await.expect("loaded anew");
    browser.text_becomes("#viewer .facts", "Suspected pneumonia").await;
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    browser.press("h").await;
    browser.shows_its_heatmap().await;
    browser.screenshot("own-opinion-revealed.png").await;
    browser.press("h").await;
    eventually("the heatmap is on record as painted", async || {
        let all = painted(&fixture, id).await;
        all.iter().any(|stretch| stretch.visible.any_of(Visible::HEATMAP)).then_some(())
    })
    .await;
    browser.click(".opinion [data-key=a]").await;
    browser.text_becomes(".opinion", "agreed: pneumonia").await;
    let cases = fixture.exposures.cases(None, None, 10).await.expect("asked");
    let [case] = cases.try_into().expect("one");
    assert!(case.between.any_of(Visible::HEATMAP));
    assert_eq!(case.before, Visible::NOTHING);
    assert!(case.between.any_of(Visible::WORD) && case.between.any_of(Visible::PROBABILITY));
    assert_eq!(case.last.map(|last| last.label), Some(Some(Label::Pneumonia)));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_record_as_painted_is_what_could_be_seen() {
    let fixture = Fixture::open().await;
    let id = flagged(&fixture).await;
    let browser = Browser::open(&fixture.url(&format!("/#/images/{id}"))).await;
    browser.text_becomes("#viewer .facts", "Suspected pneumonia").await;
    browser.shows_its_picture().await;
    // On, and then the tab is another one's.
    browser.press("h").await;
    browser.shows_its_heatmap().await;
    let result = Visible::WORD | Visible::PROBABILITY;
    let stretches = async |count: usize| {
        eventually("stretches are on record", async || {
            let all = painted(&fixture, id).await;
            (all.len() >= count).then_some(all)
        })
        .await
    };
    let [plain] = stretches(1).await.try_into().expect("one has ended");
    assert_eq!(plain.visible, result);
    let hide = "Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'hidden' }); \
        document.dispatchEvent(new Event('visibilitychange'))";
    browser.run(hide).await;
    let [_, with_heatmap] = stretches(2).await.try_into().expect("two have ended");
    assert_eq!(with_heatmap.visible, result | Visible::HEATMAP);
    // Nothing that happens in a hidden tab is seen by anybody.
    browser.press("h").await;
    browser.becomes("return document.querySelector('.heat').hidden").await;
    browser.press("h").await;
    browser.press("h").await;
    // A key is drawn with the next frame.
    browser.becomes("return document.querySelector('.heat').hidden").await;
    browser
        .run("delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange'))")
        .await;
    browser.becomes("return document.visibilityState === 'visible'").await;
    browser.press("\u{e00c}").await;
    let all = stretches(3).await;
    assert_eq!(all[2].visible, result, "the heatmap was off when the tab came back");
    assert!(all.iter().all(|stretch| !stretch.visible.any_of(Visible::FLAG)), "no list was shown");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auditor_reads_the_record_on_the_page_and_sees_that_it_is_a_chain() {
    let fixture = Fixture::open().await;
    let keys = (0..70).map(|n| format!("incoming/north/{n}.jpg"));
    let ids = fixture.admit(keys).await;
    fixture.finish(&ids, &ready(0.9)).await;
    let browser = Browser::open(&fixture.url("/#/audit")).await;
    browser.text_becomes("#audit h1", "Who saw and did what").await;
    browser.text_becomes("#chain", "50 entries are one unbroken chain").await;
    browser.text_becomes("#audit tbody", "inferred").await;
    browser.screenshot("audit.png").await;
    browser.run("[...document.querySelectorAll('#audit button')].find((b) => b.textContent === 'Older').click()").await;
    browser.text_becomes("#chain", "entries are one unbroken chain").await;
    browser.becomes("return document.querySelectorAll('#audit tbody tr').length > 70").await;
    // One image alone.
    browser.run("document.querySelector('#audit tbody button[title]').click()").await;
    browser.text_becomes("#chain", "as it was written").await;
    fixture
        .damage("drop trigger audit_unchanged; update audit set actor = 'nobody' where number = 3")
        .await;
    browser.page.refresh().await.expect("loaded anew");
    browser.text_becomes("#chain", "50 entries are one unbroken chain").await;
    browser.run("[...document.querySelectorAll('#audit button')].find((b) => b.textContent === 'Older').click()").await;
    browser.text_becomes("#chain", "The chain is broken at entry 3").await;
    browser.close().await;
}
