//! libjpeg-turbo's own programs, and pictures to give them.
#![allow(dead_code, reason = "each suite uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot run its tools has failed")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::fixture::texture;

/// A picture in RGB.
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) rgb: Vec<u8>,
}

impl Picture {
    /// The formula of the fixtures, with colours that change slowly.
    pub(crate) fn colour(width: u32, height: u32) -> Self {
        let place = |i: usize| (i as u32 % width, i as u32 / width);
        let pixel = |(i, &value): (usize, &u8)| {
            let (x, y) = place(i);
            [value, (255 * x / width) as u8, (255 * y / height) as u8]
        };
        let rgb = texture(width, height).iter().enumerate().flat_map(pixel).collect();
        Self { width, height, rgb }
    }

    /// The same without colours.
    pub(crate) fn grey(width: u32, height: u32) -> Self {
        let rgb = texture(width, height).iter().flat_map(|&value| [value; 3]).collect();
        Self { width, height, rgb }
    }
}

/// Pillow's grey of each pixel.
pub(crate) fn colours(picture: &Picture) -> Vec<u8> {
    grey(&picture.rgb)
}

pub(crate) fn ppm(picture: &Picture) -> Vec<u8> {
    let mut file = format!("P6\n{} {}\n255\n", picture.width, picture.height).into_bytes();
    file.extend(&picture.rgb);
    file
}

fn grey(rgb: &[u8]) -> Vec<u8> {
    rgb.chunks_exact(3)
        .map(|p| {
            let [r, g, b] = [p[0], p[1], p[2]].map(u32::from);
            ((r * 19_595 + g * 38_470 + b * 7_471 + 0x8000) >> 16) as u8
        })
        .collect()
}

/// The mean difference between the largest and the smallest channel.
pub(crate) fn chroma_mean(rgb: &[u8]) -> f64 {
    let spread = |p: &[u8]| p.iter().max().unwrap() - p.iter().min().unwrap();
    let sum: u64 = rgb.chunks_exact(3).map(|p| u64::from(spread(p))).sum();
    sum as f64 / (rgb.len() / 3) as f64
}

/// What libjpeg reads from a file.
pub(crate) struct Theirs {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) grey: Vec<u8>,
    pub(crate) chroma: f64,
}

/// `None` when libjpeg reads nothing from it, or warns.
pub(crate) fn djpeg(file: &[u8]) -> Option<Theirs> {
    let image = run("djpeg", &["-pnm"], file)?;
    let header_end = image.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(2)?.0 + 1;
    let header = String::from_utf8(image[..header_end].to_vec()).ok()?;
    let words: Vec<&str> = header.split_whitespace().collect();
    let (width, height) = (words[1].parse().ok()?, words[2].parse().ok()?);
    let samples = &image[header_end..];
    let (grey, chroma) = match words[0] {
        "P5" => (samples.to_vec(), 0.0),
        _ => (grey(samples), chroma_mean(samples)),
    };
    Some(Theirs { width, height, grey, chroma })
}

/// A picture as `cjpeg` writes it with these options and this scan script; `progressive` is `cjpeg`'s own.
pub(crate) fn encode(picture: &Picture, options: &[&str], script: &str) -> Option<Vec<u8>> {
    with_script("cjpeg", &[&["-quality", "92"], options].concat(), script, &ppm(picture))
}

/// A file rearranged without loss.
pub(crate) fn jpegtran(file: &[u8], options: &[&str], script: &str) -> Option<Vec<u8>> {
    with_script("jpegtran", &[&["-copy", "all"], options].concat(), script, file)
}

fn with_script(tool: &str, options: &[&str], script: &str, input: &[u8]) -> Option<Vec<u8>> {
    if script.is_empty() {
        return run(tool, options, input);
    }
    if script == "progressive" {
        return run(tool, &[options, &["-progressive"]].concat(), input);
    }
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("scans-{}-{number}.txt", std::process::id());
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, script).unwrap();
    let out = run(tool, &[options, &["-scans", path.to_str().unwrap()]].concat(), input);
    std::fs::remove_file(&path).unwrap();
    out
}

/// What a tool writes, or `None` when it refuses its input or warns.
fn run(tool: &str, options: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new(tool)
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "{tool} is missing ({error}): `apt-get install libjpeg-turbo-progs`, \
                 or let `make test` do it"
            )
        });
    let mut stdin = child.stdin.take().unwrap();
    let done = std::thread::scope(|scope| {
        // A tool that refuses its input may not read to the end.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    });
    (done.status.success() && done.stderr.is_empty()).then_some(done.stdout)
}

/// The segments of a grey file of one scan: quantization table, Huffman tables, and its scan's bytes.
fn parts(file: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (mut quantization, mut huffman) = (Vec::new(), Vec::new());
    let mut at = 2;
    loop {
        let length = usize::from(file[at + 2]) << 8 | usize::from(file[at + 3]);
        let segment = &file[at..at + 2 + length];
        match file[at + 1] {
            0xdb => quantization.extend(segment),
            0xc4 => huffman.extend(segment),
            0xda => return (quantization, huffman, file[at + 2 + length..file.len() - 2].to_vec()),
            _ => {}
        }
        at += 2 + length;
    }
}

/// A file of four components with these sampling factors, one scan each, and Adobe's segment.
pub(crate) fn four_planes(
    width: u32,
    height: u32,
    sampling: [(u32, u32); 4],
    transform: u8,
) -> Vec<u8> {
    let h = sampling.iter().map(|s| s.0).max().unwrap();
    let v = sampling.iter().map(|s| s.1).max().unwrap();
    let mut out = b"\xff\xd8\xff\xee\0\x0eAdobe\0\x64\0\0\0\0".to_vec();
    out.push(transform);
    let mut frame = vec![0xff, 0xc0, 0, 20, 8];
    frame.extend((height as u16).to_be_bytes());
    frame.extend((width as u16).to_be_bytes());
    frame.push(4);
    let mut scans = Vec::new();
    for (index, &(own_h, own_v)) in (1u8..).zip(&sampling) {
        frame.extend([index, (own_h << 4 | own_v) as u8, 0]);
        let (w, h) = ((width * own_h).div_ceil(h), (height * own_v).div_ceil(v));
        // Smooth planes of different kinds, so that enlarging them costs little.
        let step = u32::from(index) + 1;
        let value = |i: u32| (40 + (i % w) * 80 * step / (5 * w) + (i / w) * 100 / h) as u8;
        let rgb = (0..w * h).flat_map(|i| [value(i); 3]).collect();
        let file = encode(&Picture { width: w, height: h, rgb }, &["-grayscale"], "").unwrap();
        let (quantization, huffman, data) = parts(&file);
        if index == 1 {
            out.extend(quantization);
            scans.extend(huffman);
        }
        scans.extend([0xff, 0xda, 0, 8, 1, index, 0, 0, 63, 0]);
        scans.extend(data);
    }
    out.extend(frame);
    out.extend(scans);
    out.extend([0xff, 0xd9]);
    out
}
