//! Pictures with the depth and the colours that their files have.
#![allow(clippy::unwrap_used, reason = "a test that cannot make its files has failed")]

mod fixture;

use fixture::{encode_png, fixture, texture};
use lobar_core::image::Reason;
use lobar_imaging::{Limits, Original, OriginalSamples, decode, original};
use png::{BitDepth, ColorType};

fn read(file: &[u8]) -> Original {
    original(file, &Limits::default()).unwrap()
}

/// As [`lobar_imaging::Chroma`] is told beside.
fn grey([r, g, b]: [u8; 3]) -> u8 {
    let sum = u32::from(r) * 19_595 + u32::from(g) * 38_470 + u32::from(b) * 7_471;
    ((sum + 0x8000) >> 16) as u8
}

#[test]
fn the_greys_of_what_is_kept_are_those_that_people_see() {
    let mut coloured = 0;
    for name in [
        "grey.jpg",
        "grey_progressive.jpg",
        "turned.jpg",
        "colour_420.jpg",
        "colour_444.jpg",
        "colour_progressive.jpg",
        "rgb.jpg",
        "cmyk.jpg",
        "ycck.jpg",
        "interlaced_grey.png",
        "interlaced_colour.png",
        "interlaced_narrow.png",
    ] {
        let file = fixture(name);
        let (kept, shown) = (read(&file), decode(&file, &Limits::default()).unwrap());
        assert_eq!((kept.width, kept.height), (shown.width, shown.height), "{name}");
        assert_eq!(kept.format, shown.format);
        let greys = match kept.samples {
            OriginalSamples::Grey(samples) => samples,
            OriginalSamples::Colour(samples) => {
                coloured += 1;
                samples.into_iter().map(grey).collect()
            }
            OriginalSamples::Deep { .. } => panic!("{name} has 8 bits"),
        };
        assert!(greys == shown.pixels, "{name}");
    }
    assert!(coloured >= 5, "{coloured} are in colour");
}

/// OriginalSamples of 12 bits.
fn deep() -> Vec<u16> {
    let fine = |(n, grey)| (u16::from(grey) << 4) | (n as u16 % 16);
    texture(40, 30).into_iter().enumerate().map(fine).collect()
}

fn big_endian(samples: impl IntoIterator<Item = u16>) -> Vec<u8> {
    samples.into_iter().flat_map(u16::to_be_bytes).collect()
}

#[test]
fn sixteen_bits_of_grey_are_kept_with_how_many_hold_the_picture() {
    let data = big_endian(deep());
    let png = encode_png(40, 30, ColorType::Grayscale, BitDepth::Sixteen, &data, |_| {});
    assert_eq!(read(&png).samples, OriginalSamples::Deep { samples: deep(), depth: 12 });
    // Grey that is stored in colour, and with transparency that there is none of.
    let data = big_endian(deep().into_iter().flat_map(|grey| [grey, grey, grey, u16::MAX]));
    let png = encode_png(40, 30, ColorType::Rgba, BitDepth::Sixteen, &data, |_| {});
    assert_eq!(read(&png).samples, OriginalSamples::Deep { samples: deep(), depth: 12 });
}

#[test]
fn colours_of_sixteen_bits_are_reduced_to_eight_by_the_bits_in_use() {
    let data = big_endian(deep().into_iter().flat_map(|grey| [grey, grey / 2, 0]));
    let png = encode_png(40, 30, ColorType::Rgb, BitDepth::Sixteen, &data, |_| {});
    let reduced = |grey: u16| [(grey >> 4) as u8, ((grey / 2) >> 4) as u8, 0];
    assert_eq!(
        read(&png).samples,
        OriginalSamples::Colour(deep().into_iter().map(reduced).collect())
    );
}

#[test]
fn grey_that_is_stored_in_colour_is_grey_and_a_palette_is_colour() {
    let greys = texture(40, 30);
    let data: Vec<u8> = greys.iter().flat_map(|grey| [*grey; 3]).collect();
    let png = encode_png(40, 30, ColorType::Rgb, BitDepth::Eight, &data, |_| {});
    assert_eq!(read(&png).samples, OriginalSamples::Grey(greys));
    let png = encode_png(2, 1, ColorType::Indexed, BitDepth::Eight, &[1, 0], |encoder| {
        encoder.set_palette(&[1, 2, 3, 250, 20, 30][..]);
    });
    assert_eq!(read(&png).samples, OriginalSamples::Colour(vec![[250, 20, 30], [1, 2, 3]]));
}

#[test]
fn transparent_parts_are_laid_on_black() {
    let png =
        encode_png(2, 1, ColorType::Rgba, BitDepth::Eight, &[9, 8, 7, 255, 9, 8, 7, 0], |_| {});
    assert_eq!(read(&png).samples, OriginalSamples::Colour(vec![[9, 8, 7], [0; 3]]));
}

#[test]
fn what_is_neither_jpeg_nor_png_and_what_is_cut_short_is_refused() {
    let refused = |file: &[u8]| original(file, &Limits::default()).err().unwrap().reason;
    assert_eq!(refused(b"GIF89a"), Reason::UnsupportedFormat);
    assert_eq!(refused(b""), Reason::Empty);
    for name in ["colour_444.jpg", "grey.jpg", "interlaced_colour.png"] {
        let file = fixture(name);
        assert_eq!(refused(&file[..file.len() / 2]), Reason::Undecodable, "{name}");
    }
    let small = Limits { max_pixels: 10, ..Limits::default() };
    let large = original(&fixture("rgb.jpg"), &small).err().unwrap();
    assert_eq!(large.reason, Reason::TooManyPixels);
}
