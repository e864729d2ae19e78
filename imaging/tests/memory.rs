//! Decoding takes no more memory than it said: what would grow the process further is refused.
//!
//! What is measured is what the allocator was asked for, which is the same on every machine. The suite's tests run one
//! after the other, since the limit and the measure are the whole process's.
#![allow(clippy::unwrap_used, reason = "a test that cannot measure has failed")]

#[path = "dicom/file.rs"]
mod file;
mod fixture;
mod libjpeg;

use std::alloc::System;
use std::sync::{Mutex, PoisonError};

use fixture::{encode_png, texture};
use libjpeg::{Picture, encode, four_planes, jpegtran};
use lobar_core::image::Reason;
use lobar_imaging::{Limits, attributes, decode, limit_decoding_memory, prepare};
use peakmem_alloc::{INSTRUMENTED_SYSTEM, PeakMemAlloc, PeakMemAllocTrait as _};

#[global_allocator]
static ALLOCATOR: &PeakMemAlloc<System> = &INSTRUMENTED_SYSTEM;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What is allocated beside the pixels, bytes: tables and rows.
const BESIDE: u64 = 2 << 20;

/// A file whose fragments are many and empty.
fn empty_fragments(count: usize) -> file::File {
    let mut file = file::File::row(8, &[0]);
    file.transfer_syntax = Some("1.2.840.10008.1.2.5".into());
    file.set(file::PIXELS, b"OB", file::Value::Fragments(vec![Vec::new(); count]));
    file
}

#[test]
fn fragments_of_dicom_are_not_collected_to_be_looked_at() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes = empty_fragments(4 << 20).bytes();
    limit_decoding_memory(u64::MAX);
    ALLOCATOR.reset_peak_memory();
    let refused = decode(&bytes, &Limits::default()).unwrap_err();
    let taken = ALLOCATOR.get_peak_memory() as u64;
    assert!(taken < BESIDE, "{taken} bytes");
    assert!(refused.reason == Reason::Undecodable && refused.detail.contains("fragments"));
}

#[test]
fn a_deflated_data_set_is_inflated_within_the_memory_for_decoding() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut file = empty_fragments(1);
    file.set((0x0009, 0x0010), b"OB", file::Value::Bytes(vec![0; 60 << 20]));
    let plain = file.data_set();
    file.transfer_syntax = Some("1.2.840.10008.1.2.1.99".into());
    let head = file.bytes().len() - plain.len();
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &plain).unwrap();
    let bytes = [&file.bytes()[..head], &encoder.finish().unwrap()].concat();
    drop((plain, file));
    limit_decoding_memory(32 << 20);
    ALLOCATOR.reset_peak_memory();
    for refused in
        [decode(&bytes, &Limits::default()).err(), prepare(&bytes, &Limits::default()).err()]
    {
        assert_eq!(refused.unwrap().reason, Reason::TooManyPixels);
    }
    assert!(attributes(&bytes).is_none());
    let taken = ALLOCATOR.get_peak_memory() as u64;
    assert!(taken < BESIDE, "{taken} bytes");
    limit_decoding_memory(u64::MAX);
    assert!(attributes(&bytes).is_some());
    let taken = ALLOCATOR.get_peak_memory() as u64;
    assert!(taken < (64 << 20) + BESIDE, "{taken} bytes");
}

/// What decoding a file takes at most at any time, bytes.
fn taken(file: &[u8]) -> u64 {
    limit_decoding_memory(u64::MAX);
    ALLOCATOR.reset_peak_memory();
    let decoded = decode(file, &Limits::default());
    let taken = ALLOCATOR.get_peak_memory();
    decoded.unwrap();
    taken as u64
}

#[test]
fn text_chunks_are_not_unpacked() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (grey, eight) = (png::ColorType::Grayscale, png::BitDepth::Eight);
    let bomb = encode_png(2, 1, grey, eight, &[1, 2], |encoder| {
        encoder.add_ztxt_chunk("Comment".into(), "a".repeat(200 << 20)).unwrap();
    });
    assert!(bomb.len() < 1 << 20);
    let taken = taken(&bomb);
    assert!(taken < BESIDE, "{taken} bytes");
}

/// A film of zeros in 12 bits: native, in RLE, or deflated.
fn dicom(width: u32, height: u32, syntax: Option<&str>) -> Vec<u8> {
    let pixels = (width * height) as usize;
    let mut file = file::File::chest(width as u16, height as u16, 12, &vec![0; pixels]);
    let Some(syntax) = syntax else { return file.bytes() };
    let frame = if syntax.ends_with("2.5") {
        let segment = [0x81u8, 0].repeat(pixels.div_ceil(128));
        let header = [2u32, 64, 64 + segment.len() as u32].into_iter().chain([0; 13]);
        let header: Vec<u8> = header.flat_map(u32::to_le_bytes).collect();
        [header.as_slice(), &segment, &segment].concat()
    } else {
        let encoder = flate2::Compression::fast();
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), encoder);
        std::io::Write::write_all(&mut encoder, &vec![0; pixels * 2]).unwrap();
        encoder.finish().unwrap()
    };
    file.transfer_syntax = Some(syntax.into());
    file.set(file::PIXELS, b"OB", file::Value::Fragments(vec![frame]));
    file.bytes()
}

#[test]
fn what_would_take_more_memory_than_there_is_is_refused_by_name() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (width, height) = (3_000, 2_500);
    let picture = Picture::colour(width, height);
    let jpeg = |options: &[&str], script: &str| encode(&picture, options, script).unwrap();
    let inks = four_planes(width, height, [(1, 1); 4], 0);
    let all = "0 1 2 3: 0-0,0,0; 0: 1-63,0,0; 1: 1-63,0,0; 2: 1-63,0,0; 3: 1-63,0,0;";
    let deep: Vec<u8> = texture(width, height).iter().flat_map(|&value| [value, 0]).collect();
    let png = |color, depth, data: &[u8]| encode_png(width, height, color, depth, data, |_| {});
    let files = [
        ("grey", jpeg(&["-grayscale"], "")),
        ("grey progressive", jpeg(&["-grayscale"], "progressive")),
        ("colour", jpeg(&["-sample", "1x1"], "")),
        ("colour 4:2:0", jpeg(&["-sample", "2x2"], "")),
        ("colour progressive", jpeg(&["-sample", "1x1"], "progressive")),
        ("colour 4:2:0 progressive", jpeg(&["-sample", "2x2"], "progressive")),
        ("a restart marker behind each block", jpeg(&["-grayscale", "-restart", "1B"], "")),
        (
            "progressive, a restart marker behind each block",
            jpeg(&["-grayscale", "-restart", "1B"], "progressive"),
        ),
        ("planes", jpeg(&["-sample", "2x2"], "0; 1; 2;")),
        ("inks, progressive", jpegtran(&inks, &[], all).unwrap()),
        ("inks, planes", inks),
        ("PNG", png(png::ColorType::Grayscale, png::BitDepth::Eight, &texture(width, height))),
        ("PNG of 16 bits", png(png::ColorType::Grayscale, png::BitDepth::Sixteen, &deep)),
        ("DICOM", dicom(width, height, None)),
        ("DICOM in RLE", dicom(width, height, Some("1.2.840.10008.1.2.5"))),
        ("DICOM, deflated", dicom(width, height, Some("1.2.840.10008.1.2.8.1"))),
        ("PNG in colour", png(png::ColorType::Rgb, png::BitDepth::Eight, &picture.rgb)),
    ];
    for (name, file) in &files {
        let taken = taken(file);
        eprintln!("{name}: {:.1} bytes a pixel", taken as f64 / f64::from(width * height));
        limit_decoding_memory(taken.saturating_sub(BESIDE));
        let refused = decode(file, &Limits::default()).expect_err(name);
        assert_eq!(refused.reason, Reason::TooManyPixels, "{name}: {refused}");
        assert!(refused.detail.contains("MiB of memory"), "{refused}");
        // And what is said to be enough is not far from it.
        limit_decoding_memory(taken * 2 + BESIDE);
        assert!(decode(file, &Limits::default()).is_ok(), "{name}");
    }
}
