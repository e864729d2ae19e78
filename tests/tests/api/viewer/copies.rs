//! Pictures that leave the page: with whose they are burnt in, and on record.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lobar_core::audit::{Cursor, Entry, Filter};
use lobar_core::object::ImageId;
use serde_json::{Value, json};

use super::{HEIGHT, WIDTH, film, stored};
use crate::browser::Browser;
use crate::fixture::{Fixture, eventually};

/// Keeps what the page would save, and under which name.
const CATCH: &str = "window.saved = []; \
    const real = URL.createObjectURL; \
    URL.createObjectURL = (blob) => { \
        const reader = new FileReader(); \
        reader.onload = () => window.saved.push(reader.result.split(',')[1]); \
        reader.readAsDataURL(blob); \
        return real.call(URL, blob); }; \
    HTMLAnchorElement.prototype.click = function () { window.named = this.download; };";

async fn copies(fixture: &Fixture, id: ImageId) -> Vec<Entry> {
    let filter = Filter { image: Some(id), ..Filter::default() };
    let mut entries = fixture.audit.page(&filter, Cursor::After(0), 100).await.expect("read");
    entries.retain(|entry| entry.action == "exported");
    entries
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_that_is_saved_bears_whose_it_is_and_is_on_record_first() {
    let fixture = Fixture::open_for_films().await;
    let id = fixture.put_known(film("MONOCHROME2"), "20240101").await;
    let browser = Browser::open_with_graphics(&fixture.url("/")).await;
    browser.view(&fixture, id).await;
    browser.run(CATCH).await;
    browser.press("2").await;
    browser.strike("e").await;
    browser.text_becomes(".said", "Saved. It is on record.").await;
    browser.becomes("return window.saved.length === 1").await;
    let [entry] = copies(&fixture, id).await.try_into().expect("one entry");
    assert_eq!(entry.detail(), json!({ "picture_to": "file", "heatmap": false }));
    let named = browser.run("return window.named").await;
    let short = &id.to_string()[..8];
    assert_eq!(named, format!("lobar-{short}.png"), "nobody's name is in the name of the file");

    let saved = browser.run("return window.saved[0]").await;
    let png = STANDARD.decode(saved.as_str().expect("text")).expect("base64");
    let picture = image::load_from_memory(&png).expect("a PNG").to_rgb8();
    let folder = lobar_tests::kit::workspace().join("target/screenshots");
    std::fs::create_dir_all(&folder).expect("a folder");
    picture.save(folder.join("viewer-saved.png")).expect("written");
    assert_eq!(picture.width(), 640, "as wide as its words need");
    let band = (picture.height() - HEIGHT) / 2;
    let left = (640 - WIDTH) / 2;
    // The whole film at full resolution, through the window that was chosen.
    for (x, y) in [(0, 0), (120, 40), (170, 30), (599, 499)] {
        let share = (f64::from(stored(x, y)) - 999.5) / 400.0 + 0.5;
        let wanted = (share.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
        let seen = picture.get_pixel(left + x, band + y).0[0];
        assert!(seen.abs_diff(wanted) <= 1, "{seen} for {wanted} at {x}, {y}");
    }
    // Words above and below, and the warning in its colour.
    let lit = |rows: std::ops::Range<u32>, colour: fn([u8; 3]) -> bool| {
        rows.flat_map(|y| (0..640).map(move |x| (x, y)))
            .filter(|(x, y)| colour(picture.get_pixel(*x, *y).0))
            .count()
    };
    assert!(lit(0..band, |[r, g, b]| r > 200 && g > 200 && b > 200) > 200, "whose it is");
    let below = picture.height() - band..picture.height();
    assert!(lit(below, |[r, g, b]| r > 200 && g > 150 && b < 150) > 200, "not for diagnostic use");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_put_on_record_is_not_made() {
    let fixture = Fixture::open_for_films().await;
    let id = fixture.put_known(film("MONOCHROME2"), "20240101").await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.view(&fixture, id).await;
    browser.run(CATCH).await;
    fixture.damage("drop table audit").await;
    browser.strike("e").await;
    browser.text_becomes(".said", "Nothing was taken").await;
    assert_eq!(browser.run("return window.saved.length").await, 0);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_refused_to_whoever_may_not_see_the_image() {
    let fixture = Fixture::open_for_films().await;
    let id = fixture.put_known(film("MONOCHROME2"), "20240101").await;
    let ask = async |grant: &str, body: Value| {
        let token = fixture.token(grant).await;
        let url = fixture.url(&format!("/v1/images/{id}/copies"));
        let request = fixture.http.post(url).bearer_auth(token).json(&body);
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(ask("reader@local", json!({ "to": "clipboard", "heatmap": true })).await, 204);
    assert_eq!(ask("reader@elsewhere", json!({ "to": "file" })).await, 404);
    assert_eq!(ask("uploader@local", json!({ "to": "file" })).await, 403);
    assert_eq!(ask("reader@local", json!({ "to": "printer" })).await, 400);
    assert_eq!(ask("reader@local", json!({ "to": "file", "more": 1 })).await, 400);
    let entry = eventually("it is on record", async || copies(&fixture, id).await.pop()).await;
    assert_eq!(entry.detail(), json!({ "picture_to": "clipboard", "heatmap": true }));
}
