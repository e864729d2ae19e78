//! Compressed pixels as they are uncompressed: bit for bit what was compressed, and refusals by name.

use lobar_core::image::Reason;
use lobar_imaging::{
    Limits, Loss, Uncompressed, decode, memory_to_uncompress, transfer_syntaxes, uncompress,
};

use crate::file::{File, PIXELS, Value};
use crate::fixture::{fixture, grey_of};

fn uncompressed(file: &[u8]) -> Uncompressed {
    uncompress(file, &Limits::default(), None).expect("it is read").expect("it is compressed")
}

/// The pixels of a file in which they are the last element.
fn stored(name: &str, bytes: usize) -> Vec<u8> {
    let file = fixture(name);
    file[file.len() - 72 * 56 * bytes..].to_vec()
}

fn words(bytes: &[u8]) -> Vec<u16> {
    bytes.as_chunks().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect()
}

#[test]
fn what_was_compressed_without_a_loss_is_the_same_bit_for_bit() {
    let (eight, twelve) = (stored("native_8.dcm", 1), stored("native_12.dcm", 2));
    let cases = [
        (&eight, &["lossless_8", "rle_8", "dicom/jpeg_ls_8", "dicom/jpeg_2000_8"][..]),
        (
            &twelve,
            &[
                "lossless_12",
                "rle_12",
                "dicom/lossless_predictor_1",
                "dicom/lossless_predictor_2",
                "dicom/lossless_predictor_3",
                "dicom/lossless_predictor_4",
                "dicom/lossless_predictor_5",
                "dicom/lossless_predictor_6",
                "dicom/lossless_predictor_7",
                "dicom/lossless_fragments",
                "dicom/jpeg_ls_12",
                "dicom/jpeg_2000_12",
                "dicom/jpeg_2000_boxes",
                "dicom/jpeg_2000_fragments",
                "dicom/htj2k",
                "dicom/rle_fragments",
            ],
        ),
    ];
    for (expected, names) in cases {
        for name in names {
            let read = uncompressed(&fixture(&format!("{name}.dcm")));
            assert!(read.pixels == *expected, "{name}");
            assert_eq!((read.samples, read.photometric), (1, "MONOCHROME2"), "{name}");
            assert_eq!(read.frame, expected.len(), "{name}");
            assert_eq!(usize::from(read.allocated) / 8, expected.len() / (72 * 56), "{name}");
            assert!(read.loss.is_none() && !read.signed && read.ratio > 0.5, "{name}");
        }
    }
    // Two low bits were taken away when it was compressed.
    let shifted = words(&uncompressed(&fixture("dicom/lossless_point_transform.dcm")).pixels);
    assert!(shifted.iter().zip(words(&twelve)).all(|(sample, whole)| *sample == whole & 0xfffc));
    // Six bits a sample, each in two bytes.
    let six = words(&uncompressed(&fixture("dicom/jpeg_ls_6_in_16.dcm")).pixels);
    assert!(six.iter().zip(words(&twelve)).all(|(sample, whole)| *sample == whole >> 6));
}

#[test]
fn what_was_compressed_with_a_loss_says_so() {
    let always = |method| Some(Loss { method, always: true });
    let perhaps = |method| Some(Loss { method, always: false });
    for (name, loss) in [
        ("baseline", always("ISO_10918_1")),
        ("extended_8", always("ISO_10918_1")),
        ("jpeg_ls_near", perhaps("ISO_14495_1")),
        ("jpeg_2000_lossy", perhaps("ISO_15444_1")),
    ] {
        let read = uncompressed(&fixture(&format!("dicom/{name}.dcm")));
        assert_eq!(read.loss, loss, "{name}");
        let grey = grey_of(&format!("dicom/{name}.dcm"));
        let shown = |n: usize| match read.allocated {
            8 => f64::from(read.pixels[n]),
            // By the window of 12 bits.
            _ => f64::from(words(&read.pixels)[n]) * 255.0 / 4_095.0,
        };
        let most = (0..grey.len()).map(|n| (shown(n) - f64::from(grey[n])).abs());
        assert!(most.fold(0.0, f64::max) <= 1.5, "{name}");
    }
}

#[test]
fn a_picture_that_is_not_compressed_is_left_alone() {
    for name in ["native_8.dcm", "native_12.dcm"] {
        let read = uncompress(&fixture(name), &Limits::default(), None);
        assert!(read.expect("it is read").is_none());
        assert_eq!(memory_to_uncompress(&fixture(name), &Limits::default(), None), Ok(0));
    }
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let refused = |file: &[u8]| {
        let refused = uncompress(file, &Limits::default(), None).err().expect("refused");
        assert_eq!(
            memory_to_uncompress(file, &Limits::default(), None).err(),
            Some(refused.clone())
        );
        refused
    };
    for (uid, name, _) in transfer_syntaxes().filter(|(.., is_read)| !is_read) {
        let mut file = File::row(8, &[0, 100]);
        file.transfer_syntax = Some(uid.into());
        file.set(PIXELS, b"OB", Value::Fragments(vec![vec![0; 64]]));
        let refused = refused(&file.bytes());
        assert_eq!(refused.reason, Reason::UnsupportedTransferSyntax, "{name}");
        assert!(refused.detail.contains(uid) && refused.detail.contains(name), "{refused}");
    }
    let twelve = uncompress(&fixture("dicom/extended_12.dcm"), &Limits::default(), None);
    assert_eq!(twelve.err().map(|it| it.reason), Some(Reason::UnsupportedTransferSyntax));
    let mut bits = packed(&[vec![0, 1, 2, 3]]);
    bits.short((0x0028, 0x0100), 1);
    assert_eq!(refused(&bits.bytes()).reason, Reason::UnsupportedPixels);
    let mut sampled = packed(&[vec![0; 12]]);
    sampled.transfer_syntax = Some("1.2.840.10008.1.2.1.98".into());
    sampled.short((0x0028, 0x0002), 3).text((0x0028, 0x0004), b"CS", "YBR_FULL_422");
    assert_eq!(refused(&sampled.bytes()).reason, Reason::UnsupportedPixels);
}

/// Frames of four pixels in a row, each in RLE.
fn packed(frames: &[Vec<u8>]) -> File {
    let mut file = File::row(8, &[0; 4]);
    file.transfer_syntax = Some("1.2.840.10008.1.2.5".into());
    let frame = |pixels: &Vec<u8>| {
        let mut frame = vec![0; 64];
        (frame[0], frame[4]) = (1, 64);
        frame.push(pixels.len() as u8 - 1);
        frame.extend(pixels);
        frame
    };
    file.set(PIXELS, b"OB", Value::Fragments(frames.iter().map(frame).collect()));
    file.text((0x0028, 0x0008), b"IS", &frames.len().to_string());
    file
}

#[test]
fn of_several_frames_each_is_had_by_its_number() {
    let frames = [vec![1, 2, 3, 4], vec![5, 6, 7, 8], vec![9, 10, 11, 12]];
    let file = packed(&frames).bytes();
    assert_eq!(uncompressed(&file).pixels, frames.concat());
    let some = uncompress(&file, &Limits::default(), Some(&[2, 0]));
    let some = some.expect("it is read").expect("it is compressed");
    assert_eq!((some.pixels, some.frame), ([&frames[2][..], &frames[0]].concat(), 4));
    assert!(uncompress(&file, &Limits::default(), Some(&[3])).is_err(), "there are three");
    // Which fragment is of which frame is not told.
    let mut two = packed(&frames);
    two.text((0x0028, 0x0008), b"IS", "2");
    let refused = uncompress(&two.bytes(), &Limits::default(), None).err().expect("refused");
    assert_eq!(refused.reason, Reason::UnsupportedPixels);
    // A number of frames that would fill all memory.
    two.text((0x0028, 0x0008), b"IS", "2000000000");
    let refused = uncompress(&two.bytes(), &Limits::default(), None).err().expect("refused");
    assert_eq!(refused.reason, Reason::TooManyPixels);
}

#[test]
fn what_is_cut_short_gives_no_pixels() {
    for name in
        ["rle_12", "lossless_12", "dicom/jpeg_ls_12", "dicom/jpeg_2000_12", "dicom/baseline"]
    {
        let whole = fixture(&format!("{name}.dcm"));
        for eighth in 4..8 {
            let cut = &whole[..whole.len() * eighth / 8];
            assert!(uncompress(cut, &Limits::default(), None).is_err(), "{name} {eighth}/8");
        }
    }
}

#[test]
fn a_file_with_the_pixels_uncompressed_shows_the_same_picture() {
    let mut plain =
        File::chest(72, 56, 12, &words(&uncompressed(&fixture("dicom/htj2k.dcm")).pixels));
    plain.window("2048", "4096");
    let shown = decode(&plain.bytes(), &Limits::default()).expect("a picture");
    assert!(shown.pixels == grey_of("dicom/htj2k.dcm"));
}
