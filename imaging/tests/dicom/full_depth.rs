//! Pixels at full depth, and what the file says of how they are looked at and measured.

use lobar_imaging::{Curve, FullDepth, Limits, Origin, Plane, Samples, Spacing, decode_full_depth};

use crate::file::{File, Value, text};

const FUNCTION: (u16, u16) = (0x0028, 0x1056);
const PHOTOMETRIC: (u16, u16) = (0x0028, 0x0004);
const INTERCEPT: (u16, u16) = (0x0028, 0x1052);
const SLOPE: (u16, u16) = (0x0028, 0x1053);
const SIGNED: (u16, u16) = (0x0028, 0x0103);
const SHAPE: (u16, u16) = (0x2050, 0x0020);

fn full(file: &File) -> FullDepth {
    decode_full_depth(&file.bytes(), &Limits::default()).unwrap()
}

fn samples(full: &FullDepth) -> Vec<u16> {
    match &full.samples {
        Samples::Eight(samples) => samples.iter().map(|sample| u16::from(*sample)).collect(),
        Samples::Sixteen(samples) => samples.clone(),
    }
}

/// What a viewer makes of a sample.
fn grey(curve: &Curve, sample: u16) -> u8 {
    let sample = f32::from(sample);
    let share = match curve {
        Curve::Linear { black, white } => (sample - black) / (white - black),
        Curve::Sigmoid { center, width } => 1.0 / (1.0 + (-4.0 * (sample - center) / width).exp()),
        Curve::Table(greys) => return greys[(sample as usize).min(greys.len() - 1)],
    };
    (share * 255.0 + 0.5) as u8
}

/// The picture for people is what the first window makes of the samples.
#[track_caller]
fn agrees(file: &File, what: &str) {
    let full = full(file);
    let seen: Vec<u8> =
        samples(&full).into_iter().map(|sample| grey(&full.windows[0].curve, sample)).collect();
    for (ours, theirs) in seen.iter().zip(file.grey()) {
        assert!(ours.abs_diff(theirs) <= 1, "{what}: {seen:?} {:?}", file.grey());
    }
}

#[test]
fn twelve_bits_stay_and_the_file_s_own_windows_come_first() {
    let mut file = File::row(12, &[0, 7, 2048, 4095]);
    file.window("2048\\300", "4096\\400").text((0x0028, 0x1055), b"LO", "WIDE\\BONE");
    let full = full(&file);
    assert_eq!((samples(&full), full.top), (vec![0, 7, 2048, 4095], 4095));
    let names: Vec<_> =
        full.windows.iter().map(|window| (window.origin, window.explanation.as_deref())).collect();
    assert_eq!(names[..2], [(Origin::File, Some("WIDE")), (Origin::File, Some("BONE"))]);
    assert_eq!(names.last(), Some(&(Origin::Range, None)));
    assert_eq!(full.windows[1].curve, Curve::Linear { black: 100.0, white: 499.0 });
}

#[test]
fn the_first_window_makes_the_picture_for_people_whatever_the_file_says_of_its_values() {
    let film: Vec<u16> = (0..600).map(|n| 40 + n * 6).collect();
    let plain = File::row(12, &film);
    agrees(&plain, "no window");
    let mut windowed = plain.clone();
    windowed.window("1800", "2500");
    agrees(&windowed, "a window");
    let mut changed = windowed.clone();
    agrees(changed.text(FUNCTION, b"CS", "SIGMOID"), "a sigmoid");
    agrees(changed.text(PHOTOMETRIC, b"CS", "MONOCHROME1"), "an inverted sigmoid");
    let mut changed = windowed.clone();
    agrees(changed.text(PHOTOMETRIC, b"CS", "MONOCHROME1"), "inverted");
    agrees(changed.text(SLOPE, b"DS", "-0.5").text(INTERCEPT, b"DS", "2000"), "both");
    agrees(changed.text(PHOTOMETRIC, b"CS", "MONOCHROME2"), "a falling slope");
    agrees(changed.text(SHAPE, b"CS", "INVERSE"), "and an inverse shape");
    let mut changed = plain.clone();
    agrees(changed.text(PHOTOMETRIC, b"CS", "MONOCHROME1"), "inverted without a window");
    agrees(changed.short(SIGNED, 1), "signed");
    let eight = File::row(8, &[0, 3, 128, 255]);
    agrees(&eight, "8 bits");
    let mut changed = eight.clone();
    agrees(changed.text(PHOTOMETRIC, b"CS", "MONOCHROME1"), "8 bits, inverted");
    // Four entries from 1000 on, of 8 bits.
    let table = vec![
        ((0x0028, 0x3002), *b"US", Value::Shorts(vec![4, 1000, 8])),
        ((0x0028, 0x3003), *b"LO", text("STEPS")),
        ((0x0028, 0x3006), *b"OW", Value::Shorts(vec![0, 50, 100, 255])),
    ];
    let mut changed = plain;
    agrees(changed.set((0x0028, 0x3010), b"SQ", Value::Items(vec![table])), "a table");
    let with_table = full(&changed);
    assert_eq!(with_table.windows[0].explanation.as_deref(), Some("STEPS"));
    agrees(changed.text(PHOTOMETRIC, b"CS", "MONOCHROME1"), "an inverted table");
}

#[test]
fn more_is_brighter_and_the_scale_leads_back_to_the_file_s_own_numbers() {
    let stored = [0u16, 100, 4095];
    for (photometric, slope) in
        [("MONOCHROME2", "2"), ("MONOCHROME2", "-2"), ("MONOCHROME1", "2"), ("MONOCHROME1", "-2")]
    {
        let mut file = File::row(12, &stored);
        file.text(PHOTOMETRIC, b"CS", photometric)
            .text(SLOPE, b"DS", slope)
            .text(INTERCEPT, b"DS", "-10");
        let full = full(&file);
        let slope: f32 = slope.parse().unwrap();
        for (sample, stored) in samples(&full).into_iter().zip(stored) {
            let value = f32::from(sample) * full.scale.slope + full.scale.intercept;
            assert_eq!(value, f32::from(stored) * slope - 10.0, "{photometric} {slope}");
        }
        let brighter_with_value = photometric == "MONOCHROME2";
        assert_eq!(full.scale.slope > 0.0, brighter_with_value, "{photometric} {slope}");
    }
}

#[test]
fn padding_is_black_and_no_part_of_what_the_samples_span() {
    let mut film: Vec<u16> = (1000..2000).collect();
    film.extend([4000; 500]);
    let mut file = File::row(12, &film);
    file.short((0x0028, 0x0120), 4000);
    let padded = full(&file);
    assert_eq!(samples(&padded)[1000..], [0; 500]);
    agrees(&file, "padding");
    let spread = padded.windows.iter().find(|window| window.origin == Origin::Bright).unwrap();
    assert!(matches!(spread.curve, Curve::Linear { white, .. } if white < 2000.0), "{spread:?}");
}

#[test]
fn distances_are_those_of_the_detector_unless_the_file_says_that_they_were_corrected() {
    const IMAGER: (u16, u16) = (0x0018, 0x1164);
    const OWN: (u16, u16) = (0x0028, 0x0030);
    const CALIBRATION: (u16, u16) = (0x0028, 0x0a02);
    const SCANNED: (u16, u16) = (0x0018, 0x2010);
    let spaced = |set: &[((u16, u16), &str)]| {
        let mut file = File::row(12, &[0, 1]);
        for (tag, value) in set {
            let vr = if *tag == CALIBRATION { b"CS" } else { b"DS" };
            file.text(*tag, vr, value);
        }
        full(&file).spacing
    };
    let said = |rows, columns, plane| Some(Spacing { rows, columns, plane, magnification: None });
    assert_eq!(spaced(&[]), None);
    assert_eq!(spaced(&[(IMAGER, "0.2\\0.1")]), said(0.2, 0.1, Plane::Detector));
    let same = [(IMAGER, "0.2\\0.2"), (OWN, "0.2\\0.2")];
    assert_eq!(spaced(&same), said(0.2, 0.2, Plane::Detector));
    let other = [(IMAGER, "0.2\\0.2"), (OWN, "0.18\\0.18")];
    assert_eq!(spaced(&other), said(0.18, 0.18, Plane::Patient));
    assert_eq!(spaced(&[(OWN, "0.2\\0.2")]), said(0.2, 0.2, Plane::Unknown));
    let fiducial = [(OWN, "0.2\\0.2"), (CALIBRATION, "FIDUCIAL")];
    assert_eq!(spaced(&fiducial), said(0.2, 0.2, Plane::Patient));
    assert_eq!(spaced(&[(SCANNED, "0.2\\0.2")]), said(0.2, 0.2, Plane::Film));
    for none in ["0.2", "0\\0.2", "-1\\1", "nan\\1", "100\\100", ""] {
        assert_eq!(spaced(&[(IMAGER, none)]), None, "{none}");
    }
    let magnified = spaced(&[(IMAGER, "0.2\\0.2"), ((0x0018, 0x1114), "1.1")]);
    assert_eq!(magnified.and_then(|spacing| spacing.magnification), Some(1.1));
}

#[test]
fn the_sides_of_the_patient_are_told_where_the_file_names_them() {
    let sides = |orientation: &str, laterality: &str| {
        let mut file = File::row(12, &[0, 1]);
        file.text((0x0020, 0x0020), b"CS", orientation);
        file.text((0x0020, 0x0062), b"CS", laterality);
        let full = full(&file);
        (full.orientation, full.laterality)
    };
    assert_eq!(sides("L\\F", "U"), (Some(["L".into(), "F".into()]), Some('U')));
    assert_eq!(sides("L", ""), (None, None));
    assert_eq!(sides("SECRET\\F", "SECRET"), (None, None));
}
