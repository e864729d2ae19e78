//! An image that has the whole window.

use super::film;
use crate::browser::Browser;
use crate::fixture::Fixture;
use crate::page::resize;

/// The share of the window's height that the image has, and whether the page is no higher than its window.
const SHARE: &str = "return [\
    document.querySelector('.stage').getBoundingClientRect().height / innerHeight, \
    document.documentElement.scrollHeight <= innerHeight]";

/// Whether a reader sees whose image it is, can give a verdict and use every tool, without scrolling.
const AT_HAND: &str = "return ['#viewer h1', '.opinion [data-key=a]', '.tools button:last-child', '.layers .film']\
    .map((css) => document.querySelector(css)).every((element) => { \
        const at = element.getBoundingClientRect(); \
        return element.checkVisibility() && at.width > 0 && at.top >= 0 && at.bottom <= innerHeight && at.right <= innerWidth; })";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_has_the_whole_window_by_a_key_and_the_list_has_its_page() {
    let fixture = Fixture::open_for_films().await;
    let first = fixture.put_known(film("MONOCHROME2"), "20240101").await;
    let last = fixture.put_known(film("MONOCHROME1"), "20240301").await;
    let browser = Browser::open(&fixture.url("/")).await;
    resize(&browser, 1600, 900).await;
    browser.view(&fixture, last).await;
    let header = "return document.querySelector('.top').checkVisibility()";
    let before = browser.run(SHARE).await;
    assert!(before[0].as_f64().expect("a number") < 0.75, "{before}");

    browser.strike("t").await;
    let full = browser.run(SHARE).await;
    assert!(full[0].as_f64().expect("a number") > 0.8 && full[1] == true, "{full}");
    assert_eq!(browser.run(AT_HAND).await, true);
    assert_eq!(browser.run(header).await, false);
    browser.screenshot("viewer-full.png").await;
    // What is true of all images stays true of the next.
    browser.press("j").await;
    browser.text_becomes("#viewer h1", &first.to_string()[..8]).await;
    browser.film_is_there().await;
    assert_eq!(browser.run(SHARE).await, full);
    // That the list is out of date is said all the same.
    fixture.stop().await;
    browser.text_becomes("#stale", "may be out of date").await;

    browser.press("\u{e00c}").await;
    browser.becomes(header).await;
    browser.becomes("return document.querySelector('#worklist').checkVisibility()").await;
    browser.page.back().await.expect("goes back");
    browser.becomes("return document.querySelector('#viewer').checkVisibility()").await;
    assert_eq!(browser.run(header).await, false);
    browser.click("[data-action=full]").await;
    browser.becomes(header).await;
    browser.drawn().await;
    assert_eq!(browser.run(SHARE).await[0], before[0]);
    browser.close().await;
}
