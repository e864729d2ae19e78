//! Files of every kind that is read, against what Pillow, and for DICOM its writers, see in them.

mod fixture;

use fixture::{FIXTURES, encode_png, fixture, grey_of, texture};
use lobar_imaging::{Limits, Warning, decode};

/// Largest and mean difference between two pictures, grey levels.
fn difference(ours: &[u8], theirs: &[u8]) -> (u8, f64) {
    assert_eq!(ours.len(), theirs.len());
    let each = || ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b));
    let sum: u64 = each().map(u64::from).sum();
    (each().max().unwrap_or(0), sum as f64 / ours.len() as f64)
}

#[test]
fn every_fixture_decodes_to_what_others_read() {
    for name in FIXTURES {
        let radiograph = decode(&fixture(name), &Limits::default()).expect(name);
        let (largest, mean) = difference(&radiograph.pixels, &grey_of(name));
        // Inverse transforms and chroma upsampling may round differently; PNG may not.
        let (max_largest, max_mean) = match name {
            _ if name.ends_with(".png") || name.ends_with(".dcm") => (0, 0.0),
            _ if name.contains("progressive") || name.contains("420") => (6, 0.8),
            _ => (2, 0.5),
        };
        assert!(largest <= max_largest && mean <= max_mean, "{name}: {largest} {mean}");
    }
}

#[test]
fn exif_orientation_is_applied_and_told() {
    let turned = decode(&fixture("turned.jpg"), &Limits::default()).unwrap();
    assert_eq!((turned.width, turned.height), (56, 72));
    assert_eq!(turned.warnings, [Warning::Oriented]);
    let upright = decode(&fixture("grey.jpg"), &Limits::default()).unwrap();
    assert_eq!((upright.width, upright.height, upright.warnings.len()), (72, 56, 0));
}

#[test]
fn png_of_few_bits_is_spread_over_the_grey_scale() {
    use png::{BitDepth, ColorType::Grayscale};
    let decoded = |depth, row: &[u8], width| {
        let bytes = encode_png(width, 1, Grayscale, depth, row, |_| {});
        decode(&bytes, &Limits::default()).unwrap().pixels
    };
    assert_eq!(decoded(BitDepth::One, &[0b1010_0000], 4), [255, 0, 255, 0]);
    assert_eq!(decoded(BitDepth::Two, &[0b0001_1011], 4), [0, 85, 170, 255]);
    assert_eq!(decoded(BitDepth::Four, &[0x0f, 0x70], 3), [0, 255, 119]);
    assert_eq!(decoded(BitDepth::Eight, &[0, 128, 255], 3), [0, 128, 255]);
}

#[test]
fn sixteen_bit_png_keeps_its_high_bits_and_says_so() {
    use png::{BitDepth::Sixteen, ColorType};
    let full = encode_png(2, 1, ColorType::Grayscale, Sixteen, &[0x12, 0x34, 0xff, 0xff], |_| {});
    let full = decode(&full, &Limits::default()).unwrap();
    assert_eq!(full.pixels, [0x12, 0xff]);
    assert_eq!(full.warnings, [Warning::ReducedDepth]);
    let twelve = encode_png(2, 1, ColorType::Grayscale, Sixteen, &[0x08, 0, 0x0f, 0xff], |_| {});
    assert_eq!(decode(&twelve, &Limits::default()).unwrap().pixels, [128, 255]);
    let rgb = [0x12, 0x34, 0x12, 0x34, 0x12, 0x34, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let colour = encode_png(2, 1, ColorType::Rgb, Sixteen, &rgb, |_| {});
    assert_eq!(decode(&colour, &Limits::default()).unwrap().pixels, [0x12, 0xff]);
}

/// A film of 12 bits in 16-bit samples, as grey, with alpha or in colour, that says its depth or not.
fn twelve_bits(samples: &[u16], color: png::ColorType, declared: bool) -> Vec<u8> {
    let repeated = match color {
        png::ColorType::Rgb | png::ColorType::Rgba => 3,
        _ => 1,
    };
    let alpha = matches!(color, png::ColorType::GrayscaleAlpha | png::ColorType::Rgba);
    let mut data = Vec::new();
    for sample in samples {
        (0..repeated).for_each(|_| data.extend(sample.to_be_bytes()));
        data.extend(if alpha { &[0xff, 0xff][..] } else { &[] });
    }
    let mut bytes = encode_png(50, 40, color, png::BitDepth::Sixteen, &data, |_| {});
    if declared {
        let body = vec![12; color.samples()];
        let mut chunk = (body.len() as u32).to_be_bytes().to_vec();
        chunk.extend([&b"sBIT"[..], &body].concat());
        chunk.extend(fixture::crc32(&chunk[4..]).to_be_bytes());
        // Behind the header.
        bytes.splice(33..33, chunk);
    }
    bytes
}

#[test]
fn a_mark_on_a_film_of_twelve_bits_leaves_the_film_as_it_is() {
    use png::ColorType::{Grayscale, GrayscaleAlpha, Rgb, Rgba};
    let film: Vec<u16> = (0..2_000).map(|i| i * 2 + 80).collect();
    let expected: Vec<u8> = film.iter().map(|&sample| (sample >> 4) as u8).collect();
    for color in [Grayscale, GrayscaleAlpha, Rgb, Rgba] {
        for declared in [false, true] {
            for marked in [0, 1, 19] {
                let mut samples = film.clone();
                samples[..marked].fill(u16::MAX);
                let bytes = twelve_bits(&samples, color, declared);
                let read = decode(&bytes, &Limits::default()).unwrap();
                assert_eq!(read.pixels[marked..], expected[marked..], "{color:?} {declared}");
                assert!(read.pixels[..marked].iter().all(|&pixel| pixel == 255));
                assert_eq!(read.warnings, [Warning::ReducedDepth]);
            }
        }
    }
}

#[test]
fn palettes_are_looked_up_and_alpha_is_laid_on_black() {
    use png::{BitDepth::Eight, BitDepth::Sixteen, ColorType};
    let palette = encode_png(3, 1, ColorType::Indexed, Eight, &[2, 0, 1], |encoder| {
        encoder.set_palette(vec![0, 0, 0, 255, 0, 0, 9, 9, 9]);
        encoder.set_trns(vec![255, 0]);
    });
    let palette = decode(&palette, &Limits::default()).unwrap();
    assert_eq!(palette.pixels, [9, 0, 0]);
    assert_eq!(palette.warnings, [Warning::Transparent]);

    let grey =
        encode_png(3, 1, ColorType::GrayscaleAlpha, Eight, &[200, 255, 200, 128, 200, 0], |_| {});
    assert_eq!(decode(&grey, &Limits::default()).unwrap().pixels, [200, 100, 0]);
    let rgba = [255, 0, 0, 255, 255, 255, 255, 0];
    let rgba = encode_png(2, 1, ColorType::Rgba, Eight, &rgba, |_| {});
    assert_eq!(decode(&rgba, &Limits::default()).unwrap().pixels, [76, 0]);
    let deep = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0];
    let deep = encode_png(2, 1, ColorType::GrayscaleAlpha, Sixteen, &deep, |_| {});
    assert_eq!(decode(&deep, &Limits::default()).unwrap().pixels, [255, 0]);

    let opaque = encode_png(1, 1, ColorType::Rgba, Eight, &[5, 5, 5, 255], |_| {});
    assert!(decode(&opaque, &Limits::default()).unwrap().warnings.is_empty());
}

#[test]
fn a_grey_png_comes_back_byte_for_byte() {
    let pixels = texture(130, 110);
    let bytes =
        encode_png(130, 110, png::ColorType::Grayscale, png::BitDepth::Eight, &pixels, |_| {});
    assert_eq!(decode(&bytes, &Limits::default()).unwrap().pixels, pixels);
}
