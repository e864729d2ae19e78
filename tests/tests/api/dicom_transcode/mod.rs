//! WADO-RS of instances whose pixels are compressed: uncompressed, as a client has them that names no transfer syntax
//! (PS3.18, 8.7.3.5.2), against what DCMTK reads of the same files.

mod apart;
mod image;
mod made;

use std::collections::BTreeSet;

use dicom_dictionary_std::tags;
use dicom_object::DefaultDicomObject;
use lobar_tests::kit::workspace;
use serde_json::json;

use self::image::{
    COLOUR, EXPLICIT, FRAMES, GREY_8, GREY_12, GREY_16, HEIGHT, Kind, SIGNED, WIDTH, by, dump,
    together,
};
use crate::fixture::Fixture;
use crate::wado::{AS_STORED, PARTS, Place, of, opened, path, pixels, text};

const DICOM: &str = "application/dicom";
const OCTETS: &str = "multipart/related; type=\"application/octet-stream\"";

fn syntax(file: &DefaultDicomObject) -> String {
    file.meta().transfer_syntax().trim_end_matches('\0').to_owned()
}

/// A place for the n-th file of a test.
fn nth(n: usize) -> [String; 3] {
    [format!("1.2.7.{n}"), format!("1.2.7.{n}.1"), format!("1.2.7.{n}.1.1")]
}

fn place(uids: &[String; 3]) -> Place<'_> {
    uids.each_ref().map(String::as_str)
}

/// A kind of pixels, the program that compresses them, the one that reads them back, and how much a sample may differ where
/// both had to decode a loss.
type Case = (Kind, &'static [&'static str], &'static [&'static str], u8);

const CASES: [Case; 21] = [
    (GREY_8, &["dcmcrle"], &["dcmdrle"], 0),
    (GREY_12, &["dcmcrle"], &["dcmdrle"], 0),
    (GREY_16, &["dcmcrle"], &["dcmdrle"], 0),
    (SIGNED, &["dcmcrle"], &["dcmdrle"], 0),
    (COLOUR, &["dcmcrle"], &["dcmdrle"], 0),
    (FRAMES, &["dcmcrle"], &["dcmdrle"], 0),
    (GREY_8, &["dcmcjpeg", "+e1"], &["dcmdjpeg"], 0),
    (GREY_12, &["dcmcjpeg", "+e1"], &["dcmdjpeg"], 0),
    (GREY_12, &["dcmcjpeg", "+el", "+sv", "5"], &["dcmdjpeg"], 0),
    (GREY_16, &["dcmcjpeg", "+e1"], &["dcmdjpeg"], 0),
    (SIGNED, &["dcmcjpeg", "+e1"], &["dcmdjpeg"], 0),
    (COLOUR, &["dcmcjpeg", "+e1"], &["dcmdjpeg"], 0),
    (FRAMES, &["dcmcjpeg", "+e1"], &["dcmdjpeg"], 0),
    (GREY_8, &["dcmcjpeg", "+eb", "+q", "95"], &["dcmdjpeg"], 1),
    (GREY_8, &["dcmcjpeg", "+ee", "+q", "95"], &["dcmdjpeg"], 1),
    (COLOUR, &["dcmcjpeg", "+eb", "+q", "95", "+s4"], &["dcmdjpeg"], 3),
    (GREY_8, &["dcmcjpls"], &["dcmdjpls"], 0),
    (GREY_12, &["dcmcjpls"], &["dcmdjpls"], 0),
    (GREY_16, &["dcmcjpls"], &["dcmdjpls"], 0),
    (SIGNED, &["dcmcjpls"], &["dcmdjpls"], 0),
    (GREY_12, &["dcmcjpls", "+en", "+md", "3"], &["dcmdjpls"], 0),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_dcmtk_compresses_is_given_uncompressed_with_the_pixels_that_dcmtk_reads() {
    let fixture = Fixture::open().await;
    let mut seen = BTreeSet::new();
    for (n, (kind, compress, decompress, tolerance)) in CASES.into_iter().enumerate() {
        let uids = nth(n);
        let place = place(&uids);
        let what = format!("{kind:?} by {compress:?}");
        let compressed = by(compress, &kind.native(place));
        let before = opened(&compressed);
        seen.insert(syntax(&before));
        // A program that gives a compressed picture another UID says so: the place is that of the file.
        let instance = text(&before, tags::SOP_INSTANCE_UID);
        let place = [place[0], place[1], instance.trim_end_matches('\0')];
        fixture.stored("north", &compressed, &of(place, &syntax(&before))).await;

        let answer = fixture.wado(&path(place), DICOM, None).await;
        assert_eq!((answer.status, answer.kind.as_str()), (200, DICOM), "{what}");
        let given = opened(&answer.body);
        assert_eq!(syntax(&given), EXPLICIT, "{what}");
        let expected = opened(&by(decompress, &compressed));
        let (own, theirs) = (pixels(&given), together(&expected));
        assert_eq!(own.len(), theirs.len(), "{what}");
        let most = own.iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(most <= Some(tolerance), "{what}: {most:?}");
        let said = |file: &DefaultDicomObject| {
            let element = file.element(tags::LOSSY_IMAGE_COMPRESSION).ok();
            element.and_then(|it| it.to_str().ok()).unwrap_or_default().trim().to_owned()
        };
        let is_lossless = said(&before) != "01";
        assert_eq!(said(&given) == "01", !is_lossless, "{what}");
        if is_lossless {
            assert!(own == kind.pixels(), "{what}: what was compressed");
        }
        // It is the same instance, and says of its pixels what is so.
        for tag in [
            tags::SOP_CLASS_UID,
            tags::SOP_INSTANCE_UID,
            tags::SERIES_INSTANCE_UID,
            tags::PHOTOMETRIC_INTERPRETATION,
            tags::PATIENT_NAME,
        ] {
            assert_eq!(text(&given, tag), text(&expected, tag), "{what} {tag}");
        }
        for tag in [
            tags::ROWS,
            tags::COLUMNS,
            tags::SAMPLES_PER_PIXEL,
            tags::BITS_ALLOCATED,
            tags::BITS_STORED,
            tags::HIGH_BIT,
            tags::PIXEL_REPRESENTATION,
        ] {
            let number = |file: &DefaultDicomObject| {
                file.element(tag).expect("there").to_int::<u16>().expect("a number")
            };
            assert_eq!(number(&given), number(&expected), "{what} {tag}");
        }
        assert!(dump(&answer.body).contains("PixelData"), "{what}");

        // In parts, and as it is stored.
        let parts = fixture.wado(&path(place), PARTS, None).await.parts();
        assert!(parts == [(DICOM.to_owned(), answer.body)], "{what}");
        let explicit = format!("{DICOM}; transfer-syntax={EXPLICIT}");
        assert!(fixture.wado(&path(place), &explicit, None).await.body == parts[0].1, "{what}");
        assert!(fixture.wado(&path(place), AS_STORED, None).await.parts()[0].1 == compressed);

        // The frames alone.
        let numbers: Vec<String> = (1..=kind.frames).map(|n| n.to_string()).collect();
        let frames = format!("{}/frames/{}", path(place), numbers.join(","));
        let parts = fixture.wado(&frames, OCTETS, None).await.parts();
        let kind_given = format!("application/octet-stream; transfer-syntax={EXPLICIT}");
        assert_eq!(parts.len(), kind.frames, "{what}");
        for (n, (kind_of_part, frame)) in parts.iter().enumerate() {
            assert_eq!(*kind_of_part, kind_given, "{what}");
            assert!(*frame == own[n * kind.frame()..(n + 1) * kind.frame()], "{what} frame {n}");
        }
        let last = format!("{}/frames/{}", path(place), kind.frames);
        let single = fixture.wado(&last, "application/octet-stream", None).await;
        assert!(single.body == parts[kind.frames - 1].1, "{what}");
        let beyond = format!("{}/frames/{}", path(place), kind.frames + 1);
        assert_eq!(fixture.wado(&beyond, OCTETS, None).await.status, 404, "{what}");
    }
    let written = ["5", "4.50", "4.51", "4.57", "4.70", "4.80", "4.81"];
    let written = written.map(|end| format!("1.2.840.10008.1.2.{end}"));
    assert_eq!(seen, written.into_iter().collect());
    fixture.stop().await;
}

/// The code stream of a film of 12 bits, compressed with JPEG 2000.
fn code_stream(name: &str) -> Vec<u8> {
    let file = std::fs::read(workspace().join("imaging/tests/fixtures/dicom").join(name));
    let file = file.expect("a fixture");
    let begin = file.windows(4).position(|it| it == [0xff, 0x4f, 0xff, 0x51]).expect("a stream");
    let end = file.windows(2).rposition(|it| it == [0xff, 0xd9]).expect("its end") + 2;
    file[begin..end].to_vec()
}

/// A frame in the deflate format, not compressed in it: a block (RFC 1951, 3.2.4).
fn deflated(pixels: &[u8]) -> Vec<u8> {
    let length = u16::try_from(pixels.len()).expect("short");
    [&[1][..], &length.to_le_bytes(), &(!length).to_le_bytes(), pixels].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_transfer_syntax_that_is_read_is_given_uncompressed_and_every_other_is_named() {
    let fixture = Fixture::open().await;
    let file = workspace().join("imaging/tests/fixtures/native_12.dcm");
    let film = std::fs::read(file).expect("a fixture");
    let film = &film[film.len() - 72 * 56 * 2..];
    let plain = GREY_12.pixels();
    let half = plain.len() / 2;
    let parts = vec![plain[..half].to_vec(), plain[half..].to_vec()];
    for (n, (uid, name, is_read)) in lobar_imaging::transfer_syntaxes().enumerate() {
        let uids = nth(n);
        let place = place(&uids);
        // Those that DCMTK writes are compared above.
        let (fragments, size, expected) = match uid.strip_prefix("1.2.840.10008.1.2") {
            Some("" | ".1" | ".2" | ".1.99") => continue,
            // Their data sets are deflated, which nothing here writes.
            Some(".4.95" | ".4.205") => continue,
            Some(".5" | ".4.50" | ".4.51" | ".4.57" | ".4.70" | ".4.80" | ".4.81") => continue,
            Some(".1.98") => (parts.clone(), (HEIGHT, WIDTH), &plain[..]),
            Some(".8.1") => (vec![deflated(&plain)], (HEIGHT, WIDTH), &plain[..]),
            Some(".4.90" | ".4.91") => (vec![code_stream("jpeg_2000_12.dcm")], (56, 72), film),
            Some(".4.201" | ".4.202" | ".4.203") => {
                (vec![code_stream("htj2k.dcm")], (56, 72), film)
            }
            _ => {
                assert!(!is_read, "{name}");
                (vec![vec![0; 64]], (HEIGHT, WIDTH), &[][..])
            }
        };
        let file = GREY_12.compressed(place, uid, fragments);
        let mut object = opened(&file);
        for (tag, side) in [(tags::ROWS, size.0), (tags::COLUMNS, size.1)] {
            let side = dicom_core::PrimitiveValue::from(side);
            object.put(dicom_core::DataElement::new(tag, dicom_core::VR::US, side));
        }
        let mut file = Vec::new();
        object.write_all(&mut file).expect("written");
        fixture.stored("north", &file, &of(place, uid)).await;
        let instance = fixture.wado(&path(place), DICOM, None).await;
        let frame = fixture.wado(&format!("{}/frames/1", path(place)), OCTETS, None).await;
        if is_read {
            assert_eq!((instance.status, frame.status), (200, 200), "{name}");
            assert!(pixels(&opened(&instance.body)) == expected, "{name}");
            assert!(frame.parts()[0].1 == expected, "{name}");
            let lossy = opened(&instance.body);
            let lossy = lossy.element(tags::LOSSY_IMAGE_COMPRESSION).is_ok();
            assert_eq!(lossy, [".91", ".203"].iter().any(|end| uid.ends_with(end)), "{name}");
        } else {
            for answer in [instance, frame] {
                assert_eq!(answer.status, 406, "{name}");
                let problem = answer.json();
                assert_eq!(problem["type"], "/problems/not-acceptable", "{name}");
                assert!(problem["detail"].as_str().is_some_and(|it| it.contains(uid)), "{problem}");
            }
        }
        let as_stored = fixture.wado(&path(place), AS_STORED, None).await;
        assert!(as_stored.parts()[0].1 == file, "{name}");
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_come_as_they_are_compressed_to_who_asks_for_that() {
    let fixture = Fixture::open().await;
    let uids = nth(0);
    let place = place(&uids);
    let compressed = by(&["dcmcjpeg", "+e1"], &GREY_12.native(place));
    let syntax = syntax(&opened(&compressed));
    fixture.stored("north", &compressed, &of(place, &syntax)).await;
    let frames = format!("{}/frames/1", path(place));
    let stored = opened(&compressed);
    let stored = stored.element(tags::PIXEL_DATA).expect("pixels").value().fragments();
    let stored = stored.expect("fragments").concat();
    for (accept, is_compressed) in [
        ("multipart/related; type=\"image/jpeg\"".to_owned(), true),
        (format!("{OCTETS}; transfer-syntax=*"), true),
        (format!("{OCTETS}; transfer-syntax={syntax}"), true),
        ("*/*".to_owned(), true),
        (OCTETS.to_owned(), false),
        (format!("{OCTETS}; transfer-syntax={EXPLICIT}"), false),
        // What is liked best.
        (format!("{OCTETS}; q=0.4, multipart/related; type=\"image/jpeg\"; q=0.6"), true),
        (format!("{OCTETS}; q=0.6, multipart/related; type=\"image/jpeg\"; q=0.4"), false),
    ] {
        let parts = fixture.wado(&frames, &accept, None).await.parts();
        let expected = match is_compressed {
            true => (format!("image/jpeg; transfer-syntax={syntax}"), stored.clone()),
            false => {
                let kind = format!("application/octet-stream; transfer-syntax={EXPLICIT}");
                (kind, GREY_12.pixels())
            }
        };
        assert!(parts == [expected], "{accept}");
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_study_of_several_compressions_is_given_in_one_and_what_cannot_be_is_refused_for_all() {
    let fixture = Fixture::open().await;
    let instances = ["1.2.8.1", "1.2.8.2", "1.2.8.3"].map(|it| ["1.2.8", "1.2.8.0", it]);
    let files = [
        GREY_12.native(instances[0]),
        by(&["dcmcrle"], &GREY_12.native(instances[1])),
        by(&["dcmcjpls"], &GREY_12.native(instances[2])),
    ];
    for (place, file) in instances.iter().zip(&files) {
        fixture.stored("north", file, &of(*place, &syntax(&opened(file)))).await;
    }
    let parts = fixture.wado("/dicom-web/studies/1.2.8", PARTS, None).await.parts();
    assert_eq!(parts.len(), 3);
    for (_, file) in &parts {
        assert!(pixels(&opened(file)) == GREY_12.pixels());
    }
    let video = ["1.2.8", "1.2.8.0", "1.2.8.4"];
    let mpeg = "1.2.840.10008.1.2.4.100";
    let file = GREY_8.compressed(video, mpeg, vec![vec![0; 8]]);
    fixture.stored("north", &file, &of(video, mpeg)).await;
    let refused = fixture.wado("/dicom-web/studies/1.2.8", PARTS, None).await;
    assert_eq!(refused.status, 406);
    assert!(refused.json()["detail"].as_str().is_some_and(|it| it.contains(mpeg)));
    assert_eq!(fixture.wado("/dicom-web/studies/1.2.8", AS_STORED, None).await.parts().len(), 4);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pixels_that_cannot_be_uncompressed_are_told_and_had_as_they_are_stored() {
    let fixture = Fixture::open().await;
    let rle = "1.2.840.10008.1.2.5";
    let damaged = |n: usize| GREY_12.compressed(place(&nth(n)), rle, vec![vec![0; 64]]);
    let many = Kind { frames: 2_000_000_000, ..GREY_12 };
    let twelve = by(&["dcmcjpeg", "+ee"], &GREY_12.native(place(&nth(2))));
    let twelve_syntax = "1.2.840.10008.1.2.4.51";
    let many_file = many.compressed(place(&nth(1)), rle, vec![vec![0; 64]]);
    let undecodable = (404, "undecodable");
    let unsupported = (406, "unsupported_transfer_syntax");
    for (n, file, uid, instance, frame) in [
        (0, damaged(0), rle, undecodable, undecodable),
        // Which fragment is of which frame, nobody can say.
        (1, many_file, rle, (404, "too_many_pixels"), (406, "unsupported_pixels")),
        (2, twelve, twelve_syntax, unsupported, unsupported),
    ] {
        let uids = nth(n);
        let mut place = place(&uids);
        let uid_of_file = text(&opened(&file), tags::SOP_INSTANCE_UID);
        place[2] = uid_of_file.trim_end_matches('\0');
        fixture.stored("north", &file, &of(place, uid)).await;
        for (address, accept, (status, reason)) in
            [(path(place), DICOM, instance), (format!("{}/frames/1", path(place)), OCTETS, frame)]
        {
            let answer = fixture.wado(&address, accept, None).await;
            assert_eq!((answer.status, &answer.json()["reason"]), (status, &json!(reason)), "{n}");
        }
        let told = fixture.wado(&format!("{}/metadata", path(place)), "*/*", None).await;
        assert_eq!(told.status, 200);
        assert!(fixture.wado(&path(place), AS_STORED, None).await.parts()[0].1 == file, "{n}");
    }
    fixture.stop().await;
}
