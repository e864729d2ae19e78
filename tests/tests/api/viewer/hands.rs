//! Mouse, wheel, fingers and keys on the picture.

use fantoccini::actions::{
    InputSource as _, MouseActions, PointerAction, WheelAction, WheelActions,
};
use serde_json::{Value, json};

use super::film;
use crate::browser::Browser;
use crate::fixture::Fixture;

/// Drags from one point of the window to another with a button of the mouse.
async fn drag(browser: &Browser, button: u64, from: (f64, f64), to: (f64, f64)) {
    let to_point =
        |(x, y): (f64, f64)| PointerAction::MoveTo { duration: None, x: x.round(), y: y.round() };
    let mouse = MouseActions::new("mouse".to_owned())
        .then(to_point(from))
        .then(PointerAction::Down { button })
        .then(to_point(to))
        .then(PointerAction::Up { button });
    browser.page.perform_actions(mouse).await.expect("moves");
    browser.drawn().await;
}

/// Turns the wheel over a point.
async fn wheel(browser: &Browser, (x, y): (f64, f64), by: i64) {
    let action = WheelAction::Scroll {
        duration: None,
        x: x.round() as i64,
        y: y.round() as i64,
        delta_x: 0,
        delta_y: by,
    };
    let wheel = WheelActions::new("wheel".to_owned()).then(action);
    browser.page.perform_actions(wheel).await.expect("turns");
    browser.drawn().await;
}

fn middle([left, top, width, height]: [f64; 4]) -> (f64, f64) {
    (left + width / 2.0, top + height / 2.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wheel_zooms_to_the_pointer_and_a_drag_moves_or_windows() {
    let fixture = Fixture::open_for_films().await;
    let id = fixture.put_known(film("MONOCHROME2"), "20240101").await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.view(&fixture, id).await;
    let before = browser.canvas().await;
    let picture = browser.place(".picture").await;
    let at = (picture[0] + picture[2] * 0.25, picture[1] + picture[3] * 0.75);
    wheel(&browser, at, -400).await;
    let larger = browser.place(".picture").await;
    assert!(larger[2] > picture[2] * 1.5, "{picture:?} {larger:?}");
    // What lay under the pointer lies there still.
    let share = ((at.0 - larger[0]) / larger[2], (at.1 - larger[1]) / larger[3]);
    assert!((share.0 - 0.25).abs() < 0.01 && (share.1 - 0.75).abs() < 0.01, "{share:?}");

    let stage = middle(browser.place(".layers").await);
    drag(&browser, 0, stage, (stage.0 + 40.0, stage.1 + 30.0)).await;
    let moved = browser.place(".picture").await;
    let by = (moved[0] - larger[0], moved[1] - larger[1]);
    assert!((by.0 - 40.0).abs() < 1.5 && (by.1 - 30.0).abs() < 1.5, "{by:?}");

    // The second button windows: to the right wider, down darker.
    drag(&browser, 2, stage, (stage.0 + 60.0, stage.1)).await;
    assert_eq!(browser.place(".picture").await, moved, "nothing moves meanwhile");
    let readout = browser.text(".layers .readout").await;
    assert!(readout.contains("Own window · W 1") && !readout.contains("W 1500"), "{readout}");

    // Everything that can be changed, and back: not a pixel differs.
    for key in ["i", "r", "f", "v", "+", "2", "h", "m"] {
        browser.press(key).await;
    }
    assert_ne!(browser.canvas().await, before);
    browser.strike(" ").await;
    assert_eq!(browser.canvas().await, before);
    assert_eq!(browser.place(".picture").await, picture);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_at_the_edges_turn_with_the_patient() {
    let fixture = Fixture::open_for_films().await;
    let id = fixture.put_known(film("MONOCHROME2"), "20240101").await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.view(&fixture, id).await;
    let marks = "return ['left', 'top', 'right', 'bottom'].map((edge) => document.querySelector(`.mark-${edge}`).textContent).join('')";
    browser.drawn().await;
    // Rows run to the patient's left, columns to the feet.
    assert_eq!(browser.run(marks).await, "RHLF");
    for (key, expected) in [("r", "FRHL"), ("r", "LFRH"), ("f", "RFLH"), ("v", "RHLF")] {
        browser.strike(key).await;
        assert_eq!(browser.run(marks).await, expected, "after {key}");
    }
    let shift = "\u{e008}R\u{e000}";
    browser.strike(shift).await;
    assert_eq!(browser.run(marks).await, "HLFR", "to the left with Shift");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_fingers_enlarge_what_lies_between_them() {
    let fixture = Fixture::open_for_films().await;
    let id = fixture.put_known(film("MONOCHROME2"), "20240101").await;
    let browser = Browser::open(&fixture.url("/")).await;
    let size = json!({ "width": 768, "height": 1024, "deviceScaleFactor": 1, "mobile": true });
    browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
    browser
        .devtools(
            "Emulation.setTouchEmulationEnabled",
            json!({ "enabled": true, "maxTouchPoints": 2 }),
        )
        .await;
    browser.view(&fixture, id).await;
    let before = browser.place(".picture").await;
    let (x, y) = middle(before);
    let fingers = async |kind: &str, apart: &[f64]| {
        let points: Vec<Value> = apart
            .iter()
            .enumerate()
            .map(|(id, by)| json!({ "x": x + by, "y": y, "id": id }))
            .collect();
        let touch = json!({ "type": kind, "touchPoints": points });
        browser.devtools("Input.dispatchTouchEvent", touch).await;
    };
    fingers("touchStart", &[-40.0, 40.0]).await;
    for apart in [60.0, 80.0] {
        fingers("touchMove", &[-apart, apart]).await;
    }
    fingers("touchEnd", &[]).await;
    browser.drawn().await;
    let after = browser.place(".picture").await;
    let times = after[2] / before[2];
    assert!((1.8..2.2).contains(&times), "{times}");
    let (x_after, y_after) = middle(after);
    assert!((x - x_after).abs() < 4.0 && (y - y_after).abs() < 4.0, "{before:?} {after:?}");
    browser.screenshot("viewer-768-touch.png").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_is_told_of_and_all_of_them_can_be_switched_off() {
    let fixture = Fixture::open_for_films().await;
    let id = fixture.put_known(film("MONOCHROME2"), "20240101").await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.view(&fixture, id).await;
    browser.press("?").await;
    browser.text_becomes(".dialog", "Window with the first mouse button").await;
    // What lies under the dialog hears nothing.
    browser.press("i").await;
    let inverted = "return document.querySelector('.picture').classList.contains('inverted')";
    assert_eq!(browser.run(inverted).await, false);
    browser.screenshot("viewer-keys.png").await;
    browser.click(".dialog input[type=checkbox]").await;
    browser.click(".dialog .dialog-close").await;
    browser.strike("i").await;
    assert_eq!(browser.run(inverted).await, false, "the keys are off");
    browser.page.refresh().await.expect("reloads");
    browser.film_is_there().await;
    browser.strike("i").await;
    assert_eq!(browser.run(inverted).await, false, "and stay off");
    // The buttons do what the keys did, and the way to switch them on again is one.
    browser.click("[data-action=invert]").await;
    browser.becomes(inverted).await;
    browser.click("[data-action=help]").await;
    browser.click(".dialog input[type=checkbox]").await;
    browser.click(".dialog .dialog-close").await;
    browser.strike("i").await;
    assert_eq!(browser.run(inverted).await, false, "the key has turned it back");
    // Each button has a key, and each key of a letter a place in the dialog.
    let told = "return [...document.querySelectorAll('.tools button[data-action] kbd')].map((key) => key.textContent)";
    let told = browser.run(told).await;
    let shown = include_str!("../../../../api/web/keymap.js");
    for key in told.as_array().expect("a list") {
        let line = format!("  [{key}, ");
        assert!(shown.contains(&line), "api/web/keymap.js does not tell of {key}");
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_magnifier_shows_what_lies_under_the_pointer_larger() {
    let fixture = Fixture::open_for_films().await;
    let id = fixture.put_known(film("MONOCHROME2"), "20240101").await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.view(&fixture, id).await;
    browser.strike("0").await;
    let [left, top, width, height] = browser.place(".layers").await;
    let at = (left + width / 2.0, top + height / 2.0);
    let mouse = MouseActions::new("mouse".to_owned()).then(PointerAction::MoveTo {
        duration: None,
        x: at.0.round(),
        y: at.1.round(),
    });
    browser.page.perform_actions(mouse).await.expect("moves");
    browser.strike("m").await;
    let loupe = browser.place(".loupe").await;
    let (x, y) = middle(loupe);
    assert!((x - at.0).abs() < 2.0 && (y - at.1).abs() < 2.0, "{loupe:?} at {at:?}");
    // The grey at its middle is that of the film there, and what is right of it lies two and a half times as far.
    let grey = "const [canvas, x, y] = [document.querySelector(arguments[0]), arguments[1], arguments[2]]; \
        return canvas.getContext('2d').getImageData(x, y, 1, 1).data[0]";
    let of = async |css: &str, x: f64, y: f64| {
        let place = vec![json!(css), json!(x.round()), json!(y.round())];
        browser.page.execute(grey, place).await.expect("a script").as_i64().expect("grey")
    };
    let [inner, outer] = [(120.0, 120.0), (width / 2.0, height / 2.0)];
    for step in [0.0, 20.0, 40.0] {
        let large = of(".loupe", inner.0 + step * 2.5, inner.1).await;
        let small = of(".layers .film", outer.0 + step, outer.1).await;
        assert!((large - small).abs() <= 3, "{step}: {large} {small}");
    }
    browser.screenshot("viewer-magnifier.png").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_image_is_there_before_it_is_asked_for() {
    let fixture = Fixture::open_for_films().await;
    let first = fixture.put_known(film("MONOCHROME2"), "20240101").await;
    let next = fixture.put_known(film("MONOCHROME1"), "20240102").await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 2 of 2").await;
    // Newest first: the one below is the next.
    browser.click(&format!("tr[data-id='{next}'] .open")).await;
    browser.film_is_there().await;
    let asked = |id| {
        format!(
            "return performance.getEntriesByType('resource').filter(({{ name, responseEnd }}) => responseEnd > 0 && /{id}.(picture|pixels)$/.test(name)).length"
        )
    };
    browser.becomes(&format!("{} === 2", asked(first))).await;
    browser.run("performance.clearMeasures()").await;
    browser.press("j").await;
    browser.film_is_there().await;
    browser.becomes(&format!("return location.hash === '#/images/{first}'")).await;
    browser.becomes("return performance.getEntriesByName('image painted').length === 1").await;
    assert_eq!(browser.run(&asked(first)).await, 2, "it was asked for once");
    browser.close().await;
}
