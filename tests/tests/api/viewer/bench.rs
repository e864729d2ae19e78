//! How soon a picture is painted after the key that asks for it (`docs/benchmarks.md`).

#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use super::film;
use crate::browser::Browser;
use crate::fixture::Fixture;

const IMAGES: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a figure of benchmarks.md, which depends on the machine"]
async fn from_a_key_to_the_painted_picture() {
    let fixture = Fixture::open_for_films().await;
    for n in 0..IMAGES {
        fixture
            .put_known(film("MONOCHROME2"), &format!("2024{:02}{:02}", n / 28 + 1, n % 28 + 1))
            .await;
    }
    let browser = Browser::open_with_graphics(&fixture.url("/")).await;
    browser.text_becomes("#count", &format!("Showing {IMAGES} of {IMAGES}")).await;
    browser.click("tr[data-id] .open").await;
    browser.film_is_there().await;
    let mut took = Vec::new();
    for _ in 1..IMAGES {
        // A reader looks at each for a while, in which the next one comes.
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        browser.run("performance.clearMeasures()").await;
        browser.press("j").await;
        browser.becomes("return performance.getEntriesByName('image painted').length === 1").await;
        browser.film_is_there().await;
        let took_ms = "return performance.getEntriesByName('image painted')[0].duration";
        took.push(browser.run(took_ms).await.as_f64().expect("milliseconds"));
    }
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!("key to painted picture: median {:.0} ms, p95 {:.0} ms", at(0.5), at(0.95));
    browser.close().await;
}
