//! What files lack and lie about.

use lobar_core::image::Reason;
use lobar_imaging::{Limits, attributes, decode};

use crate::file::{EXPLICIT, File, PIXELS, Value, Writing};

const SAMPLES: [u16; 4] = [0, 1000, 2000, 4095];

fn file() -> File {
    let mut file = File::row(12, &SAMPLES);
    file.window("2048", "4096");
    file
}

#[test]
fn a_file_is_read_without_what_real_files_lack() {
    let expected = file().grey();
    for (preamble, syntax, group_length) in [
        (false, Some(EXPLICIT), true),
        (false, None, true),
        (true, Some(EXPLICIT), false),
        (true, None, true),
    ] {
        for writing in [Writing::Explicit, Writing::Implicit] {
            let mut file = file();
            file.writing = writing;
            file.preamble = preamble;
            // Also where it says explicit, and is not.
            file.transfer_syntax = syntax.map(str::to_owned);
            file.group_length = group_length;
            assert_eq!(file.grey(), expected, "{preamble} {syntax:?} {group_length}");
            assert!(attributes(&file.bytes()).is_some());
        }
    }
}

#[test]
fn every_way_to_write_elements_gives_the_same_picture() {
    let expected = file().grey();
    for (writing, syntax) in [
        (Writing::Implicit, "1.2.840.10008.1.2"),
        (Writing::Explicit, "1.2.840.10008.1.2.1\0"),
        (Writing::BigEndian, "1.2.840.10008.1.2.2"),
    ] {
        let mut file = file();
        (file.writing, file.transfer_syntax) = (writing, Some(syntax.into()));
        assert_eq!(file.grey(), expected, "{syntax}");
    }
    // Bytes in big endian words change places.
    let mut bytes = File::row(8, &[1, 2, 3, 4]);
    bytes.writing = Writing::BigEndian;
    bytes.transfer_syntax = Some("1.2.840.10008.1.2.2".into());
    assert_eq!(bytes.grey(), [1, 2, 3, 4]);
    bytes.set(PIXELS, b"OW", Value::Bytes(vec![2, 1, 4, 3]));
    assert_eq!(bytes.grey(), [1, 2, 3, 4]);
    // The last of an odd number lies behind its padding.
    bytes.short((0x0028, 0x0011), 3);
    assert_eq!(bytes.grey(), [1, 2, 3]);
}

fn deflated(data_set: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data_set).unwrap();
    let mut file = File::row(12, &SAMPLES);
    file.transfer_syntax = Some("1.2.840.10008.1.2.1.99".into());
    let head = file.bytes().len() - file.data_set().len();
    [&file.bytes()[..head], &encoder.finish().unwrap()].concat()
}

#[test]
fn a_deflated_data_set_is_inflated_and_a_bomb_is_not() {
    let read = decode(&deflated(&file().data_set()), &Limits::default()).unwrap();
    assert_eq!(read.pixels, file().grey());
    let mut bomb = file();
    bomb.set((0x0009, 0x0010), b"OB", Value::Bytes(vec![0; 80 << 20]));
    let bomb = deflated(&bomb.data_set());
    assert!(bomb.len() < 1 << 20);
    assert_eq!(decode(&bomb, &Limits::default()).unwrap_err().reason, Reason::TooLarge);
    let damaged = deflated(&file().data_set());
    assert!(decode(&damaged[..damaged.len() - 20], &Limits::default()).is_err());
}

#[test]
fn lengths_that_lie_are_not_believed() {
    let mut file = file();
    file.set((0x0008, 0x1030), b"UT", crate::file::text("x"));
    let bytes = file.bytes();
    let at = bytes.windows(4).position(|window| window == [8, 0, 0x30, 0x10]).unwrap();
    for length in [u32::MAX - 1, u32::MAX, 0x7fff_fff0, 1 << 20] {
        let mut lying = bytes.clone();
        lying[at + 8..at + 12].copy_from_slice(&length.to_le_bytes());
        assert!(decode(&lying, &Limits::default()).is_err());
        assert!(attributes(&lying).is_some(), "what stands before is told");
    }
}

#[test]
fn sequences_without_end_are_no_endless_loop() {
    let mut deep = file();
    deep.remove(PIXELS);
    let mut bytes = deep.bytes();
    for _ in 0..100_000 {
        // A sequence and an item, both of undefined length.
        bytes.extend([9, 0, 0x10, 0x10, b'S', b'Q', 0, 0, 0xff, 0xff, 0xff, 0xff]);
        bytes.extend([0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff]);
    }
    assert_eq!(decode(&bytes, &Limits::default()).unwrap_err().reason, Reason::Undecodable);
    assert!(attributes(&bytes).is_some());
}

#[test]
fn a_sequence_of_undefined_length_is_passed_over() {
    let sequence = [
        // A private sequence of unknown representation: implicit inside (PS3.5, 6.2.2).
        &[9, 0, 0x10, 0x10, b'U', b'N', 0, 0, 0xff, 0xff, 0xff, 0xff][..],
        &[0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff],
        &[0x10, 0, 0x10, 0, 2, 0, 0, 0, b'X', b'^'],
        &[0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0],
        &[0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0],
    ]
    .concat();
    let bytes = file().bytes();
    let at = bytes.windows(4).position(|window| window == [0x18, 0, 0x15, 0]).unwrap();
    let with = [&bytes[..at], &sequence, &bytes[at..]].concat();
    assert_eq!(decode(&with, &Limits::default()).unwrap().pixels, file().grey());
    assert_eq!(attributes(&with).unwrap().patient.name, None, "not the item's");
}

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    let bytes = file().bytes();
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length], &Limits::default()).is_err(), "{length}");
        let _ = attributes(&bytes[..length]);
    }
}

#[test]
fn files_of_another_writer_are_read() {
    use dicom_encoding::TransferSyntaxIndex as _;
    use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
    use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

    let explicit = TransferSyntaxRegistry.get(EXPLICIT).unwrap();
    let data_set = file().data_set();
    let data_set = InMemDicomObject::read_dataset_with_ts(&data_set[..], explicit).unwrap();
    for uid in ["1.2.840.10008.1.2", EXPLICIT, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"] {
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(uid)
            .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.1")
            .media_storage_sop_instance_uid("1.2.3.4");
        let mut bytes = Vec::new();
        data_set.clone().with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
        assert_eq!(decode(&bytes, &Limits::default()).unwrap().pixels, file().grey(), "{uid}");
        assert_eq!(attributes(&bytes).unwrap().instance.transfer_syntax.unwrap().as_str(), uid);
    }
}
