//! Files that are broken, cut short, lying about their size, or made to hurt.

mod fixture;

use fixture::{FIXTURES, crc32, fixture, grey_png, texture};
use lobar_core::image::Reason;
use lobar_imaging::{Limits, Rejection, decode, prepare};

fn reason(bytes: &[u8]) -> Reason {
    decode(bytes, &Limits::default()).expect_err("this must be refused").reason
}

#[test]
fn nothing_is_read_from_a_file_that_is_cut_short_anywhere() {
    for name in FIXTURES {
        let whole = fixture(name);
        for len in 1..whole.len() {
            let read = decode(&whole[..len], &Limits::default());
            if name.ends_with(".dcm") && len + 9 >= whole.len() {
                // Behind the last byte of the pixels stand padding and a delimiter at most.
                continue;
            }
            let refused = read.expect_err(&format!("{name} cut to {len} of {}", whole.len()));
            // Before the signature is complete it is not known to be an image.
            let signature = if name.ends_with(".dcm") { 132 } else { 8 };
            let early = len < signature && refused.reason == Reason::NotAnImage;
            assert!(early || refused.reason == Reason::Undecodable, "{name} {len}: {refused}");
        }
        assert!(decode(&whole, &Limits::default()).is_ok(), "{name}");
    }
}

#[test]
fn a_scan_cut_short_is_refused_even_with_an_end_marker_glued_on() {
    // Decoders fill the rest with grey here: half a picture as if it were whole.
    for name in [
        "grey.jpg",
        "grey_restarts.jpg",
        "colour_444.jpg",
        "colour_420.jpg",
        "cmyk.jpg",
        "ycck.jpg",
    ] {
        let whole = fixture(name);
        let scan = 10 + whole.windows(2).rposition(|w| w == [0xff, 0xda]).unwrap();
        let cuts = scan + 4..whole.len() - 4;
        assert!(cuts.len() > 500);
        for len in cuts {
            let mut glued = whole[..len].to_vec();
            // Cut within an escape or marker, the glued bytes would mean something else.
            while glued.last() == Some(&0xff) {
                glued.pop();
            }
            glued.extend([0xff, 0xd9]);
            let refused = decode(&glued, &Limits::default());
            assert!(refused.is_err(), "{name} cut to {len} of {}", whole.len());
        }
    }
}

#[test]
fn zero_bytes_and_other_kinds_of_file_have_reasons_of_their_own() {
    assert_eq!(reason(b""), Reason::Empty);
    assert_eq!(reason(b"%PDF-1.7 ..."), Reason::NotAnImage);
    assert_eq!(reason(b"hello"), Reason::NotAnImage);
    assert_eq!(reason(&[0; 4096]), Reason::NotAnImage);
    assert_eq!(reason(b"GIF89a\x01\0\x01\0"), Reason::UnsupportedFormat);
    let mut dicom = vec![0; 128];
    dicom.extend(b"DICM");
    assert_eq!(reason(&dicom), Reason::Undecodable);
    assert_eq!(reason(b"\xff\xd8\xff"), Reason::Undecodable);
    assert_eq!(reason(b"\x89PNG\r\n\x1a\n"), Reason::Undecodable);
}

#[test]
fn the_bytes_decide_and_not_what_a_file_calls_itself() {
    // There is no name to look at: a PNG is a PNG in whatever was uploaded as .jpg.
    assert!(decode(&fixture("interlaced_grey.png"), &Limits::default()).is_ok());
}

#[test]
fn more_bytes_than_the_limit_are_refused_before_they_are_looked_at() {
    let limits = Limits { max_bytes: 3, ..Limits::default() };
    assert_eq!(decode(b"1234", &limits).unwrap_err().reason, Reason::TooLarge);
    assert_eq!(decode(b"123", &limits).unwrap_err().reason, Reason::NotAnImage);
}

/// A PNG header that claims a size, over next to no data.
fn claiming_png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = grey_png(1, 1, &[0]);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn claiming_jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = fixture("grey.jpg");
    let sof = bytes.windows(2).position(|w| w == [0xff, 0xc0]).expect("a frame");
    bytes[sof + 5..sof + 7].copy_from_slice(&height.to_be_bytes());
    bytes[sof + 7..sof + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

#[test]
fn a_huge_picture_is_refused_from_its_header() {
    for (width, height) in
        [(30_000, 30_000), (20_001, 10), (8_001, 8_000), (u32::MAX >> 1, u32::MAX >> 1)]
    {
        assert_eq!(reason(&claiming_png(width, height)), Reason::TooManyPixels);
    }
    for (width, height) in [(30_000, 30_000), (65_535, 65_535), (20_001, 10)] {
        assert_eq!(reason(&claiming_jpeg(width, height)), Reason::TooManyPixels);
    }
    assert_eq!(reason(&claiming_png(0, 5)), Reason::Undecodable);
    assert_eq!(reason(&claiming_jpeg(5, 0)), Reason::Undecodable);
}

#[test]
fn a_picture_that_says_more_pixels_than_it_holds_is_undecodable() {
    for (width, height) in [(72, 64), (73, 56), (80, 56), (2000, 1000), (8000, 8000)] {
        assert_eq!(reason(&claiming_jpeg(width, height)), Reason::Undecodable, "{width}×{height}");
    }
    assert_eq!(reason(&claiming_png(1, 2)), Reason::Undecodable);
    assert_eq!(reason(&claiming_png(8000, 8000)), Reason::Undecodable);
}

/// Marsaglia's xorshift: the same files on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn damaged_files_give_a_picture_of_the_right_size_or_a_reason() {
    let limits = Limits { max_pixels: 4_000_000, ..Limits::default() };
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut files: Vec<Vec<u8>> = FIXTURES.iter().map(|name| fixture(name)).collect();
    files.push(grey_png(130, 110, &texture(130, 110)));
    let (mut pictures, mut refusals) = (0, 0);
    for round in 0..6_000 {
        let mut bytes = files[round % files.len()].clone();
        for _ in 0..=random.below(6) {
            let at = random.below(bytes.len());
            match random.below(5) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, 0xd9, 0xda][random.below(7)],
                2 => drop(bytes.drain(at..(at + 1 + random.below(16)).min(bytes.len()))),
                3 => bytes.insert(at, random.below(256) as u8),
                _ => {
                    let piece = bytes[at..(at + 32).min(bytes.len())].to_vec();
                    let to = random.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        match decode(&bytes, &limits) {
            Ok(radiograph) => {
                pictures += 1;
                let pixels = u64::from(radiograph.width) * u64::from(radiograph.height);
                assert_eq!(radiograph.pixels.len() as u64, pixels);
                assert!(pixels <= limits.max_pixels);
            }
            Err(Rejection { detail, .. }) => {
                refusals += 1;
                assert!(detail.len() < 400, "{detail}");
            }
        }
        let _ = prepare(&bytes, &limits);
    }
    assert!(pictures > 100 && refusals > 1_000, "{pictures} pictures, {refusals} refusals");
}
