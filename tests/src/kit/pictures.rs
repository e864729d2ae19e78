//! Pictures to upload: real radiographs where they are at hand, drawn ones everywhere.

use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::workspace;

/// The folder with real X-rays: `LOBAR_TEST_DATA`, or `../shared/data`; `None` without one.
pub fn real_data() -> Option<PathBuf> {
    let default = || workspace().join("../shared/data");
    let folder = std::env::var_os("LOBAR_TEST_DATA").map_or_else(default, PathBuf::from);
    folder.join("sample_full").is_dir().then_some(folder)
}

/// A folder with `count` radiographs: real originals first, then drawn ones.
pub fn originals(into: &Path, count: usize) {
    std::fs::create_dir_all(into).expect("a folder");
    let mut real: Vec<PathBuf> = Vec::new();
    if let Some(data) = real_data() {
        for class in ["NORMAL", "PNEUMONIA"] {
            let files = std::fs::read_dir(data.join("sample_full").join(class)).expect("readable");
            real.extend(files.map(|file| file.expect("readable").path()));
        }
    }
    real.sort();
    real.truncate(count);
    for (n, path) in real.iter().enumerate() {
        std::fs::copy(path, into.join(format!("image {n:03}.jpeg"))).expect("copied");
    }
    for n in real.len()..count {
        let bytes = radiograph_jpeg(600 + (n as u32 % 7) * 50, 500, n as u32);
        std::fs::write(into.join(format!("image {n:03}.jpeg")), bytes).expect("written");
    }
}

/// A drawn chest: two dark lungs on grey, a little noise; another for every seed.
pub fn radiograph_jpeg(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let mut noise = seed.wrapping_mul(2_654_435_761).max(1);
    let mut pixels = Vec::with_capacity((width * height) as usize);
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (x as f32 / width as f32 - 0.5, y as f32 / height as f32 - 0.5);
            let lung = |centre: f32| ((u - centre) / 0.16).powi(2) + (v / 0.34).powi(2) < 1.0;
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            let base = if lung(-0.22) || lung(0.22) { 60.0 } else { 170.0 - 120.0 * v.abs() };
            pixels.push((base + (noise % 24) as f32 + (seed % 13) as f32) as u8);
        }
    }
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90)
        .write_image(&pixels, width, height, ExtendedColorType::L8)
        .expect("encodes");
    bytes
}

/// A data folder of 36 pictures, 18 of each class, each of a patient of its own: stripes across for the ill,
/// stripes along for the healthy.
pub fn labelled_pictures(folder: &Path) {
    for (split, people) in [("train", 0..10_u32), ("val", 10..14), ("test", 14..18)] {
        for (class, is_ill) in [("NORMAL", false), ("PNEUMONIA", true)] {
            let at = folder.join(split).join(class);
            std::fs::create_dir_all(&at).expect("a folder");
            for person in people.clone() {
                let cause = ["bacteria", "virus"][person as usize % 2];
                let name = match is_ill {
                    true => format!("person{person}_{cause}_1.png"),
                    false => format!("IM-{person:04}-0001.png"),
                };
                let picture = image::GrayImage::from_fn(224, 224, |x, y| {
                    let level = if (if is_ill { y } else { x } / 28) % 2 == 0 { 60 } else { 180 };
                    image::Luma([level + ((x * 31 + y * 17 + person * 101) % 23) as u8])
                });
                picture.save(at.join(name)).expect("written");
            }
        }
    }
}

/// Files that must not be assessed: name, bytes, the reason that must be given.
pub fn broken_files() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let whole = radiograph_jpeg(800, 700, 1);
    vec![
        ("zero.jpg", Vec::new(), "empty"),
        ("truncated.jpg", whole[..whole.len() / 2].to_vec(), "undecodable"),
        ("text.jpg", b"Dear colleague, please find attached\n".repeat(40), "not_an_image"),
        ("huge.png", png_header(30_000, 30_000), "too_many_pixels"),
        ("holiday.jpg", colour_photograph(), "colour_photograph"),
    ]
}

/// A PNG that promises 900 million pixels.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut encoded = Vec::new();
    image::codecs::png::PngEncoder::new(&mut encoded)
        .write_image(&[0; 16], 4, 4, ExtendedColorType::L8)
        .expect("encodes");
    encoded[16..20].copy_from_slice(&width.to_be_bytes());
    encoded[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&encoded[12..29]);
    encoded[29..33].copy_from_slice(&crc.to_be_bytes());
    encoded
}

/// CRC-32 of a PNG chunk (ISO 3309), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    })
}

/// Sky, sea and sand.
fn colour_photograph() -> Vec<u8> {
    let (width, height) = (640u32, 480u32);
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let wave = ((x as f32 / 20.0).sin() * 12.0) as i32;
            let [r, g, b] = match y {
                0..200 => [90, 160, 230],
                200..330 => [20, 110, 160],
                _ => [230, 200, 120],
            };
            pixels.extend([r + wave, g + wave, b + wave].map(|c| c.clamp(0, 255) as u8));
        }
    }
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90)
        .write_image(&pixels, width, height, ExtendedColorType::Rgb8)
        .expect("encodes");
    bytes
}
