//! The page from an upload to a verdict, as it happens.

use fantoccini::key::Key;
use lobar_core::model_registry::NewModel;
use serde_json::json;

use crate::browser::{Browser, file, rows};
use crate::fixture::{Fixture, blank, ready};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_on_the_page_turns_live_opens_and_shows_its_heatmap_on_request() {
    let fixture = Fixture::open().await;
    let files = tempfile::TempDir::new().expect("a folder");
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#connection", "live").await;
    browser.text_becomes("#empty", "No image yet").await;

    browser.choose(&[file(files.path(), "DOE JOHN.jpg", 1)]).await;
    browser.text_becomes("tr[data-id]", "Queued").await;
    browser.text_becomes("#sending-words", "1 of 1 sent").await;
    browser.text_becomes("#count", "Showing 1 of 1").await;
    let id = rows(&browser).await.remove(0);

    fixture.finish(&[id.parse().expect("an id")], &ready(0.93)).await;
    browser.text_becomes("tr[data-id]", "Suspected pneumonia").await;
    browser.text_becomes("tr[data-id]", "above the threshold").await;
    browser.screenshot("worklist.png").await;

    browser.click("tr[data-id] .open").await;
    browser.text_becomes("#viewer .facts", "Suspected pneumonia").await;
    browser.text_becomes("#viewer .facts", "Decision support for research").await;
    browser.text_becomes("#viewer h1", "DOE JOHN.jpg").await;
    browser.shows_its_picture().await;
    assert_eq!(browser.run("return document.querySelector('.heat').hidden").await, true);
    browser.press("h").await;
    browser.shows_its_heatmap().await;
    browser.text_becomes(".legend", "influenced the score, not a lesion outline").await;
    let covered = "const a = document.querySelector('.heat').getBoundingClientRect(); \
        const b = document.querySelector('.picture').getBoundingClientRect(); \
        return Math.abs(a.width - b.width) < 1 && Math.abs(a.height - b.height) < 1";
    browser.becomes(covered).await;
    browser.screenshot("viewer.png").await;
    browser.press("h").await;
    browser.becomes("return document.querySelector('.heat').hidden").await;

    // A verdict, by its key, then by its button, with the picture before one's eyes.
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    browser.press("d").await;
    browser.text_becomes(".opinion", "labelled: no pneumonia").await;
    assert!(!browser.text(".opinion").await.contains("nothing is learnt"), "it was painted");
    let pressed = "return document.querySelector('.opinion [data-key=d]').ariaPressed === 'true'";
    browser.becomes(pressed).await;
    browser.click(".opinion [data-key=a]").await;
    browser.text_becomes(".opinion", "agreed: pneumonia").await;
    let said = fixture.verdicts.of(id.parse().expect("an id")).await.expect("asked");
    assert_eq!(said.len(), 2);
    assert_eq!(said[0].verdict.displayed, ["picture"]);
    let rendering = said[0].verdict.rendering.as_deref().expect("it was painted");
    assert!(rendering.ends_with(&id.replace('-', "")), "{rendering}");
    assert_eq!(fixture.verdicts.labelled(None, 10).await.expect("asked").len(), 1);

    // After a reload the same image is open; its file's name was this page's memory alone.
    browser.page.refresh().await.expect("reloads");
    browser.text_becomes("#viewer .facts", "Suspected pneumonia").await;
    assert!(!browser.run("return document.body.innerText").await.to_string().contains("DOE"));
    browser.press(&Key::Escape.to_string()).await;
    browser.text_becomes("tr[data-id]", "Suspected pneumonia").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_keep_their_places_and_what_is_new_waits_until_it_is_asked_for() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit((0..3).map(|n| format!("incoming/north/{n}.jpg"))).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 3 of 3").await;
    let before = rows(&browser).await;

    fixture.admit(["incoming/south/new.jpg".to_owned()]).await;
    fixture.finish(&ids[..1], &ready(0.1)).await;
    fixture.finish(&ids[1..2], &blank()).await;
    let row = |n: usize| format!("tr[data-id='{}']", ids[n]);
    browser.text_becomes(&row(0), "Not flagged").await;
    browser
        .text_becomes(&row(1), "Not assessed: The image is blank. A person must look at it.")
        .await;
    browser.text_becomes("#news", "1 new: show").await;
    browser.text_becomes("#count", "Showing 3 of 4").await;
    assert_eq!(rows(&browser).await, before);

    browser.click("#news").await;
    browser.text_becomes("#count", "Showing 4 of 4").await;
    assert_eq!(rows(&browser).await[1..], before);
    browser.becomes("return document.querySelector('#news').hidden").await;

    // A filter stands in the address and survives a reload.
    browser.click("#views a:nth-child(3)").await;
    browser.text_becomes("#count", "Showing 1 of 1").await;
    browser.page.refresh().await.expect("reloads");
    browser.text_becomes("#count", "Showing 1 of 1").await;
    let words = browser.run("return document.body.innerText.toLowerCase()").await.to_string();
    assert!(!words.contains("normal"), "{words}");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_cannot_be_read_is_shown_as_needing_a_human_wherever_it_is_listed() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit((0..2).map(|n| format!("incoming/north/{n}.jpg"))).await;
    fixture.finish(&ids, &ready(0.1)).await;
    fixture
        .damage("update finding set body = '[]' where image = (select id from image where key like '%/0.jpg')")
        .await;
    let words = "Not assessed: The stored result cannot be read. A person must look at it.";
    let browser = Browser::open(&fixture.url("/")).await;
    let row = format!("tr[data-id='{}']", ids[0]);
    browser.text_becomes("#count", "Showing 2 of 2").await;
    browser.text_becomes(&row, words).await;
    browser.text_becomes(&format!("tr[data-id='{}']", ids[1]), "Not flagged").await;
    // Among those that were not flagged, where its result put it. The rows are drawn anew, and look the same.
    browser.run("document.querySelector('tr[data-id]').dataset.before = 'yes'").await;
    browser.click("#views a:nth-child(5)").await;
    browser.becomes("return document.querySelector('tr[data-before]') === null").await;
    browser.text_becomes("#count", "Showing 2 of 2").await;
    browser.text_becomes(&row, words).await;
    browser.click(&format!("{row} .open")).await;
    browser.text_becomes("#viewer .facts", words).await;
    let facts = browser.text("#viewer .facts").await;
    assert!(!facts.contains("Not flagged") && !facts.contains("%"), "{facts}");
    // A person says what is there, without having seen a result.
    browser.press("p").await;
    browser.text_becomes(".opinion", "labelled: pneumonia").await;
    browser.close().await;
}

/// Stands for a network that does something to the pictures, in a page that is open.
const SPOILT: &str = "const real = window.fetch; \
    window.fetch = async (path, options) => String(path).endsWith('/picture') ? await arguments_(real, path, options) : real(path, options);";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_given_while_no_picture_was_painted_says_so_and_is_no_label() {
    let fixture = Fixture::open().await;
    // Nobody stored their objects: of the first the server answers that there is no picture.
    let ids = fixture.admit((0..3).map(|n| format!("incoming/north/{n}.jpg"))).await;
    fixture.finish(&ids, &ready(0.9)).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 3 of 3").await;
    let garbage = "async () => new Response('no PNG', { headers: { etag: '\"drawing1-1600-00000000000000000000000000000000\"' } })";
    for (id, network, words) in [
        (
            ids[0],
            "(real, path, options) => real(path, options)",
            "There is no picture of this image",
        ),
        (ids[1], garbage, "What arrived is no picture that can be shown."),
        (ids[2], "() => new Promise(() => {})", "Loading the picture"),
    ] {
        browser.run(&SPOILT.replace("arguments_", &format!("({network})"))).await;
        browser.click(&format!("tr[data-id='{id}'] .open")).await;
        browser.text_becomes(".opinion", "No verdict was given yet").await;
        browser.text_becomes(".stage", words).await;
        browser.press("d").await;
        browser.text_becomes(".opinion", "labelled: no pneumonia").await;
        browser.text_becomes(".opinion", "nothing is learnt from it").await;
        let said = fixture.verdicts.of(id).await.expect("asked").remove(0).verdict;
        assert_eq!(
            (said.displayed.as_slice(), said.rendering),
            (&[] as &[String], None),
            "{words}"
        );
        browser.page.refresh().await.expect("reloads");
        browser.text_becomes(".opinion", "nothing is learnt from it").await;
        browser.press(&Key::Escape.to_string()).await;
        browser.text_becomes("#count", "Showing 3 of 3").await;
    }
    assert_eq!(fixture.verdicts.labelled(None, 10).await.expect("asked"), []);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_score_is_shown_as_its_place_and_never_as_a_probability() {
    let fixture = Fixture::open().await;
    let validation = json!({ "images": 607, "specificity": 0.9870967741935484,
        "specificity_at_half": 0.9419354838709677,
        "confusion": { "true_negative": 153, "false_positive": 2, "true_positive": 430, "false_negative": 22 } });
    let model = NewModel {
        version: "test-1".into(),
        key: "test-1/a.safetensors".into(),
        sha256: "ab".repeat(32),
        bytes: 1_000,
        card: json!({ "version": "test-1", "threshold": 0.4, "validation": validation }),
    };
    fixture.models.register(&model, "ada").await.expect("registered");
    let ids = fixture.admit((0..2).map(|n| format!("incoming/north/{n}.jpg"))).await;
    fixture.finish(&ids[..1], &ready(0.78)).await;
    fixture.finish(&ids[1..], &ready(0.2)).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 2 of 2").await;
    let words = browser.text("#rows").await;
    assert!(words.contains("above the threshold") && words.contains("below the threshold"));
    assert!(!words.contains('%') && !words.contains("78"), "{words}");
    browser.screenshot("scores.png").await;
    browser.click(&format!("tr[data-id='{}'] .open", ids[0])).await;
    let standing = "higher than at least 98\u{a0}% of 155 normal validation images";
    browser.text_becomes("#viewer .facts", standing).await;
    let validated = "0.400; on 607 validation images, from where the model was trained: \
        sensitivity 0.951, specificity 0.987; other places may differ";
    browser.text_becomes("#viewer .facts", validated).await;
    browser.screenshot("viewer-without-picture.png").await;
    let facts = browser.text("#viewer .facts").await;
    assert_eq!(facts.matches('%').count(), 1, "{facts}");
    assert!(!facts.to_lowercase().contains("calibrated"), "{facts}");
    browser.press("j").await;
    browser.text_becomes("#viewer .facts", "below the threshold").await;
    let facts = browser.text("#viewer .facts").await;
    assert!(
        !facts.contains('%') && !facts.contains("higher than"),
        "the card does not tell: {facts}"
    );
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_score_is_told_as_a_share_only_where_the_card_says_that_calibration_is_good() {
    let fixture = Fixture::open().await;
    let model = NewModel {
        version: "test-1".into(),
        key: "test-1/a.safetensors".into(),
        sha256: "ab".repeat(32),
        bytes: 1_000,
        card: json!({ "version": "test-1", "threshold": 0.4, "score_is_probability": true }),
    };
    fixture.models.register(&model, "ada").await.expect("registered");
    let ids = fixture.admit(["incoming/north/0.jpg".to_owned()]).await;
    fixture.finish(&ids, &ready(0.78)).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.click(&format!("tr[data-id='{}'] .open", ids[0])).await;
    let share =
        "0.780 on a scale from 0 to 1: where half of the images show pneumonia, about 78 of 100";
    browser.text_becomes("#viewer .facts", share).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_without_its_server_says_so_and_looks_stale() {
    let fixture = Fixture::open().await;
    fixture.admit(["incoming/north/0.jpg".to_owned()]).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#connection", "live").await;
    fixture.stop().await;
    browser.text_becomes("#connection", "stale since").await;
    browser.text_becomes("#stale", "may be out of date").await;
    browser.screenshot("stale.png").await;
    browser.text_becomes("tr[data-id]", "Queued").await;
    browser.close().await;
}
