//! Pixels that are not read, and sizes that are checked before anything is allocated.

use lobar_core::image::Reason;

use crate::file::{File, PIXELS, Value};

const SAMPLES_PER_PIXEL: (u16, u16) = (0x0028, 0x0002);
const PHOTOMETRIC: (u16, u16) = (0x0028, 0x0004);
const FRAMES: (u16, u16) = (0x0028, 0x0008);

fn file() -> File {
    File::row(8, &[0, 100, 200, 7])
}

#[track_caller]
fn reason(file: &File) -> Reason {
    file.refused().0
}

#[test]
fn a_palette_is_refused() {
    let mut file = file();
    file.text(PHOTOMETRIC, b"CS", "PALETTE COLOR");
    let (reason, detail) = file.refused();
    assert!(reason == Reason::UnsupportedPixels && detail.contains("PALETTE COLOR"), "{detail}");
    file.text(PHOTOMETRIC, b"CS", "SECRET");
    assert_eq!(file.refused().0, Reason::UnsupportedPixels);
}

#[test]
fn colour_is_read_where_it_is_grey_and_refused_elsewhere() {
    let mut file = file();
    let colour = |file: &mut File, planar: u16, samples: &[u8]| {
        file.short(SAMPLES_PER_PIXEL, 3)
            .short((0x0028, 0x0006), planar)
            .short((0x0028, 0x0011), samples.len() as u16 / 3)
            .set(PIXELS, b"OB", Value::Bytes(samples.to_vec()));
    };
    file.text(PHOTOMETRIC, b"CS", "RGB");
    colour(&mut file, 0, &[9, 9, 9, 200, 200, 200]);
    assert_eq!(file.grey(), [9, 200]);
    colour(&mut file, 1, &[9, 200, 9, 200, 9, 200]);
    assert_eq!(file.grey(), [9, 200], "by planes");
    colour(&mut file, 0, &[9, 9, 9, 200, 100, 200]);
    assert_eq!(reason(&file), Reason::ColourPhotograph);
    file.text(PHOTOMETRIC, b"CS", "YBR_FULL");
    colour(&mut file, 0, &[9, 128, 128, 200, 128, 128]);
    assert_eq!(file.grey(), [9, 200]);
    colour(&mut file, 0, &[9, 128, 128, 200, 128, 50]);
    assert_eq!(reason(&file), Reason::ColourPhotograph);
}

#[test]
fn pixels_of_other_depths_and_floating_point_are_refused() {
    for allocated in [1, 12, 24, 32, 64] {
        let mut file = file();
        file.short((0x0028, 0x0100), allocated);
        let (reason, detail) = file.refused();
        assert!(reason == Reason::UnsupportedPixels && detail.contains("(0028,0100)"), "{detail}");
    }
    for tag in [(0x7fe0, 0x0008), (0x7fe0, 0x0009)] {
        let mut file = file();
        file.remove(PIXELS).set(tag, b"OB", Value::Bytes(vec![0; 16]));
        assert_eq!(reason(&file), Reason::UnsupportedPixels);
    }
    let mut file = file();
    file.short((0x0028, 0x0101), 9);
    assert_eq!(reason(&file), Reason::Undecodable, "9 bits stored of 8");
}

#[test]
fn several_frames_are_refused_and_a_wrong_number_of_one_is_not() {
    let mut file = file();
    for (frames, ends) in
        [("1", true), ("0", true), ("", true), ("x", true), ("2", false), ("3", false)]
    {
        file.text(FRAMES, b"IS", frames);
        assert_eq!(file.decode().is_ok(), ends, "{frames}");
    }
    let (reason, detail) = file.refused();
    assert!(
        reason == Reason::UnsupportedPixels && detail.contains("NumberOfFrames (0028,0008) is 3")
    );
}

#[test]
fn what_is_missing_is_named() {
    for (tag, name) in [
        (PIXELS, "(7FE0,0010)"),
        (PHOTOMETRIC, "(0028,0004)"),
        ((0x0028, 0x0010), "(0028,0010)"),
        ((0x0028, 0x0011), "(0028,0011)"),
        ((0x0028, 0x0100), "(0028,0100)"),
    ] {
        let mut file = file();
        file.remove(tag);
        let (reason, detail) = file.refused();
        assert!(reason == Reason::Undecodable && detail.contains(name), "{detail}");
    }
}

#[test]
fn fewer_pixels_than_rows_and_columns_say_are_refused() {
    let mut file = file();
    file.short((0x0028, 0x0010), 2);
    assert_eq!(reason(&file), Reason::Undecodable);
    file.short((0x0028, 0x0010), 0);
    assert_eq!(reason(&file), Reason::Undecodable);
}

#[test]
fn a_huge_picture_is_refused_before_it_is_allocated() {
    let mut file = file();
    for (rows, columns) in [(65_535, 65_535), (20_001, 1), (8_001, 8_000)] {
        file.short((0x0028, 0x0010), rows).short((0x0028, 0x0011), columns);
        assert_eq!(reason(&file), Reason::TooManyPixels);
    }
}

#[test]
fn signed_pixels_in_an_unsigned_code_stream_are_read_as_those_without_a_codec() {
    use crate::fixture::fixture;
    let signed = |name: &str| {
        let mut bytes = fixture(name);
        let tag = [0x28, 0, 3, 1, b'U', b'S', 2, 0];
        let at = bytes.windows(8).position(|window| window == tag).unwrap();
        bytes[at + 8] = 1;
        lobar_imaging::decode(&bytes, &lobar_imaging::Limits::default()).unwrap().pixels
    };
    assert_eq!(signed("dicom/jpeg_2000_12.dcm"), signed("native_12.dcm"));
}

#[test]
fn what_a_codec_made_rgb_is_grey_only_where_its_samples_are_equal() {
    let mut file = File::chest(1, 1, 8, &[200, 128, 128]);
    file.short((0x0028, 0x0002), 3).text((0x0028, 0x0004), b"CS", "YBR_FULL");
    assert_eq!(file.grey(), [200]);
    for transform in ["YBR_RCT", "YBR_ICT"] {
        file.text((0x0028, 0x0004), b"CS", transform);
        assert_eq!(file.refused().0, Reason::ColourPhotograph);
    }
}
