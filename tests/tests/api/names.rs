//! A patient's name in a file that somebody uploads on the page: it is before their eyes, and stays nowhere.

use fantoccini::key::Key;
use serde_json::json;

use crate::browser::{Browser, file, rows};
use crate::fixture::{Fixture, ready};
use crate::signing_in::browser_of;

const NAME: &str = "QUIGLEY THADDEUS 19620304.jpg";
const PARTS: [&str; 3] = ["QUIGLEY", "THADDEUS", "19620304"];

/// What a page leaves outside of what it shows: addresses, title, what it asked for, what it stored.
const LEFT: &str = "
    const done = arguments[0];
    const rooms = async () => [(await indexedDB.databases()).length, (await caches.keys()).length, localStorage.length, sessionStorage.length];
    rooms().then((stored) => done({
      stored, title: document.title, address: location.href, referrer: document.referrer, state: JSON.stringify(history.state),
      asked: performance.getEntriesByType('resource').map((entry) => entry.name), name: window.name,
    }));";

async fn left(browser: &Browser, at: &str) {
    let said = browser.page.execute_async(LEFT, Vec::new()).await.expect("a script");
    assert_eq!(said["stored"], json!([0, 0, 0, 0]), "{at}");
    for part in PARTS.iter().chain(&["wilhelmina"]) {
        assert!(!said.to_string().contains(part), "{part} {at}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_s_name_is_in_no_address_title_request_or_file_of_the_browser() {
    let fixture = Fixture::open().await;
    fixture.person("wilhelmina", "clinician@north").await;
    let files = tempfile::TempDir::new().expect("a folder");
    let browser = browser_of(&fixture, "wilhelmina", "/").await;
    browser.text_becomes("#connection", "live").await;
    browser.choose(&[file(files.path(), NAME, 1)]).await;
    browser.text_becomes("#sending-words", "1 of 1 sent").await;
    browser.click("#sending-chip").await;
    browser.text_becomes("#sending-files", NAME).await;
    browser.press(&Key::Escape.to_string()).await;
    browser.text_becomes("#count", "Showing 1 of 1").await;
    left(&browser, "in the list").await;
    let id = rows(&browser).await.remove(0);
    fixture.finish(&[id.parse().expect("an id")], &ready(0.93)).await;
    browser.click("tr[data-id] .open").await;
    browser.text_becomes("#viewer h1", NAME).await;
    browser.shows_its_picture().await;
    browser.press("d").await;
    browser.text_becomes(".opinion", "labelled: no pneumonia").await;
    left(&browser, "in the viewer").await;
    // Another page of the same window: what the browser would give back to this one is written down now.
    browser.page.goto("about:blank").await.expect("goes");
    browser.page.back().await.expect("goes");
    let shown = "return document.body.innerText.includes('Suspected pneumonia')";
    browser.becomes(shown).await;
    assert!(!browser.run("return document.body.innerText").await.to_string().contains("QUIGLEY"));
    browser.page.goto(&fixture.url("/")).await.expect("goes");
    browser.text_becomes("tr[data-id]", "Suspected pneumonia").await;
    browser.click("#who > div > button:last-child").await;
    browser.text_becomes(".door h1", "Sign in").await;
    left(&browser, "after signing out").await;
    for (path, bytes) in browser.kept() {
        for part in PARTS {
            // Browsers write both forms.
            let wide: Vec<u8> = part.encode_utf16().flat_map(u16::to_le_bytes).collect();
            for form in [part.as_bytes(), &wide] {
                let there = bytes.windows(form.len()).any(|window| window == form);
                assert!(!there, "{part} is in {}", path.display());
            }
        }
    }
    browser.close().await;
}
