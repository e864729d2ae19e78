//! Keys of a reader's own.

use fantoccini::key::Key;
use serde_json::Value;

use crate::browser::Browser;
use crate::fixture::{Fixture, ready};

/// Gives the focus to the button that changes a key, and presses it.
async fn change(browser: &Browser, what: &str) {
    let button = format!("[aria-label='Change the key: {what}']");
    browser.run(&format!("document.querySelector(\"{button}\").focus()")).await;
    browser.press(&Key::Enter.to_string()).await;
    browser.text_becomes(&button, "Press a key").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_given_to_other_things_conflicts_are_told_and_all_can_be_as_at_first() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit((0..3).map(|n| format!("incoming/north/{n}.jpg"))).await;
    fixture.finish(&ids, &ready(0.9)).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 3 of 3").await;
    let first = browser.run("return document.querySelector('tr[data-id]').dataset.id").await;

    // Over the list, too.
    browser.press("?").await;
    browser.text_becomes(".dialog", "These keys").await;
    change(&browser, "Next image").await;
    browser.press("k").await;
    browser.text_becomes(".keys-said", "K is for “Previous image” already").await;
    browser.press(&Key::Enter.to_string()).await;
    browser.text_becomes(".keys-said", "belongs to the browser, or moves the focus").await;
    browser.press("x").await;
    browser.text_becomes(".keys-said", "“Next image” is on X now").await;
    change(&browser, "Verdict: disagree").await;
    browser.press("j").await;
    browser.text_becomes(".keys-said", "“Verdict: disagree” is on J now").await;
    change(&browser, "Next image that waits for a reader").await;
    browser.press(&Key::Escape.to_string()).await;
    browser.text_becomes(".keys-said", "“Next image that waits for a reader” stays on U").await;
    // The dialog is open still, and Esc closes it then.
    change(&browser, "Next image that waits for a reader").await;
    browser.press(" ").await;
    browser.text_becomes(".keys-said", "Space is for “Reset").await;
    browser.press("q").await;
    browser.text_becomes(".keys-said", "is on Q now").await;
    browser.press(&Key::Escape.to_string()).await;
    browser.becomes("return document.querySelector('dialog[open]') === null").await;

    // The browser keeps them.
    browser.page.refresh().await.expect("reloads");
    browser.text_becomes("#count", "Showing 3 of 3").await;
    browser.click("tr[data-id] .open").await;
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    browser.text_becomes(".viewer-bar button:last-child", "Next X").await;
    browser.text_becomes(".opinion [data-key=d]", "Disagree J").await;
    browser.press("j").await;
    browser.text_becomes(".opinion", "labelled: no pneumonia").await;
    assert!(
        browser
            .run("return location.hash")
            .await
            .to_string()
            .contains(first.as_str().expect("an id"))
    );
    browser.press("d").await;
    browser.press("x").await;
    browser
        .becomes(&format!("return location.hash !== '#/images/{}'", first.as_str().expect("an id")))
        .await;
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    let opened = browser.run("return location.hash").await;
    browser.press("u").await;
    browser.press("q").await;
    browser.becomes(&format!("return location.hash !== {opened}")).await;

    browser.press("?").await;
    browser.click(".dialog .form-buttons button").await;
    browser.text_becomes(".keys-said", "All keys are as they were at first").await;
    browser.click(".dialog .dialog-close").await;
    browser.text_becomes(".viewer-bar button:last-child", "Next J").await;
    assert_eq!(browser.run("return localStorage.length").await, Value::from(0));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_browser_keeps_of_keys_and_columns_and_cannot_be_right_is_as_if_it_kept_nothing() {
    let fixture = Fixture::open().await;
    fixture.admit(["incoming/north/0.jpg".to_owned()]).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 1 of 1").await;
    let heads = "return [...document.querySelectorAll('#columns th')].map((head) => head.textContent).join()";
    let before = browser.run(heads).await;
    for (keys, columns) in [
        ("{", "["),
        ("null", "null"),
        ("[1]", "[\"site\"]"),
        ("{\"J\":\"K\"}", "[\"assessment\",\"patient\",\"site\",\"site\"]"),
        ("{\"J\":\"Tab\",\"K\":7}", "[\"assessment\",\"patient\",\"weight\"]"),
    ] {
        let kept = format!(
            "localStorage.setItem('lobar.keymap', '{keys}'); localStorage.setItem('lobar.columns', '{columns}')"
        );
        browser.run(&kept).await;
        browser.page.refresh().await.expect("reloads");
        browser.text_becomes("#count", "Showing 1 of 1").await;
        assert_eq!(browser.run(heads).await, before, "{columns}");
        browser.press("?").await;
        browser.text_becomes(".dialog .keys dt", "J").await;
        browser.press(&Key::Escape.to_string()).await;
    }
    browser.close().await;
}
