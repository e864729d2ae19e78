//! The small pictures in the rows of the list.

use std::collections::BTreeSet;

use lobar_core::object::ImageId;
use lobar_tests::kit::radiograph_jpeg;
use serde_json::Value;

use crate::browser::{Browser, rows};
use crate::fixture::{Fixture, eventually};

/// The images whose small picture was asked for, as often as it was.
async fn asked(browser: &Browser) -> Vec<String> {
    let script = "return performance.getEntriesByType('resource').map((entry) => entry.name) \
        .filter((name) => name.endsWith('/thumbnail')).map((name) => name.split('/').at(-2))";
    let Value::Array(ids) = browser.run(script).await else { panic!("no list") };
    ids.iter().map(|id| id.as_str().expect("an id").to_owned()).collect()
}

fn picture(id: ImageId) -> String {
    format!("document.querySelector('tr[data-id=\"{id}\"] .thumbnail img')")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_shows_its_image_small_once_it_rests_in_the_window_and_nothing_of_one_that_is_removed()
 {
    let fixture = Fixture::open().await;
    let mut ids = Vec::new();
    for (seed, (width, height)) in [(1, (700, 600)), (2, (400, 900)), (3, (900, 400))] {
        ids.push(fixture.pictured("north", &radiograph_jpeg(width, height, seed)).await);
    }
    let never_stored = fixture.admit(["incoming/north/never-stored.jpg".to_owned()]).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 4 of 4").await;
    for (id, size) in ids.iter().zip([[96, 82], [43, 96], [96, 43]]) {
        let shown = picture(*id);
        let [width, height] = size;
        browser
            .becomes(&format!(
                "return {shown}?.naturalWidth === {width} && {shown}.naturalHeight === {height}"
            ))
            .await;
    }
    let heights = "return new Set([...document.querySelectorAll('tr[data-id]')] \
        .map((row) => row.getBoundingClientRect().height)).size";
    assert_eq!(browser.run(heights).await, 1);
    assert_eq!(browser.run(&format!("return {}", picture(never_stored[0]))).await, Value::Null);
    browser.screenshot("thumbnails.png").await;

    // An image and back: nothing is asked for once more.
    browser.click(&format!("tr[data-id='{}'] .open", ids[0])).await;
    browser.text_becomes("#viewer h1", &ids[0].to_string()[..8]).await;
    browser.press("\u{e00c}").await;
    browser.becomes(&format!("return Boolean({})", picture(ids[0]))).await;
    let mut once = asked(&browser).await;
    once.sort_unstable();
    let mut expected: Vec<_> = ids.iter().chain(&never_stored).map(ImageId::to_string).collect();
    expected.sort_unstable();
    assert_eq!(once, expected);

    let stored = fixture.store.image(ids[1]).await.expect("asked").expect("known");
    fixture.store.remove(&stored.object).await.expect("removed");
    fixture.signal.publish().await.expect("published");
    browser.text_becomes(&format!("tr[data-id='{}']", ids[1]), "Removed").await;
    browser.becomes(&format!("return {} === null", picture(ids[1]))).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_rows_that_rest_in_the_window_are_asked_for() {
    let fixture = Fixture::open().await;
    fixture.admit((0..300).map(|n| format!("incoming/north/{n}.jpg"))).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 50 of 300").await;
    let in_window = "return [...document.querySelectorAll('tr[data-id]')] \
        .filter((row) => { const at = row.getBoundingClientRect(); return at.bottom > 0 && at.top < innerHeight; }) \
        .map((row) => row.dataset.id)";
    let all_of_it = async || {
        eventually("every row in the window is asked for", async || {
            let inside = browser.run(in_window).await;
            let inside: BTreeSet<String> = serde_json::from_value(inside).expect("ids");
            let asked = BTreeSet::from_iter(asked(&browser).await);
            (!inside.is_empty() && inside.is_subset(&asked)).then_some(inside)
        })
        .await
    };
    let first = all_of_it().await;
    assert_eq!(BTreeSet::from_iter(asked(&browser).await), first);
    // By in frames, from the one end of what is loaded to the other.
    browser.run("window.down = new Promise((ended) => { const go = () => { \
        scrollBy(0, 150); \
        if (scrollY + innerHeight >= document.body.scrollHeight - 10) ended(); else requestAnimationFrame(go); \
    }; go(); })").await;
    browser
        .page
        .execute_async("window.down.then(arguments[0])", Vec::new())
        .await
        .expect("it ends");
    let last = all_of_it().await;
    let asked = BTreeSet::from_iter(asked(&browser).await);
    assert!(asked.len() < 3 * first.len().max(last.len()), "{} of 300 rows", asked.len());
    assert!(rows(&browser).await.len() > 2 * first.len(), "more have elements");
    browser.close().await;
}
