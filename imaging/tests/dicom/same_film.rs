//! The same film by several routes gives the network the same input (`docs/adr/0029`).

use lobar_core::engine::NetworkInput;
use lobar_imaging::{Limits, prepare};

use crate::file::{File, PIXELS, Value, Writing};
use crate::fixture::grey_png;

const SIZE: (u16, u16) = (300, 260);
/// How far a route that keeps the greys may go, grey levels of any pixel.
const EXACT: u8 = 1;
/// How far the mean may go where the file has no window.
const WITHOUT_WINDOW: f64 = 6.0;

/// A drawn chest: dark lungs beside a bright middle, on black, with the greys that films have.
fn chest() -> Vec<u8> {
    let (width, height) = (f64::from(SIZE.0), f64::from(SIZE.1));
    let inside = |x: f64, y: f64, cx: f64, cy: f64, rx: f64, ry: f64| {
        1.0 - ((x - cx) / rx).powi(2) - ((y - cy) / ry).powi(2)
    };
    let pixel = |i: usize| {
        let (x, y) = ((i % SIZE.0 as usize) as f64 / width, (i / SIZE.0 as usize) as f64 / height);
        let body = inside(x, y, 0.5, 0.65, 0.55, 0.7).clamp(0.0, 0.2) * 900.0;
        let lung = |cx| inside(x, y, cx, 0.48, 0.17, 0.33).clamp(0.0, 0.5) * 220.0;
        let middle = inside(x, y, 0.52, 0.5, 0.1, 0.6).clamp(0.0, 0.3) * 100.0;
        (4.0 + body - lung(0.29) - lung(0.71) + middle).clamp(0.0, 210.0) as u8
    };
    (0..usize::from(SIZE.0) * usize::from(SIZE.1)).map(pixel).collect()
}

fn input(bytes: &[u8]) -> NetworkInput {
    prepare(bytes, &Limits::default()).unwrap().input
}

/// Largest and mean difference, grey levels.
fn difference(a: &NetworkInput, b: &NetworkInput) -> (u8, f64) {
    let each = || a.pixels().iter().zip(b.pixels()).map(|(a, b)| a.abs_diff(*b));
    let sum: u32 = each().map(u32::from).sum();
    (each().max().unwrap_or(0), f64::from(sum) / a.pixels().len() as f64)
}

#[test]
fn every_route_with_a_window_gives_the_input_of_the_picture() {
    let film = chest();
    let expected = input(&grey_png(SIZE.0.into(), SIZE.1.into(), &film));
    let deep =
        |of: &dyn Fn(u16) -> u16| film.iter().map(|grey| of((*grey).into())).collect::<Vec<_>>();
    let file = |stored, of: &dyn Fn(u16) -> u16| File::chest(SIZE.0, SIZE.1, stored, &deep(of));
    let mut routes = Vec::new();
    routes.push(("8 bits", file(8, &|grey| grey)));
    let mut twelve = file(12, &|grey| grey * 16 + 8);
    twelve.window("2048", "4096");
    routes.push(("12 bits", twelve.clone()));
    for (name, writing, uid) in [
        ("implicit", Writing::Implicit, "1.2.840.10008.1.2"),
        ("big endian", Writing::BigEndian, "1.2.840.10008.1.2.2"),
    ] {
        let mut file = twelve.clone();
        (file.writing, file.transfer_syntax) = (writing, Some(uid.into()));
        routes.push((name, file));
    }
    let mut inverted = file(12, &|grey| 4095 - (grey * 16 + 8));
    inverted.window("2048", "4096").text((0x0028, 0x0004), b"CS", "MONOCHROME1");
    routes.push(("MONOCHROME1", inverted));
    let mut signed = file(16, &|grey| (grey * 16 + 8).wrapping_sub(2048));
    signed.window("0", "4096").short((0x0028, 0x0103), 1);
    routes.push(("signed", signed));
    let mut narrow = file(12, &|grey| 600 + grey * 8);
    narrow.window("1620.5", "2041");
    routes.push(("a part of 12 bits", narrow));
    let mut table = file(8, &|grey| grey);
    let identity = Value::Items(vec![vec![
        ((0x0028, 0x3002), *b"US", Value::Shorts(vec![256, 0, 8])),
        ((0x0028, 0x3006), *b"OW", Value::Shorts((0..256).collect())),
    ]]);
    table.set((0x0028, 0x3010), b"SQ", identity);
    routes.push(("a lookup table", table));
    for (name, file) in routes {
        let (largest, _) = difference(&input(&file.bytes()), &expected);
        assert!(largest <= EXACT, "{name}: {largest}");
    }
}

#[test]
fn without_a_window_the_input_stays_near_that_of_the_picture() {
    let film = chest();
    let expected = input(&grey_png(SIZE.0.into(), SIZE.1.into(), &film));
    let mut inputs = Vec::new();
    for (factor, offset) in [(16u16, 0u16), (8, 600), (4, 100)] {
        let samples: Vec<u16> =
            film.iter().map(|grey| u16::from(*grey) * factor + offset).collect();
        inputs.push(input(&File::chest(SIZE.0, SIZE.1, 12, &samples).bytes()));
        let (_, mean) = difference(inputs.last().unwrap(), &expected);
        assert!(mean <= WITHOUT_WINDOW, "{factor} {offset}: {mean}");
    }
    let inverted: Vec<u16> = film.iter().map(|grey| 4095 - u16::from(*grey) * 16).collect();
    let mut inverted = File::chest(SIZE.0, SIZE.1, 12, &inverted);
    inverted.text((0x0028, 0x0004), b"CS", "MONOCHROME1");
    assert!(difference(&input(&inverted.bytes()), &inputs[0]).0 <= 2, "inverted");
    // Whatever part of the range a detector uses.
    assert!(
        difference(&inputs[0], &inputs[1]).0 <= EXACT
            && difference(&inputs[0], &inputs[2]).0 <= EXACT
    );
}

#[test]
fn what_seems_inverted_needs_a_human_and_is_not_turned_over() {
    let film: Vec<u16> = chest().into_iter().map(u16::from).collect();
    let mut file = File::chest(SIZE.0, SIZE.1, 8, &film);
    assert!(prepare(&file.bytes(), &Limits::default()).is_ok());
    // It says MONOCHROME1, and its pixels are not inverted.
    file.text((0x0028, 0x0004), b"CS", "MONOCHROME1");
    let refused = prepare(&file.bytes(), &Limits::default()).unwrap_err();
    assert_eq!(refused.reason, lobar_core::image::Reason::UncertainPolarity);
    assert!(file.decode().is_ok(), "the page shows it as it says");
    let inverted: Vec<u8> = film.iter().map(|grey| 255 - *grey as u8).collect();
    file.set(PIXELS, b"OB", Value::Bytes(inverted));
    assert!(prepare(&file.bytes(), &Limits::default()).is_ok(), "the two agree");
}
