//! Windows: what is on the screen against the formula of the standard.

use lobar_core::object::ImageId;

use super::{HEIGHT, WIDTH, film, stored};
use crate::browser::Browser;
use crate::fixture::Fixture;

/// PS3.3, C.11.2.1.2.1.
fn linear(value: u16, center: f64, width: f64) -> u8 {
    let share = (f64::from(value) - (center - 0.5)) / (width - 1.0) + 0.5;
    (share.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

/// Compares the middle of the image, of which one pixel is one of the screen, with what it must be.
#[track_caller]
fn compare(
    what: &str,
    screen: &image::RgbImage,
    place: [f64; 4],
    expected: impl Fn(u32, u32) -> u8,
) {
    let [left, top, width, height] = place;
    let (left, top) = (left.round(), top.round());
    let corner = |start: f64, side: f64, pixels: u32| {
        start + (side / 2.0 - f64::from(pixels) / 2.0 + 0.5).floor()
    };
    let (x0, y0) = (corner(left, width, WIDTH), corner(top, height, HEIGHT));
    let mut different = 0;
    for y in (HEIGHT / 2 - 80)..(HEIGHT / 2 + 80) {
        for x in (WIDTH / 2 - 150)..(WIDTH / 2 + 150) {
            let seen = screen.get_pixel((x0 + f64::from(x)) as u32, (y0 + f64::from(y)) as u32).0;
            let wanted = expected(x, y);
            let near = seen.iter().all(|channel| channel.abs_diff(wanted) <= 1);
            different += u32::from(!near);
            assert!(different < 20, "{what}: {seen:?} for {wanted} at {x}, {y}");
        }
    }
}

async fn tones(browser: &Browser, fixture: &Fixture, id: ImageId, inverted: bool) {
    browser.view(fixture, id).await;
    browser.strike("0").await;
    let [left, top, ..] = browser.place(".layers .film").await;
    let canvas =
        "const { width, height } = document.querySelector('.layers .film'); return [width, height]";
    let [width, height]: [f64; 2] =
        serde_json::from_value(browser.run(canvas).await).expect("two numbers");
    let place = [left, top, width, height];
    let turned = |grey: u8| if inverted { 255 - grey } else { grey };
    let check = async |what: &str, expected: &dyn Fn(u32, u32) -> u8| {
        compare(what, &browser.screen().await, place, expected);
    };
    check("the file's first window", &|x, y| turned(linear(stored(x, y), 2000.0, 1500.0))).await;
    browser.strike("2").await;
    let readout = browser.text(".layers .readout").await;
    assert!(readout.contains("NARROW · W 401 C 1000"), "{readout}");
    check("its second", &|x, y| turned(linear(stored(x, y), 1000.0, 401.0))).await;
    browser.strike("i").await;
    check("inverted", &|x, y| 255 - turned(linear(stored(x, y), 1000.0, 401.0))).await;
    browser.strike("i").await;
    // The arrow keys window: twice to the right is wider by a twenty-fifth of all that there can be.
    browser.strike("w").await;
    browser.press("\u{e014}").await;
    browser.strike("\u{e014}").await;
    let wider = 401.0 + 0.04 * 4095.0;
    check("wider", &|x, y| turned(linear(stored(x, y), 1000.0, wider))).await;
    browser.strike(" ").await;
    browser.strike("0").await;
    check("reset", &|x, y| turned(linear(stored(x, y), 2000.0, 1500.0))).await;
    browser.strike("w").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_painted_is_what_the_window_makes_of_the_file_s_own_numbers() {
    let fixture = Fixture::open_for_films().await;
    let plain = fixture.put_known(film("MONOCHROME2"), "20240101").await;
    let turned = fixture.put_known(film("MONOCHROME1"), "20240102").await;
    for graphics in [true, false] {
        let address = fixture.url("/");
        let browser = match graphics {
            true => Browser::open_with_graphics(&address).await,
            false => Browser::open_with(&address, &["--disable-3d-apis".to_owned()]).await,
        };
        let has = "return document.createElement('canvas').getContext('webgl2') !== null";
        assert_eq!(browser.run(has).await, graphics, "what this browser can");
        tones(&browser, &fixture, plain, false).await;
        tones(&browser, &fixture, turned, true).await;
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graphics_and_processor_paint_the_same_however_it_is_turned_and_enlarged() {
    let fixture = Fixture::open_for_films().await;
    let id = fixture.put_known(film("MONOCHROME2"), "20240101").await;
    let mut seen = Vec::new();
    for graphics in [true, false] {
        let address = fixture.url("/");
        let browser = match graphics {
            true => Browser::open_with_graphics(&address).await,
            false => Browser::open_with(&address, &["--disable-3d-apis".to_owned()]).await,
        };
        browser.view(&fixture, id).await;
        let mut screens = Vec::new();
        for keys in ["=", "-", "-", "-", "r", "f", "+++++++", "v"] {
            for key in keys.chars() {
                browser.press(&key.to_string()).await;
            }
            let [left, top, width, height] = browser.place(".layers .film").await;
            browser.drawn().await;
            let screen = browser.screen().await;
            let (left, top) = (left.ceil() as u32, top.ceil() as u32);
            // Above the line that tells the window.
            let (width, height) = (width as u32 - 1, height as u32 - 60);
            screens.push(image::imageops::crop_imm(&screen, left, top, width, height).to_image());
        }
        seen.push(screens);
        browser.close().await;
    }
    for (step, (one, other)) in seen[0].iter().zip(&seen[1]).enumerate() {
        assert_eq!(one.dimensions(), other.dimensions());
        let pairs = one.pixels().zip(other.pixels());
        let far = pairs.filter(|(one, other)| one.0[0].abs_diff(other.0[0]) > 2).count();
        // A border that lies between two pixels may fall to either side.
        let all = (one.width() * one.height()) as usize;
        assert!(far * 200 < all, "step {step}: {far} of {all} pixels differ");
        assert!(one.pixels().any(|pixel| pixel.0[0] > 100), "step {step} shows a picture");
    }
}
