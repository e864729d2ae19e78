//! Every transfer syntax: its pixels against what others read from them, and refusals by name.

use lobar_core::image::Reason;
use lobar_imaging::{Limits, Warning, decode};

use crate::file::{EXPLICIT, File, PIXELS, Value};
use crate::fixture::{fixture, grey_of};

/// Files of `fixtures/dicom`, and how many grey levels a pixel may differ.
const COMPRESSED: [(&str, u8); 22] = [
    ("baseline", 1),
    ("extended_8", 1),
    ("lossless_predictor_1", 0),
    ("lossless_predictor_2", 0),
    ("lossless_predictor_3", 0),
    ("lossless_predictor_4", 0),
    ("lossless_predictor_5", 0),
    ("lossless_predictor_6", 0),
    ("lossless_predictor_7", 0),
    ("lossless_point_transform", 0),
    ("lossless_fragments", 0),
    ("jpeg_ls_8", 0),
    ("jpeg_ls_12", 0),
    ("jpeg_ls_near", 0),
    ("jpeg_ls_6_in_16", 0),
    ("jpeg_2000_8", 0),
    ("jpeg_2000_12", 0),
    ("jpeg_2000_lossy", 1),
    ("jpeg_2000_boxes", 0),
    ("jpeg_2000_fragments", 0),
    ("htj2k", 0),
    ("rle_fragments", 0),
];

#[test]
fn every_compression_gives_the_pixels_that_others_read() {
    for (name, tolerance) in COMPRESSED {
        let name = format!("dicom/{name}.dcm");
        let read = decode(&fixture(&name), &Limits::default());
        let read = read.unwrap_or_else(|refused| panic!("{name}: {refused}"));
        assert_eq!((read.width, read.height), (72, 56), "{name}");
        let expected = grey_of(&name);
        let most = read.pixels.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(most <= Some(tolerance), "{name}: {most:?}");
        assert!(!read.warnings.contains(&Warning::Mislabelled), "{name}");
    }
}

#[test]
fn every_compressed_file_is_listed() {
    let folder = format!("{}/tests/fixtures/dicom", env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = name.strip_suffix(".dcm") else { continue };
        let listed = COMPRESSED.iter().any(|(listed, _)| *listed == name);
        assert!(listed || name == "extended_12", "{name}");
    }
}

#[test]
fn no_compressed_file_cut_short_gives_a_picture() {
    for (name, _) in COMPRESSED {
        let whole = fixture(&format!("dicom/{name}.dcm"));
        for eighth in 4..8 {
            let cut = decode(&whole[..whole.len() * eighth / 8], &Limits::default());
            assert!(cut.is_err(), "{name} {eighth}/8");
        }
    }
}

#[test]
fn jpeg_of_12_bits_by_cosine_transform_is_refused_by_name() {
    let refused = decode(&fixture("dicom/extended_12.dcm"), &Limits::default()).unwrap_err();
    assert_eq!(refused.reason, Reason::UnsupportedTransferSyntax);
    assert!(refused.detail.contains("JPEG Extended") && refused.detail.contains("12"), "{refused}");
}

fn encapsulated(syntax: &str, fragments: Vec<Vec<u8>>) -> File {
    let mut file = File::row(8, &[0, 100, 200, 255]);
    file.transfer_syntax = Some(syntax.into());
    file.set(PIXELS, b"OB", Value::Fragments(fragments));
    file
}

#[test]
fn transfer_syntaxes_that_are_not_read_are_refused_by_uid_and_name() {
    for (uid, name) in [
        ("1.2.840.10008.1.2.4.100", "MPEG2"),
        ("1.2.840.10008.1.2.4.110", "JPEG XL"),
        ("1.2.840.10008.1.2.4.92", "Part 2"),
        ("1.2.840.10008.1.2.99", ""),
    ] {
        let (reason, detail) = encapsulated(uid, vec![vec![0; 64]]).refused();
        assert_eq!(reason, Reason::UnsupportedTransferSyntax);
        assert!(detail.contains(uid) && detail.contains(name), "{detail}");
    }
    let (reason, detail) = encapsulated("1.3.6.1.77.8", vec![vec![0; 64]]).refused();
    assert!(reason == Reason::UnsupportedTransferSyntax && !detail.contains("77"), "{detail}");
}

#[test]
fn uncompressed_and_deflated_fragments_are_read() {
    let pixels = vec![0, 100, 200, 255];
    let whole = encapsulated("1.2.840.10008.1.2.1.98", vec![pixels.clone()]);
    assert_eq!(whole.grey(), pixels);
    let parts = encapsulated("1.2.840.10008.1.2.1.98", vec![vec![0, 100], vec![200, 255]]);
    assert_eq!(parts.grey(), pixels);
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &pixels).unwrap();
    let deflated = encoder.finish().unwrap();
    assert_eq!(encapsulated("1.2.840.10008.1.2.8.1", vec![deflated]).grey(), pixels);
}

#[test]
fn a_transfer_syntax_that_lies_is_told_and_the_bytes_are_read() {
    let whole = fixture("lossless_12.dcm");
    let expected = grey_of("lossless_12.dcm");
    let relabelled = |uid: &str| {
        let mut bytes = whole.clone();
        let at = bytes.windows(22).position(|window| window == b"1.2.840.10008.1.2.4.70").unwrap();
        bytes[at..at + 22].copy_from_slice(uid.as_bytes());
        decode(&bytes, &Limits::default()).unwrap()
    };
    // JPEG-LS, JPEG 2000, native.
    for uid in ["1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.1\0\0\0"] {
        let read = relabelled(uid);
        assert_eq!(read.pixels, expected, "{uid}");
        assert!(read.warnings.contains(&Warning::Mislabelled), "{uid}");
    }
    // Which of the JPEG processes is told by its own header anyway.
    assert!(!relabelled("1.2.840.10008.1.2.4.50").warnings.contains(&Warning::Mislabelled));
    // Compressed, it says, and is not.
    let mut native = File::row(8, &[0, 100, 200]);
    native.transfer_syntax = Some("1.2.840.10008.1.2.4.90".into());
    let read = native.decode().unwrap();
    assert_eq!(read.pixels, [0, 100, 200]);
    assert!(read.warnings.contains(&Warning::Mislabelled));
    assert!(!File::row(8, &[0]).decode().unwrap().warnings.contains(&Warning::Mislabelled));
    assert_eq!(File::row(8, &[0]).transfer_syntax.as_deref(), Some(EXPLICIT));
}

#[test]
fn a_compressed_picture_of_another_size_is_refused() {
    for name in [
        "lossless_12.dcm",
        "rle_12.dcm",
        "dicom/baseline.dcm",
        "dicom/jpeg_ls_12.dcm",
        "dicom/jpeg_2000_12.dcm",
    ] {
        let mut bytes = fixture(name);
        // Rows, 56.
        let at = bytes.windows(8).position(|w| w == [0x28, 0, 0x10, 0, b'U', b'S', 2, 0]).unwrap();
        for rows in [55u16, 57, 5_000] {
            bytes[at + 8..at + 10].copy_from_slice(&rows.to_le_bytes());
            let read = decode(&bytes, &Limits::default());
            // RLE has no size of its own: what is too much is not looked at.
            assert!(read.is_err() || name.starts_with("rle") && rows == 55, "{name} {rows}");
        }
    }
}

/// An RLE frame of these segments.
fn rle(segments: &[&[u8]]) -> Vec<u8> {
    let mut header = vec![segments.len() as u32];
    let mut at = 64;
    for segment in segments {
        header.push(at);
        at += segment.len() as u32;
    }
    header.resize(16, 0);
    header.iter().flat_map(|number| number.to_le_bytes()).chain(segments.concat()).collect()
}

#[test]
fn rle_is_read_within_its_bounds_only() {
    const RLE: &str = "1.2.840.10008.1.2.5";
    let file = |frame: Vec<u8>| encapsulated(RLE, vec![frame]);
    // A literal run of two, a run of two, and one that does nothing.
    assert_eq!(file(rle(&[&[1, 0, 100, 0x80, 0xff, 200]])).grey(), [0, 100, 200, 200]);
    // More than the picture takes.
    assert_eq!(file(rle(&[&[0x81, 7]])).grey(), [7; 4]);
    let cut = |bytes: &[u8]| file(rle(&[bytes])).refused().0;
    assert_eq!(cut(&[1, 0]), Reason::Undecodable);
    assert_eq!(cut(&[]), Reason::Undecodable);
    assert_eq!(cut(&[0x80; 1000]), Reason::Undecodable);
    assert_eq!(
        file(rle(&[&[0x81, 7], &[0x81, 7]])).refused().0,
        Reason::Undecodable,
        "two segments"
    );
    for (index, number) in [(0, 0), (0, 16), (0, u32::MAX), (1, 63), (1, 1000), (1, u32::MAX)] {
        let mut frame = rle(&[&[0x81, 7]]);
        frame[index * 4..index * 4 + 4].copy_from_slice(&number.to_le_bytes());
        assert_eq!(file(frame).refused().0, Reason::Undecodable, "{index} {number}");
    }
    assert_eq!(file(vec![0; 10]).refused().0, Reason::Undecodable);
    assert_eq!(encapsulated(RLE, vec![]).refused().0, Reason::Undecodable);
}

#[test]
fn the_transfer_syntaxes_of_the_documentation_are_those_of_the_code() {
    let page = format!("{}/../docs/dicom.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `1.2.840.10008.1.2")?.split('|').map(str::trim);
        let uid = format!("1.2.840.10008.1.2{}", cells.next()?.trim_end_matches('`'));
        Some((uid, cells.next()?.to_owned(), cells.next()? == "read"))
    });
    let told: Vec<(String, String, bool)> = rows.collect();
    let known: Vec<(String, String, bool)> = lobar_imaging::transfer_syntaxes()
        .map(|(uid, name, read)| (uid.to_owned(), name.to_owned(), read))
        .collect();
    assert_eq!(told, known);
}

#[test]
fn uncompressed_pixels_of_an_unknown_transfer_syntax_are_refused() {
    let mut file = File::row(12, &[0, 100, 200, 255]);
    // Implicit VR with pixels in big endian.
    file.transfer_syntax = Some("1.2.840.113619.5.2".into());
    let (reason, detail) = file.refused();
    assert!(reason == Reason::UnsupportedTransferSyntax && !detail.contains("113619"), "{detail}");
}
