//! The heatmap lies on its picture, whatever the shape of the two and of the window.

use lobar_tests::kit::radiograph_jpeg;
use serde_json::{Value, json};

use super::resize;
use crate::browser::Browser;
use crate::fixture::{Fixture, ready};

/// How far the heatmap is from its picture, how far the picture is from its own shape, and whether it lies in its pane.
const FIT: &str = "
    const pane = document.querySelector(arguments[0]);
    const box = (e) => e.getBoundingClientRect();
    const [picture, heat, room] = [box(pane.querySelector('.picture')), box(pane.querySelector('.heat')), box(pane)];
    const { naturalWidth, naturalHeight } = pane.querySelector('.picture');
    const apart = Math.max(...['left', 'top', 'right', 'bottom'].map((edge) => Math.abs(picture[edge] - heat[edge])));
    const stretched = Math.abs(picture.width / picture.height - naturalWidth / naturalHeight);
    const within = picture.left >= room.left - 1 && picture.right <= room.right + 1 && picture.top >= room.top - 1 && picture.bottom <= room.bottom + 1;
    const touches = Math.abs(picture.width - room.width) < 2 || Math.abs(picture.height - room.height) < 2;
    return [pane.querySelector('.heat').naturalWidth, apart < 1, stretched < 0.01, within, touches];";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_heatmap_lies_on_tall_and_wide_pictures_and_never_on_the_letterbox() {
    let fixture = Fixture::open().await;
    let mut ids = Vec::new();
    for (width, height) in [(300, 700), (700, 300)] {
        let id = fixture.put(radiograph_jpeg(width, height, width)).await;
        fixture.finish(&[id], &ready(0.9)).await;
        ids.push(id);
    }
    let browser = Browser::open(&fixture.url("/")).await;
    let fits = async |pane: &str, heat: u64| {
        let fit = browser.page.execute(FIT, vec![json!(pane)]).await.expect("a script");
        assert_eq!(fit, json!([heat, true, true, true, true]), "{pane}");
    };
    for (width, height) in [(390, 844), (844, 390), (1400, 1000)] {
        resize(&browser, width, height).await;
        for id in &ids {
            browser.page.goto("about:blank").await.expect("goes");
            browser.view(&fixture, *id).await;
            browser.press("h").await;
            browser.shows_its_heatmap().await;
            browser.drawn().await;
            fits(".stage > .layers", 448).await;
            browser.screenshot(&format!("heatmap-{width}-{id}.png")).await;
            browser.press("s").await;
            browser.becomes("return document.querySelector('.twin .heat').checkVisibility()").await;
            browser.drawn().await;
            fits(".twin .layers", 448).await;
            browser.press("s").await;
            // Where the window is turned over, it goes along.
            resize(&browser, height, width).await;
            browser.press("h").await;
            browser.drawn().await;
            browser
                .becomes(
                    "return document.querySelector('.stage > .layers .heat').checkVisibility()",
                )
                .await;
            fits(".stage > .layers", 448).await;
            resize(&browser, width, height).await;
        }
    }
    assert_eq!(
        browser.run("return document.querySelectorAll('.heat[src]').length").await,
        Value::from(2)
    );
    browser.close().await;
}
