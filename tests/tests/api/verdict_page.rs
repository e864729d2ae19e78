//! Verdicts on the page: taken back, with causes and a note, refused where something newer is there, and two readers.

use lobar_core::object::ImageId;
use lobar_core::verdict::{Cause, Opinion};
use serde_json::json;

use crate::browser::Browser;
use crate::exposure::person;
use crate::fixture::{Fixture, eventually};
use crate::signing_in::{browser_of, image, value};
use crate::verdict_terms::{disagree, flagged, of_north};

const NOTE: &str = ".opinion textarea";

async fn given(fixture: &Fixture, id: ImageId) -> Vec<lobar_core::verdict::Verdict> {
    fixture.verdicts.of(id).await.expect("asked")
}

/// Types into the field of the note.
async fn note(browser: &Browser, words: &str) {
    let focus = format!("document.querySelector('{NOTE}').focus()");
    browser.run(&focus).await;
    browser.press(words).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_is_taken_back_by_its_key_or_its_button_and_the_image_waits_again() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@*").await;
    let id = image(&fixture, &fixture.token("uploader@north").await).await;
    let browser = browser_of(&fixture, "jane", &format!("/?order=urgency#/images/{id}")).await;
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    for by_key in [true, false] {
        browser.run("document.querySelector('.stage').focus()").await;
        browser.press("d").await;
        browser.text_becomes("#undo", "was kept").await;
        browser.text_becomes(".opinion", "labelled: no pneumonia").await;
        let status = "return document.querySelector('#undo').role === 'status'";
        assert_eq!(browser.run(status).await, true, "it is read out politely");
        browser.screenshot("verdict-undo.png").await;
        if by_key {
            browser.press("z").await;
        } else {
            browser.click("#undo button").await;
        }
        browser.text_becomes("#said", "was taken back").await;
        browser.text_becomes(".opinion", "No verdict was given yet").await;
        assert_eq!(browser.text("#undo").await, "");
        let focused = browser.run("return document.activeElement !== document.body").await;
        assert_eq!(focused, true, "the focus is somewhere");
    }
    let rows = given(&fixture, id).await;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|verdict| !verdict.counts()), "{rows:?}");
    // Nothing is left to be taken back.
    browser.press("z").await;
    browser.press("\u{e00c}").await;
    let unread =
        format!("return document.querySelector('tr[data-id=\"{id}\"] .reading')?.innerText");
    browser.becomes(&format!("{unread}.startsWith('Read') && !/Verified/.test(document.querySelector('#rows').innerText)")).await;
    assert_eq!(given(&fixture, id).await.len(), 2);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_assessable_asks_why_and_causes_and_note_are_kept_and_shown_as_text() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@*").await;
    let id = image(&fixture, &fixture.token("uploader@north").await).await;
    let browser = browser_of(&fixture, "jane", &format!("/#/images/{id}")).await;
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    browser.press("n").await;
    browser.text_becomes(".causes", "Why is it not assessable?").await;
    browser.becomes("return document.activeElement.value === 'rotation'").await;
    browser.press("\u{e00c}").await;
    browser.becomes("return document.querySelector('.causes').hidden").await;
    assert_eq!(browser.run("return document.activeElement.dataset.key").await, "n");
    assert_eq!(browser.run("return location.hash").await, json!(format!("#/images/{id}")));

    browser.press("n").await;
    browser.becomes("return document.activeElement.value === 'rotation'").await;
    browser.press(" ").await;
    browser.click(".causes input[value=other]").await;
    browser.screenshot("not-assessable.png").await;
    // Something else must be said.
    browser.click(".causes .primary").await;
    browser.text_becomes(".opinion", "Say in the note what makes it not assessable").await;
    note(&browser, "<b>a zip</b> d").await;
    assert_eq!(given(&fixture, id).await, [], "letters of a note are no keys");
    browser.click(".causes .primary").await;
    browser.text_becomes(".opinion", "found not assessable").await;
    let [verdict] = given(&fixture, id).await.try_into().expect("one");
    let causes = vec![Cause::Rotation, Cause::Other];
    assert_eq!(verdict.verdict.opinion, Opinion::NotAssessable { causes });
    assert_eq!(verdict.verdict.note.0, "<b>a zip</b> d");
    assert_eq!(value(&browser, NOTE).await, "", "it was sent");
    browser.click(".verdicts summary").await;
    browser.text_becomes(".verdicts li", "jane found not assessable: rotated.").await;
    browser.text_becomes(".verdicts q", "<b>a zip</b> d").await;
    assert_eq!(browser.run("return document.querySelectorAll('.verdicts b').length").await, 0);
    browser.screenshot("what-readers-said.png").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_something_newer_is_there_the_page_says_what_and_keeps_what_was_typed() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@*").await;
    let olga = person(&fixture, "olga", "clinician@*").await;
    let id = image(&fixture, &fixture.token("uploader@north").await).await;
    let browser = browser_of(&fixture, "jane", &format!("/#/images/{id}")).await;
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    // No news of the image reaches the page.
    browser.hold("GET", &format!("/v1/images/{id}")).await;
    let (status, _) = olga.post(&fixture, &format!("/v1/images/{id}/verdicts"), disagree()).await;
    assert_eq!(status, 201);
    note(&browser, "see the prior").await;
    browser.run("document.querySelector('.stage').focus()").await;
    browser.press("a").await;
    browser.text_becomes(".opinion .fault:not([hidden])", "olga labelled: no pneumonia").await;
    browser.screenshot("verdict-newer.png").await;
    assert_eq!(value(&browser, NOTE).await, "see the prior");
    assert_eq!(given(&fixture, id).await.len(), 1, "it was not kept");
    browser.let_go().await;
    browser.text_becomes(".opinion", "labelled: no pneumonia").await;
    browser.press("a").await;
    browser.text_becomes(".opinion", "agreed: pneumonia").await;
    assert_eq!(browser.text(".opinion .fault:not([hidden])").await, "");
    let rows = given(&fixture, id).await;
    assert_eq!((rows.len(), rows[1].verdict.note.0.as_str()), (2, "see the prior"));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_that_is_refused_after_its_reader_has_gone_on_is_told_over_the_page() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@*").await;
    let olga = person(&fixture, "olga", "clinician@*").await;
    let id = image(&fixture, &fixture.token("uploader@north").await).await;
    let browser = browser_of(&fixture, "jane", &format!("/#/images/{id}")).await;
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    browser.hold("POST", "/verdicts").await;
    note(&browser, "see the prior").await;
    browser.run("document.querySelector('.stage').focus()").await;
    browser.press("a").await;
    browser.holds(1).await;
    browser.press("\u{e00c}").await;
    let (status, _) = olga.post(&fixture, &format!("/v1/images/{id}/verdicts"), disagree()).await;
    assert_eq!(status, 201);
    browser.let_go().await;
    browser.text_becomes("#not-kept", "Your verdict was not kept").await;
    assert_eq!(given(&fixture, id).await.len(), 1);
    browser.click("#not-kept a").await;
    browser.text_becomes(".opinion", "labelled: no pneumonia").await;
    assert_eq!(value(&browser, NOTE).await, "see the prior", "what was typed is still there");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_of_two_readers_is_shown_the_first_verdict_after_their_own() {
    let fixture = Fixture::open_with(of_north).await;
    fixture.person("jane", "clinician@*").await;
    let olga = person(&fixture, "olga", "clinician@*").await;
    let id = image(&fixture, &fixture.token("uploader@north").await).await;
    let site = fixture.store.image(id).await.expect("asked").expect("known");
    assert_eq!(site.object.site(), Some("north"));
    let (status, _) = olga.post(&fixture, &format!("/v1/images/{id}/verdicts"), disagree()).await;
    assert_eq!(status, 201);
    let browser = browser_of(&fixture, "jane", "/?order=urgency").await;
    browser.text_becomes("tr[data-id] .reading", "1 of 2 read").await;
    browser.click("tr[data-id] .open").await;
    browser.text_becomes(".opinion", "Another reader has given a verdict").await;
    browser.click(".verdicts summary").await;
    browser.text_becomes(".verdicts", "shown when you have given your verdict").await;
    assert!(!browser.text("#viewer").await.contains("no pneumonia."), "nothing tells of it");
    browser.screenshot("second-reader.png").await;
    browser.run("document.querySelector('.stage').focus()").await;
    browser.press("a").await;
    browser.text_becomes(".verdicts", "olga labelled: no pneumonia").await;
    browser.press("\u{e00c}").await;
    browser.text_becomes("tr[data-id] .reading", "Readers differ").await;
    browser.close().await;
}

/// What a reader has open now, and the warning over it.
async fn open(browser: &Browser) -> (Option<ImageId>, String) {
    let hash = browser.run("return location.hash").await;
    let id = hash.as_str().and_then(|hash| hash.strip_prefix("#/images/"));
    (id.and_then(|id| id.parse().ok()), browser.text("#reader").await)
}

/// Goes to the next image that waits; `None` when nothing else does.
async fn next(browser: &Browser) -> Option<ImageId> {
    let (before, _) = open(browser).await;
    browser.run("document.querySelector('.stage')?.focus()").await;
    browser.press("u").await;
    eventually("the next image", async || {
        let (now, said) = open(browser).await;
        if said.contains("Nothing else waits") {
            return Some(None);
        }
        now.filter(|_| now != before).map(Some)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_readers_on_one_list_read_no_image_twice_without_knowing() {
    const IMAGES: usize = 6;
    let fixture = Fixture::open().await;
    for name in ["jane", "olga"] {
        fixture.person(name, "clinician@*").await;
    }
    let mut ids = Vec::new();
    for n in 0..IMAGES {
        ids.push(flagged(&fixture, &n.to_string()).await);
    }
    let jane = browser_of(&fixture, "jane", "/").await;
    let olga = browser_of(&fixture, "olga", "/").await;
    let mut warned = 0;
    for _ in 0..2 * IMAGES {
        let both = tokio::join!(next(&jane), next(&olga));
        let (Some(one), Some(other)) = both else { break };
        if one == other {
            // Both took the same free one at the same moment: whoever came second is told, and goes on.
            let late = eventually("one of them is warned", async || {
                for browser in [&jane, &olga] {
                    if open(browser).await.1.contains("has this image open") {
                        return Some(browser);
                    }
                }
                None
            })
            .await;
            warned += 1;
            next(late).await;
        }
        for browser in [&jane, &olga] {
            let (Some(id), _) = open(browser).await else { continue };
            if given(&fixture, id).await.is_empty() {
                browser.text_becomes(".opinion", "No verdict was given yet").await;
                browser.run("document.querySelector('.stage').focus()").await;
                browser.press("a").await;
                eventually("it is kept", async || {
                    (!given(&fixture, id).await.is_empty()).then_some(())
                })
                .await;
            }
        }
    }
    let mut left = Vec::new();
    for id in ids {
        let rows = given(&fixture, id).await;
        assert!(rows.len() <= 1, "{id} was read twice: {rows:?}");
        left.extend(rows.is_empty().then_some(id));
    }
    eprintln!("{IMAGES} images, {warned} warnings, {} left", left.len());
    assert!(left.len() <= 1, "the last one is whoever's: {left:?}");
    jane.close().await;
    olga.close().await;
}
