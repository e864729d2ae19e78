//! The heatmap over the picture and beside it, a prior beside it, and the course of the scores.

use lobar_core::exposure::{Source, Visible};

use super::film;
use crate::browser::Browser;
use crate::fixture::{Fixture, eventually};
use crate::page::resize;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_heatmap_lies_on_the_picture_however_that_is_turned_and_on_a_narrow_screen() {
    let fixture = Fixture::open_for_films().await;
    let id = fixture.put_known(film("MONOCHROME2"), "20240101").await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.view(&fixture, id).await;
    browser.strike("h").await;
    browser.shows_its_heatmap().await;
    let check = async |when: &str| {
        browser.drawn().await;
        let (picture, heat) = (browser.place(".picture").await, browser.place(".heat").await);
        assert!(
            picture.iter().zip(heat).all(|(a, b)| (a - b).abs() < 1.0),
            "{when}: {picture:?} {heat:?}"
        );
    };
    for key in ["=", "+", "r", "f", "0", "v"] {
        browser.strike(key).await;
        check(key).await;
    }
    browser.strike(" ").await;
    browser.press("h").await;
    for (width, height) in [(390, 844), (768, 1024), (1400, 1000)] {
        resize(&browser, width, height).await;
        check(&format!("{width} pixels")).await;
        let wide = "return document.documentElement.scrollWidth <= innerWidth";
        assert_eq!(browser.run(wide).await, true, "{width} pixels");
        browser.screenshot(&format!("viewer-heat-{width}.png")).await;
    }
    let opacity = "return document.querySelector('.heat').style.opacity";
    assert_eq!(browser.run(opacity).await, "0.7");
    browser.strike("[").await;
    assert_eq!(browser.run(opacity).await, "0.6");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_the_heatmap_both_move_together_and_it_counts_as_seen() {
    let fixture = Fixture::open_for_films().await;
    let id = fixture.put_known(film("MONOCHROME2"), "20240101").await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.view(&fixture, id).await;
    browser.strike("s").await;
    browser.becomes("return document.querySelector('.twin .heat').naturalWidth === 448").await;
    browser.becomes("return document.querySelector('.twin .cover').checkVisibility()").await;
    assert_eq!(browser.run("return document.querySelector('.heat').hidden").await, true);
    for _ in 0..6 {
        browser.press("+").await;
    }
    browser.drawn().await;
    let (one, two) = (browser.place(".picture").await, browser.place(".twin .picture").await);
    assert!((one[2] - two[2]).abs() < 6.0 && two[0] > one[0], "{one:?} {two:?}");
    browser.screenshot("viewer-beside-heatmap.png").await;
    browser.press("\u{e00c}").await;
    eventually("it was seen, however far it was enlarged", async || {
        let met = fixture.exposures.of_image(id).await.expect("asked");
        let painted = met.iter().filter(|exposure| exposure.source == Source::Painted);
        painted.clone().any(|exposure| exposure.visible.any_of(Visible::HEATMAP)).then_some(())
    })
    .await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prior_is_shown_at_full_depth_beside_and_zooms_along_with_a_window_of_its_own() {
    let fixture = Fixture::open_for_films().await;
    let earlier = fixture.put_known(film("MONOCHROME1"), "20240101").await;
    let id = fixture.put_known(film("MONOCHROME2"), "20260301").await;
    let browser = Browser::open_with_graphics(&fixture.url("/")).await;
    browser.view(&fixture, id).await;
    browser.text_becomes(".priors", "2024-01-01").await;
    browser.click(&format!(".priors [data-id='{earlier}']")).await;
    browser.becomes("return document.querySelector('.prior .film')?.hidden === false").await;
    browser.strike("2").await;
    browser.text_becomes(".layers .readout", "NARROW").await;
    browser.text_becomes(".prior .readout", "WIDE").await;
    for _ in 0..4 {
        browser.press("+").await;
    }
    browser.drawn().await;
    let (one, two) = (browser.place(".picture").await, browser.place(".prior .picture").await);
    assert!((one[2] - two[2]).abs() < 6.0 && two[0] > one[0], "{one:?} {two:?}");
    // Both scores are of one model: their course is there.
    browser.text_becomes(".course", "2024-01-01: score 0.900").await;
    assert_eq!(browser.run("return document.querySelectorAll('.course li').length").await, 2);
    browser.screenshot("viewer-beside-prior.png").await;
    browser.strike("s").await;
    browser.becomes("return document.querySelector('.prior').hidden").await;
    browser.close().await;
}
