//! Every further state of the page: a full list and an old one, each dialog, the viewer at full depth and with its tools, the
//! record; at each width, in each density.

use fantoccini::key::Key;

use super::Report;
use crate::browser::{Browser, file};
use crate::fixture::{Fixture, blank, eventually, ready};
use crate::patients::known;
use crate::signing_in::browser_of;
use crate::viewer::film;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_their_dialogs_are_accessible_full_old_and_close_together() {
    let fixture = Fixture::open().await;
    let files = tempfile::TempDir::new().expect("a folder");
    let ids = fixture.admit((0..60).map(|n| format!("incoming/north/{n}.jpg"))).await;
    fixture.finish(&ids[..8], &ready(0.9)).await;
    fixture.finish(&ids[8..16], &ready(0.1)).await;
    fixture.finish(&ids[16..24], &blank()).await;
    let person = known("71", "1.2.3", "20260301");
    fixture.finish_known(&ids[50..], &ready(0.9), Some(&person)).await;
    let mut report = Report::default();
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 50 of 60").await;
    report.look_at_all_widths(&browser, "full list").await;
    browser.run("document.documentElement.dataset.density = 'dense'").await;
    report.look_at_all_widths(&browser, "dense list").await;
    browser.run("document.documentElement.dataset.density = 'comfortable'").await;

    browser.click("#options").await;
    browser.text_becomes(".dialog h2", "The list").await;
    report.look_at_all_widths(&browser, "options").await;
    browser.press(&Key::Escape.to_string()).await;
    browser.click("#add").await;
    browser.text_becomes(".dialog h2", "Add X-rays").await;
    report.look_at_all_widths(&browser, "upload").await;
    let broken = files.path().join("notes.txt");
    std::fs::write(&broken, "Dear colleague").expect("written");
    browser.choose(&[file(files.path(), "DOE JOHN.jpg", 1), broken]).await;
    browser.text_becomes("#sending-files", "put aside: no image by name and content").await;
    eventually("both are sent", async || {
        let said = browser.run("return document.querySelector('#sending-words').textContent").await;
        (said == "2 of 2 sent, 1 put aside").then_some(())
    })
    .await;
    report.look_at_all_widths(&browser, "upload with files").await;
    browser.press(&Key::Escape.to_string()).await;

    browser.page.goto(&fixture.url("/?patient=nobody")).await.expect("goes");
    browser.text_becomes("#empty", "No image matches this filter").await;
    report.look_at_all_widths(&browser, "nothing found").await;
    browser.page.goto(&fixture.url("/")).await.expect("goes");
    browser.text_becomes("#count", "Showing 50 of").await;
    browser.text_becomes("#connection", "live").await;
    fixture.stop().await;
    browser.text_becomes("#stale", "may be out of date").await;
    report.look_at_all_widths(&browser, "stale list").await;
    browser.close().await;
    assert!(report.0.is_empty(), "{}", report.0.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_viewer_is_accessible_at_full_depth_with_its_tools_priors_and_notices() {
    let fixture = Fixture::open_for_films().await;
    fixture.put_known(film("MONOCHROME2"), "20240101").await;
    let id = fixture.put_known(film("MONOCHROME1"), "20260301").await;
    let mut report = Report::default();
    let browser = Browser::open(&fixture.url("/")).await;
    browser.view(&fixture, id).await;
    browser.text_becomes(".priors", "2024-01-01").await;
    report.look_at_all_widths(&browser, "full depth").await;
    browser.press("t").await;
    report.look_at_all_widths(&browser, "the whole window").await;
    browser.press("t").await;
    browser.press("h").await;
    browser.shows_its_heatmap().await;
    browser.press("m").await;
    browser.press("l").await;
    for key in [Key::Enter, Key::Right, Key::Right, Key::Enter] {
        browser.press(&key.to_string()).await;
    }
    browser.lines_say("mm").await;
    report.look_at_all_widths(&browser, "heatmap, magnifier and length").await;
    browser.press(" ").await;
    browser.click(".priors button").await;
    browser.text_becomes(".prior figcaption", "Prior, 2024-01-01").await;
    report.look_at_all_widths(&browser, "beside a prior").await;
    browser.press("?").await;
    browser.text_becomes(".dialog", "These keys").await;
    browser.click("[aria-label='Change the key: Next image']").await;
    browser.press("k").await;
    browser.text_becomes(".keys-said", "already").await;
    report.look_at_all_widths(&browser, "changing a key").await;
    browser.press(&Key::Escape.to_string()).await;
    browser.press(&Key::Escape.to_string()).await;
    browser
        .page
        .goto(&fixture.url("/#/images/00000000-0000-4000-8000-000000000000"))
        .await
        .expect("goes");
    browser.text_becomes("#viewer .facts", "No image of this id is known").await;
    report.look_at_all_widths(&browser, "an image that is not there").await;
    browser.close().await;
    assert!(report.0.is_empty(), "{}", report.0.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_record_is_accessible() {
    let fixture = Fixture::open().await;
    fixture.person("ada", "admin@* auditor@*").await;
    let ids = fixture.admit(["incoming/north/0.jpg".to_owned()]).await;
    fixture.finish(&ids, &ready(0.9)).await;
    let mut report = Report::default();
    let browser = browser_of(&fixture, "ada", "/#/audit").await;
    browser.text_becomes("#audit tbody", "ada").await;
    report.look_at_all_widths(&browser, "record").await;
    browser.close().await;
    assert!(report.0.is_empty(), "{}", report.0.join("\n"));
}
