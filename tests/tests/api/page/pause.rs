//! A list that its reader lets stand still.

use crate::browser::{Browser, rows};
use crate::fixture::{Fixture, eventually, ready};

/// Waits until so many pages follow the events.
async fn followed_by(fixture: &Fixture, pages: usize) {
    eventually("the pages that follow", async || {
        let answer = fixture.http.get(fixture.url("/metrics")).send().await.expect("an answer");
        let text = answer.text().await.expect("text");
        text.lines().any(|line| line == format!("lobar_sse_clients {pages}")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_list_stands_still_says_so_and_catches_up() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit((0..2).map(|n| format!("incoming/north/{n}.jpg"))).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 2 of 2").await;
    browser.text_becomes("#connection", "live").await;
    followed_by(&fixture, 1).await;
    let before = rows(&browser).await;

    browser.click("#pause").await;
    browser.text_becomes("#connection", "paused since").await;
    browser.text_becomes("#stale", "You have paused the list").await;
    browser.becomes("return document.body.dataset.connection === 'stale'").await;
    followed_by(&fixture, 0).await;
    fixture.finish(&ids[..1], &ready(0.9)).await;
    fixture.admit(["incoming/north/new.jpg".to_owned()]).await;
    let row = format!("tr[data-id='{}']", ids[0]);
    // Longer than a connection that broke would be waited for.
    let still = eventually("time goes on", async || {
        assert!(browser.text(&row).await.contains("Queued"));
        (browser.run("return performance.now()").await.as_f64() > Some(6_000.0)).then_some(())
    });
    still.await;
    assert_eq!((rows(&browser).await, browser.text("#news").await), (before, String::new()));
    browser.text_becomes("#connection", "paused since").await;
    browser.screenshot("paused.png").await;

    browser.click("#pause").await;
    browser.text_becomes("#connection", "live").await;
    browser.text_becomes(&row, "Suspected pneumonia").await;
    browser.text_becomes("#news", "1 new: show").await;
    assert_eq!(browser.text("#stale").await, "");
    browser.close().await;
}
