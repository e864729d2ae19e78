//! Stored samples to modality values, and which of them is bright.

use lobar_core::image::Reason;
use lobar_imaging::{Limits, prepare};

use crate::file::{File, Value, text};

const PHOTOMETRIC: (u16, u16) = (0x0028, 0x0004);
const SIGNED: (u16, u16) = (0x0028, 0x0103);
const PADDING: (u16, u16) = (0x0028, 0x0120);

#[test]
fn monochrome1_is_inverted_exactly_once() {
    let mut file = File::row(8, &[0, 100, 255]);
    assert_eq!(file.grey(), [0, 100, 255]);
    file.text(PHOTOMETRIC, b"CS", "MONOCHROME1");
    assert_eq!(file.grey(), [255, 155, 0]);
    // A window is applied before.
    file.window("50", "100");
    assert_eq!(file.grey(), [255, 0, 0]);
}

#[test]
fn presentation_lut_shape_inverse_inverts_and_not_a_second_time() {
    let mut file = File::row(8, &[0, 100, 255]);
    file.text((0x2050, 0x0020), b"CS", "INVERSE");
    assert_eq!(file.grey(), [255, 155, 0]);
    file.text(PHOTOMETRIC, b"CS", "MONOCHROME1");
    assert_eq!(file.grey(), [255, 155, 0], "both say the same");
    file.text((0x2050, 0x0020), b"CS", "IDENTITY");
    assert_eq!(file.grey(), [255, 155, 0]);
}

#[test]
fn network_and_page_see_the_same_polarity() {
    let film: Vec<u16> = (0..200 * 200).map(|i| (i % 200) as u16 * 20).collect();
    let mut file = File::chest(200, 200, 12, &film);
    let plain = prepare(&file.bytes(), &Limits::default()).unwrap().input;
    let inverted: Vec<u16> = film.iter().map(|sample| 4095 - sample).collect();
    file.set(crate::file::PIXELS, b"OW", Value::Shorts(inverted));
    file.text(PHOTOMETRIC, b"CS", "MONOCHROME1");
    let again = prepare(&file.bytes(), &Limits::default()).unwrap().input;
    let differ = plain.pixels().iter().zip(again.pixels()).map(|(a, b)| a.abs_diff(*b)).max();
    // The percentiles are a sample apart.
    assert!(differ <= Some(2), "{differ:?}");
    let drawn = lobar_imaging::draw(&file.bytes(), &Limits::default(), 200).unwrap();
    let shown = lobar_imaging::decode(&drawn, &Limits::default()).unwrap().pixels;
    assert_eq!(shown, file.grey());
    assert!(shown[0] < 10 && shown[199] > 200, "dark on the left");
}

#[test]
fn signed_samples_are_extended_from_their_stored_bits() {
    let mut file = File::row(12, &[0x800, 0xfff, 0, 0x7ff]);
    file.short(SIGNED, 1).window("0", "4096");
    let grey = file.grey();
    assert!(
        grey[0] == 0 && grey[1] == 127 && grey[2].abs_diff(128) <= 1 && grey[3] == 255,
        "{grey:?}"
    );
    // Without a window, too: not all in the lowest eight levels.
    file.remove((0x0028, 0x1050)).remove((0x0028, 0x1051));
    assert!(file.grey()[3] > 200);
}

#[test]
fn bits_above_and_below_the_stored_ones_mean_nothing() {
    let clean = File::row(12, &[0, 1000, 2000, 4095]).grey();
    let mut dirty = File::row(12, &[0xf000, 1000 | 0x3000, 2000, 4095 | 0x8000]);
    assert_eq!(dirty.grey(), clean);
    dirty = File::row(12, &[0xf, 1000 << 4, 2000 << 4 | 3, 4095 << 4]);
    dirty.short((0x0028, 0x0102), 15);
    assert_eq!(dirty.grey(), clean, "high bit 15");
}

#[test]
fn padding_is_black_and_counts_for_no_percentile() {
    let film: Vec<u16> = (0..400).map(|i| 1000 + i).collect();
    let clean = File::row(16, &film).grey();
    for (padding, signed) in [(65_535u16, false), (-2_000i16 as u16, true), (0, false)] {
        let padded: Vec<u16> = film.iter().copied().chain([padding; 200]).collect();
        let mut file = File::row(16, &padded);
        file.short(PADDING, padding).short(SIGNED, signed.into());
        let grey = file.grey();
        assert_eq!(grey[..400], clean, "{padding}");
        assert!(grey[400..].iter().all(|pixel| *pixel == 0), "{padding}");
        file.text(PHOTOMETRIC, b"CS", "MONOCHROME1");
        assert!(file.grey()[400..].iter().all(|pixel| *pixel == 0), "{padding}: black, too");
    }
    let padded: Vec<u16> = film.iter().copied().chain(3000..3200).collect();
    let mut file = File::row(16, &padded);
    file.short(PADDING, 3000).short((0x0028, 0x0121), 3199);
    assert_eq!(file.grey()[..400], clean, "a range");
    // Larger than the stored bits can be.
    let padded: Vec<u16> = film.iter().copied().chain([0xffff; 9]).collect();
    let mut file = File::row(12, &padded);
    file.short(PADDING, 0xffff);
    assert_eq!(file.grey()[..400], File::row(12, &film).grey());
}

#[test]
fn rescale_is_applied_whatever_of_it_is_given() {
    let mut file = File::row(12, &[0, 1000, 2000]);
    file.text((0x0028, 0x1052), b"DS", "-1000").window("0", "2001");
    assert_eq!(file.grey(), [0, 128, 255], "an intercept alone");
    file.text((0x0028, 0x1053), b"DS", "-1").text((0x0028, 0x1052), b"DS", "1000");
    assert_eq!(file.grey(), [255, 128, 0], "a slope below zero");
    file.text((0x0028, 0x1053), b"DS", "0").text((0x0028, 0x1052), b"DS", "-1000");
    assert_eq!(file.grey(), [0, 128, 255], "a slope of zero is none");
}

fn table(first: u16, bits: u16, entries: &[u16]) -> Value {
    Value::Items(vec![vec![
        ((0x0028, 0x3002), *b"US", Value::Shorts(vec![entries.len() as u16, first, bits])),
        ((0x0028, 0x3006), *b"OW", Value::Shorts(entries.to_vec())),
    ]])
}

#[test]
fn a_modality_lookup_table_is_applied_before_the_window() {
    let mut file = File::row(12, &[0, 10, 11, 12, 4000]);
    file.set((0x0028, 0x3000), b"SQ", table(10, 12, &[0, 2000, 4000])).window("2000.5", "4001");
    assert_eq!(file.grey(), [0, 0, 128, 255, 255]);
    file.set(
        (0x0028, 0x3000),
        b"SQ",
        Value::Items(vec![vec![((0x0028, 0x3003), *b"LO", text("US"))]]),
    );
    let (reason, detail) = file.refused();
    assert!(reason == Reason::Undecodable && detail.contains("(0028,3002)"), "{detail}");
}

#[test]
fn a_voi_lookup_table_goes_before_a_window() {
    let mut file = File::row(12, &[0, 10, 11, 12, 4000]);
    file.set((0x0028, 0x3010), b"SQ", table(10, 8, &[5, 100, 255])).window("1", "2");
    assert_eq!(file.grey(), [5, 5, 100, 255, 255]);
    // In implicit VR a sequence has no mark of its own.
    file.writing = crate::file::Writing::Implicit;
    file.transfer_syntax = Some("1.2.840.10008.1.2".into());
    assert_eq!(file.grey(), [5, 5, 100, 255, 255]);
}

#[test]
fn one_even_grey_is_blank() {
    for (stored, value) in [(12, 0), (12, 700), (8, 255)] {
        let file = File::chest(120, 120, stored, &vec![value; 120 * 120]);
        let refused = prepare(&file.bytes(), &Limits::default()).unwrap_err();
        assert_eq!(refused.reason, Reason::Blank, "{stored} {value}");
    }
}
