//! The network's input against Pillow, and the gate.

mod fixture;

use fixture::{fixture, grey_png, rgb_png, texture};
use lobar_core::image::Reason;
use lobar_imaging::{Limits, Warning, decode, network_input, prepare};

#[test]
fn resizing_is_within_one_grey_level_of_pillow() {
    for (width, height) in [(1000, 700), (301, 517), (224, 224), (150, 120), (1857, 317)] {
        let bytes = grey_png(width, height, &texture(width, height));
        let radiograph = decode(&bytes, &Limits::default()).unwrap();
        let ours = network_input(&radiograph).unwrap();
        let theirs = fixture(&format!("resize_{width}x{height}.grey"));
        assert_eq!(ours.pixels().len(), theirs.len());
        let differences = ours.pixels().iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b));
        let largest = differences.max().unwrap();
        assert!(largest <= 1, "{width}×{height}: {largest}");
    }
}

fn refused(bytes: &[u8]) -> Reason {
    prepare(bytes, &Limits::default()).expect_err("this must be refused").reason
}

#[test]
fn a_textured_grey_picture_passes_and_tells_its_size() {
    let prepared = prepare(&grey_png(640, 480, &texture(640, 480)), &Limits::default()).unwrap();
    assert_eq!((prepared.width, prepared.height), (640, 480));
    assert!(prepared.warnings.is_empty());
}

#[test]
fn too_small_and_too_long_pictures_are_refused() {
    assert_eq!(refused(&grey_png(99, 300, &texture(99, 300))), Reason::TooSmall);
    assert_eq!(refused(&grey_png(1000, 200, &texture(1000, 200))), Reason::ExtremeAspect);
    let small = prepare(&grey_png(150, 300, &texture(150, 300)), &Limits::default()).unwrap();
    assert_eq!(small.warnings, [Warning::LowResolution]);
}

#[test]
fn blank_pictures_are_refused_noisy_or_not() {
    assert_eq!(refused(&grey_png(300, 300, &[0; 90_000])), Reason::Blank);
    assert_eq!(refused(&grey_png(300, 300, &[130; 90_000])), Reason::Blank);
    let noise: Vec<u8> =
        (0..1_000_000u32).map(|i| 100 + (i.wrapping_mul(2_654_435_761) >> 26) as u8).collect();
    assert_eq!(refused(&grey_png(1000, 1000, &noise)), Reason::Blank);
}

#[test]
fn colour_photographs_are_refused() {
    // A landscape: blue sky over green and brown ground.
    let landscape = rgb_png(400, 300, |x, y| {
        let shade = ((x * 7 + y * 13) % 40) as u8;
        if y < 150 { [90 + shade, 150 + shade, 215] } else { [60 + shade, 110 + shade, 40] }
    });
    assert_eq!(refused(&landscape), Reason::ColourPhotograph);
    // Skin on a white sheet: a quarter of the picture is coloured.
    let skin =
        rgb_png(400, 300, |x, _| if x < 100 { [200, 140, 110] } else { [(x % 256) as u8; 3] });
    assert_eq!(refused(&skin), Reason::ColourPhotograph);
}

#[test]
fn grey_stored_as_colour_passes_and_a_tint_is_told() {
    let grey = |x: u32, y: u32| ((x * 200 / 400 + y * 50 / 300) % 256) as u8;
    let stored = prepare(&rgb_png(400, 300, |x, y| [grey(x, y); 3]), &Limits::default()).unwrap();
    assert!(stored.warnings.is_empty());
    let film = rgb_png(400, 300, |x, y| {
        let value = grey(x, y);
        [value - value / 12, value, value.saturating_add(value / 12)]
    });
    assert_eq!(prepare(&film, &Limits::default()).unwrap().warnings, [Warning::Tinted]);
    // A grey picture with a coloured mark on it.
    let marked =
        rgb_png(400, 300, |x, y| if x < 60 && y < 60 { [255, 220, 0] } else { [grey(x, y); 3] });
    assert!(prepare(&marked, &Limits::default()).is_ok());
}
