//! Decoding takes no more memory than it said: what would grow the process further is refused.
//!
//! One suite with one test, since the limit is the whole process's.
#![allow(clippy::unwrap_used, reason = "a test that cannot measure has failed")]

mod fixture;
mod libjpeg;

use std::path::PathBuf;
use std::process::Command;

use fixture::{encode_png, texture};
use libjpeg::{Picture, encode, four_planes, jpegtran};
use lobar_core::image::Reason;
use lobar_imaging::{Limits, decode, limit_decoding_memory};

/// What the process may grow by beside the pixels: tables, rows, the pages of the allocator.
const BESIDE: u64 = 6 << 20;

/// A figure of this process, in bytes.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() << 10
}

/// The file that a process of its own decodes, where only that is measured.
const FILE: &str = "LOBAR_TEST_DECODED_FILE";

#[test]
#[ignore = "run by the test below, in a process of its own"]
#[expect(clippy::disallowed_methods, reason = "how a test tells its own process what to decode")]
fn decoded_alone() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let file = std::fs::read(path).unwrap();
    let before = status("VmRSS");
    limit_decoding_memory(u64::MAX);
    decode(&file, &Limits::default()).unwrap();
    eprintln!("grown by {} bytes", status("VmHWM").saturating_sub(before));
}

/// By how much a process grows at most while it decodes, in bytes.
fn growth(file: &[u8]) -> u64 {
    let name = format!("decoded-{}", std::process::id());
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, file).unwrap();
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["decoded_alone", "--exact", "--ignored", "--nocapture"])
        .env(FILE, &path)
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    let text = String::from_utf8_lossy(&done.stderr);
    let grown = text.split_once("grown by ").and_then(|(_, rest)| rest.split_once(' '));
    grown.unwrap_or_else(|| panic!("{text}")).0.parse().unwrap()
}

#[test]
fn what_would_take_more_memory_than_there_is_is_refused_by_name() {
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
        ("planes", jpeg(&["-sample", "2x2"], "0; 1; 2;")),
        ("inks, progressive", jpegtran(&inks, &[], all).unwrap()),
        ("inks, planes", inks),
        ("PNG", png(png::ColorType::Grayscale, png::BitDepth::Eight, &texture(width, height))),
        ("PNG of 16 bits", png(png::ColorType::Grayscale, png::BitDepth::Sixteen, &deep)),
        ("PNG in colour", png(png::ColorType::Rgb, png::BitDepth::Eight, &picture.rgb)),
    ];
    for (name, file) in &files {
        let grown = growth(file);
        eprintln!("{name}: {:.1} bytes a pixel", grown as f64 / f64::from(width * height));
        limit_decoding_memory(grown.saturating_sub(BESIDE));
        let refused = decode(file, &Limits::default()).expect_err(name);
        assert_eq!(refused.reason, Reason::TooManyPixels, "{name}: {refused}");
        assert!(refused.detail.contains("MiB of memory"), "{refused}");
        // And what is said to be enough is not far from it.
        limit_decoding_memory(grown * 2 + BESIDE);
        assert!(decode(file, &Limits::default()).is_ok(), "{name}");
    }
}
