//! Lengths: in millimetres where the file says how far its pixels are apart.

use fantoccini::actions::{InputSource as _, MouseActions, PointerAction};
use lobar_tests::kit::radiograph_jpeg;

use super::film;
use crate::browser::Browser;
use crate::fixture::Fixture;

/// Draws a line on the picture between two of its pixels, which are those of the screen.
async fn measure(browser: &Browser, from: (f64, f64), to: (f64, f64)) {
    let [left, top, ..] = browser.place(".picture").await;
    let point = |(x, y): (f64, f64)| PointerAction::MoveTo {
        duration: None,
        x: (left + x).round(),
        y: (top + y).round(),
    };
    let mouse = MouseActions::new("mouse".to_owned())
        .then(point(from))
        .then(PointerAction::Down { button: 0 })
        .then(point(to))
        .then(PointerAction::Up { button: 0 });
    browser.page.perform_actions(mouse).await.expect("moves");
    browser.drawn().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_is_in_millimetres_of_the_detector_whatever_the_zoom() {
    let fixture = Fixture::open_for_films().await;
    let id = fixture.put_known(film("MONOCHROME2"), "20240101").await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.view(&fixture, id).await;
    browser.press("0").await;
    browser.strike("l").await;
    // 300 columns of 0.1 mm, and 200 rows of 0.2 mm.
    measure(&browser, (200.0, 200.0), (500.0, 200.0)).await;
    browser.lines_say("30.0 mm at the detector").await;
    measure(&browser, (300.0, 150.0), (300.0, 350.0)).await;
    let all = "return [...document.querySelectorAll('.lines text')].map((text) => text.textContent).join('; ')";
    assert_eq!(browser.run(all).await, "30.0 mm at the detector; 40.0 mm at the detector");
    browser.screenshot("viewer-lengths.png").await;
    for key in ["-", "-", "r", "f"] {
        browser.strike(key).await;
    }
    assert_eq!(browser.run(all).await, "30.0 mm at the detector; 40.0 mm at the detector");
    browser.strike("\u{e017}").await;
    assert_eq!(browser.run(all).await, "30.0 mm at the detector", "the last one is taken away");
    browser.strike(" ").await;
    assert_eq!(browser.run(all).await, "");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_alone_measure_too_and_the_length_is_said() {
    let fixture = Fixture::open_for_films().await;
    let id = fixture.put_known(film("MONOCHROME2"), "20240101").await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.view(&fixture, id).await;
    browser.press("0").await;
    browser.strike("l").await;
    browser.becomes("return document.activeElement.matches('.stage')").await;
    let (right, enter) = ("\u{e014}", "\u{e007}");
    for key in [right, enter, right, right, right, right, right, enter] {
        browser.strike(key).await;
    }
    // Five steps of eight columns of 0.1 mm.
    browser.lines_say("4.0 mm at the detector").await;
    let said = "return document.querySelector('.unseen[role=status]').textContent";
    assert_eq!(browser.run(said).await, "4.0 mm at the detector");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_distance_between_pixels_a_length_is_in_pixels() {
    let fixture = Fixture::open_for_films().await;
    let id = fixture.put_known(radiograph_jpeg(600, 500, 1), "20240101").await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.view(&fixture, id).await;
    browser.press("0").await;
    browser.strike("l").await;
    measure(&browser, (200.0, 200.0), (500.0, 200.0)).await;
    browser.lines_say("300 pixels").await;
    browser.close().await;
}
