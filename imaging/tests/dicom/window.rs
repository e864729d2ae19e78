//! Windows: given, given badly, and none.

use crate::file::File;

const FUNCTION: (u16, u16) = (0x0028, 0x1056);

#[test]
fn a_window_is_that_of_the_standard() {
    // PS3.3, C.11.2.1.2.1: center 2048 and width 4096 leave 12 bits as they are.
    let mut file = File::row(12, &[0, 16, 2048, 4095, 4095]);
    file.window("2048", "4096");
    assert_eq!(file.grey(), [0, 1, 128, 255, 255]);
    let mut file = File::row(12, &[0, 50, 100, 200]);
    file.window("100", "100").text(FUNCTION, b"CS", "LINEAR_EXACT");
    assert_eq!(file.grey(), [0, 0, 128, 255]);
    file.text(FUNCTION, b"CS", "SIGMOID");
    // 1 / (1 + exp(-4 (x - 100) / 100)): 0.018, 0.119, 0.5, 0.982.
    assert_eq!(file.grey(), [5, 30, 128, 250]);
}

#[test]
fn of_several_windows_the_first_that_can_be_one_counts() {
    let expected = {
        let mut file = File::row(12, &[0, 1000, 2000]);
        file.window("1000", "2001").grey()
    };
    for (center, width) in [
        ("1000\\40", "2001\\400"),
        ("1000\\40\\50", "2001\\400"),
        ("\\1000", "\\2001"),
        ("1\\1000", "0\\2001"),
        (" 1000 ", "2001.0 "),
        ("1000,0", "2,001e3"),
    ] {
        let mut file = File::row(12, &[0, 1000, 2000]);
        file.window(center, width);
        assert_eq!(file.grey(), expected, "{center} {width}");
    }
}

#[test]
fn a_window_that_is_none_is_as_no_window() {
    let film: Vec<u16> = (0..1000).collect();
    let without = File::row(12, &film).grey();
    for (center, width) in [
        ("1", "0"),
        ("0", "0"),
        ("500", "1"),
        ("500", "-3"),
        ("", ""),
        ("x", "y"),
        ("nan", "inf"),
        ("500", ""),
    ] {
        let mut file = File::row(12, &film);
        file.window(center, width);
        assert_eq!(file.grey(), without, "{center} {width}");
    }
}

#[test]
fn without_a_window_percentiles_become_those_of_the_training_pictures() {
    // Ten marks of 4095 among 10,000 pixels are white, and flatten nothing.
    let mut film: Vec<u16> = (0..10_000).map(|i| 600 + (i % 1000) as u16).collect();
    film[..10].fill(4095);
    let grey = File::chest(100, 100, 12, &film).grey();
    assert_eq!(grey[0], 255);
    let at = |value: usize| grey[1000 + value];
    for (value, expected) in [(0, 3), (5, 4), (500, 106), (995, 208), (999, 209)] {
        assert!(at(value).abs_diff(expected) <= 1, "{value}: {}", at(value));
    }
    // It is the same for a film that is brighter as a whole, or of other steps.
    let shifted: Vec<u16> = film.iter().map(|sample| (sample + 900).min(4095)).collect();
    assert_eq!(File::chest(100, 100, 12, &shifted).grey(), grey);
    let stretched: Vec<u16> = film.iter().map(|sample| sample * 4).collect();
    assert_eq!(File::chest(100, 100, 14, &stretched).grey(), grey);
}

#[test]
fn eight_bits_without_a_window_are_as_those_of_a_jpeg() {
    let samples: Vec<u16> = (40..=200).collect();
    let grey = File::row(8, &samples).grey();
    assert!(grey.iter().map(|pixel| u16::from(*pixel)).eq(samples));
}

#[test]
fn a_threshold_is_passed_over_for_the_next_window() {
    let mut file = File::row(12, &[0, 1000, 2000, 4095]);
    file.window("2048", "4096");
    let expected = file.grey();
    file.window("1\\2048", "1\\4096");
    assert_eq!(file.grey(), expected);
}
