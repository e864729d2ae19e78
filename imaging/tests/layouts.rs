//! Every way to lay out a JPEG's samples, against libjpeg: the same picture, or a refusal by name.
//!
//! `cjpeg`, `djpeg` and `jpegtran` are libjpeg-turbo's, from the distribution.

mod fixture;
mod libjpeg;

use fixture::{FIXTURES, fixture, texture};
use libjpeg::{Picture, chroma_mean, colours, djpeg, encode, four_planes, jpegtran, ppm};
use lobar_core::image::Reason;
use lobar_imaging::{Limits, decode};

/// Grey levels that rounding, other transforms and other ways to enlarge a coarse component may cost in
/// the mean. Another picture costs tens.
const TOLERANCE: f64 = 1.0;
/// The same for the mean chroma.
const CHROMA_TOLERANCE: f64 = 3.0;

/// How a file came out.
#[derive(Debug, PartialEq)]
enum Outcome {
    Read,
    Refused,
}

/// What was seen over many files.
#[derive(Default)]
struct Seen {
    read: usize,
    refused: usize,
    wrong: Vec<String>,
}

impl Seen {
    /// Compares one file with libjpeg's picture.
    fn compare(&mut self, name: &str, file: &[u8]) -> Option<Outcome> {
        match (decode(file, &Limits::default()), djpeg(file)) {
            (Ok(ours), Some(theirs)) => {
                let grey = difference(&ours.pixels, &theirs.grey);
                let chroma = (ours.chroma.mean - theirs.chroma).abs();
                let size = (ours.width, ours.height) == (theirs.width, theirs.height);
                if !size || grey > TOLERANCE || chroma > CHROMA_TOLERANCE {
                    self.wrong.push(format!("{name}: grey {grey:.2}, chroma {chroma:.2}"));
                }
                self.read += 1;
                Some(Outcome::Read)
            }
            (Ok(_), None) => {
                self.wrong.push(format!("{name}: read, although libjpeg does not read it"));
                None
            }
            (Err(refused), theirs) => {
                let named = refused.reason == Reason::UnsupportedFormat;
                if theirs.is_some() && !(named && refused.detail.contains("not a layout")) {
                    self.wrong.push(format!("{name}: {refused}"));
                }
                self.refused += 1;
                Some(Outcome::Refused)
            }
        }
    }

    fn none_is_wrong(&self) {
        eprintln!("{} read, {} refused", self.read, self.refused);
        assert!(self.wrong.is_empty(), "{} files:\n{}", self.wrong.len(), self.wrong.join("\n"));
    }
}

/// Scan scripts as `cjpeg -scans` reads them; the empty one is `cjpeg`'s own single scan.
const BASELINE: [&str; 7] =
    ["", "0; 1; 2;", "2; 1; 0;", "1; 2; 0;", "0; 1 2;", "0 1; 2;", "1 2; 0;"];
const PROGRESSIVE: [&str; 7] = [
    // All mean values in one scan, as every encoder does.
    "0 1 2: 0-0,0,1; 0: 1-5,0,2; 2: 1-63,0,1; 1: 1-63,0,1; 0: 6-63,0,2; 0: 1-63,2,1; \
     0 1 2: 0-0,1,0; 2: 1-63,1,0; 1: 1-63,1,0; 0: 1-63,1,0;",
    "0 1 2: 0-0,0,0; 0: 1-63,0,0; 1: 1-63,0,0; 2: 1-63,0,0;",
    // None of them.
    "0: 0-0,0,0; 1: 0-0,0,0; 2: 0-0,0,0; 0: 1-63,0,0; 1: 1-63,0,0; 2: 1-63,0,0;",
    "2: 0-0,0,1; 2: 1-63,0,0; 1: 0-0,0,0; 1: 1-63,0,0; 0: 0-0,0,0; 0: 1-63,0,0; 2: 0-0,1,0;",
    // Some.
    "0: 0-0,0,0; 1 2: 0-0,0,0; 0: 1-63,0,0; 1: 1-63,0,0; 2: 1-63,0,0;",
    "1 2: 0-0,0,0; 0: 0-0,0,0; 0: 1-63,0,0; 1: 1-63,0,0; 2: 1-63,0,0;",
    "0 1: 0-0,0,0; 2: 0-0,0,0; 0: 1-63,0,0; 1: 1-63,0,0; 2: 1-63,0,0;",
];
/// Restart intervals: none, every third group of blocks, every row.
const RESTARTS: [&str; 3] = ["0", "3B", "1"];

/// Every choice of 1 or 2 in each direction for each component, and ratios of 3 and 4.
fn samplings() -> Vec<String> {
    let factors = ["1x1", "2x1", "1x2", "2x2"];
    let firsts = [&factors[..], &["4x1", "1x4", "4x2", "2x4", "3x1", "1x3", "3x2", "4x4"]].concat();
    let mut all = ["1x1,4x1,1x1", "4x1,4x1,1x1", "2x1,1x1,3x1"].map(String::from).to_vec();
    for y in firsts {
        for cb in factors {
            all.extend(factors.iter().map(|cr| format!("{y},{cb},{cr}")));
        }
    }
    all
}

#[test]
fn every_layout_of_colour_is_read_as_by_libjpeg_or_refused_by_name() {
    let mut seen = Seen::default();
    let picture = Picture::colour(73, 57);
    for sampling in samplings() {
        for script in BASELINE.iter().chain(&PROGRESSIVE) {
            for restart in RESTARTS {
                let options = ["-sample", &sampling, "-restart", restart];
                let Some(file) = encode(&picture, &options, script) else { continue };
                seen.compare(&format!("{sampling} restart {restart} [{script}]"), &file);
            }
        }
    }
    seen.none_is_wrong();
    assert!(seen.read > 500 && seen.refused > 200, "{} {}", seen.read, seen.refused);
}

#[test]
fn rgb_is_read_as_by_libjpeg_or_refused_by_name() {
    let mut seen = Seen::default();
    let picture = Picture::colour(73, 57);
    for sampling in ["1x1", "2x1", "1x2", "2x2", "1x1,2x1,1x1", "2x2,2x2,1x1", "2x2,2x2,2x2"] {
        for script in ["", "0; 1; 2;", "2; 0; 1;", PROGRESSIVE[1], PROGRESSIVE[2]] {
            for restart in RESTARTS {
                let options = ["-rgb", "-sample", sampling, "-restart", restart];
                let Some(file) = encode(&picture, &options, script) else { continue };
                let outcome = seen.compare(&format!("{sampling} {restart} [{script}]"), &file);
                if sampling == "1x1" {
                    assert_eq!(outcome, Some(Outcome::Read), "{restart} [{script}]");
                }
            }
        }
    }
    seen.none_is_wrong();
}

#[test]
fn the_layouts_that_encoders_write_are_read() {
    let mut seen = Seen::default();
    let sizes = [(73, 57), (16, 16), (17, 9), (9, 17), (1, 1), (200, 8)];
    for (width, height) in sizes {
        for (sampling, scripts) in [
            ("1x1", &["", "progressive", "0; 1; 2;", PROGRESSIVE[2]][..]),
            ("2x1", &["", "progressive", "0; 1; 2;", PROGRESSIVE[2]]),
            ("2x2", &["", "progressive", "0; 1; 2;", "1; 2; 0;", PROGRESSIVE[2]]),
        ] {
            for script in scripts {
                for restart in RESTARTS {
                    let options = ["-sample", sampling, "-restart", restart];
                    let file = encode(&Picture::colour(width, height), &options, script).unwrap();
                    let name = format!("{width}×{height} {sampling} restart {restart} [{script}]");
                    assert_eq!(seen.compare(&name, &file), Some(Outcome::Read), "{name}");
                }
            }
        }
    }
    seen.none_is_wrong();
}

#[test]
fn a_large_picture_is_read_whatever_its_restart_interval() {
    let mut seen = Seen::default();
    let picture = Picture::colour(2_100, 1_300);
    for sampling in ["1x1", "2x1", "2x2"] {
        for script in ["", "progressive", "0; 1; 2;"] {
            for restart in ["0", "1", "4", "100B"] {
                let options = ["-sample", sampling, "-restart", restart];
                let file = encode(&picture, &options, script).unwrap();
                let name = format!("{sampling} restart {restart} [{script}]");
                assert_eq!(seen.compare(&name, &file), Some(Outcome::Read), "{name}");
            }
        }
    }
    seen.none_is_wrong();
}

#[test]
fn grey_is_read_whatever_its_sampling_factor_says() {
    let mut seen = Seen::default();
    for (width, height) in [(73, 57), (16, 16), (1, 1), (700, 500)] {
        for sampling in ["1x1", "2x1", "1x2", "2x2", "4x4", "3x1"] {
            for script in ["", "progressive", "0: 0-0,0,0; 0: 1-63,0,0;"] {
                for restart in RESTARTS {
                    let options = ["-grayscale", "-sample", sampling, "-restart", restart];
                    let file = encode(&Picture::colour(width, height), &options, script).unwrap();
                    let name = format!("{width}×{height} {sampling} {restart} [{script}]");
                    assert_eq!(seen.compare(&name, &file), Some(Outcome::Read), "{name}");
                }
            }
        }
    }
    seen.none_is_wrong();
}

#[test]
fn luma_coarser_than_chroma_in_one_scan_is_refused_by_name() {
    let grey = Picture::grey(640, 480);
    let file = encode(&grey, &["-sample", "1x1,2x1,1x1"], "").unwrap();
    let refused = decode(&file, &Limits::default()).unwrap_err();
    assert_eq!(refused.reason, Reason::UnsupportedFormat);
    assert!(refused.detail.contains("1×1, 2×1, 1×1"), "{}", refused.detail);
}

#[test]
fn inks_are_read_as_by_libjpeg_or_refused_by_name() {
    let mut seen = Seen::default();
    for name in ["cmyk.jpg", "ycck.jpg"] {
        for script in [
            "0 1 2 3;",
            "0; 1; 2; 3;",
            "3; 2; 1; 0;",
            "0 1; 2 3;",
            "0 1 2; 3;",
            "0 1 2 3: 0-0,0,0; 0: 1-63,0,0; 1: 1-63,0,0; 2: 1-63,0,0; 3: 1-63,0,0;",
            "0: 0-0,0,0; 1: 0-0,0,0; 2: 0-0,0,0; 3: 0-0,0,0; 0: 1-63,0,0; 1: 1-63,0,0; \
             2: 1-63,0,0; 3: 1-63,0,0;",
        ] {
            for restart in RESTARTS {
                let file = jpegtran(&fixture(name), &["-restart", restart], script).unwrap();
                seen.compare(&format!("{name} restart {restart} [{script}]"), &file);
            }
        }
    }
    // Sampled: no common tool writes them, so the planes are put together here and moved by jpegtran.
    for transform in [0, 2] {
        for sampling in [
            [(2, 2), (1, 1), (1, 1), (2, 2)],
            [(2, 1), (1, 1), (1, 1), (2, 1)],
            [(1, 2), (1, 1), (1, 1), (1, 2)],
            [(2, 2), (1, 1), (1, 1), (1, 1)],
            [(1, 1), (1, 1), (1, 1), (2, 2)],
        ] {
            let planes = four_planes(72, 56, sampling, transform);
            seen.compare(&format!("{sampling:?} {transform} planes"), &planes);
            for script in [
                "0 1 2 3;",
                "0 1 2 3: 0-0,0,0; 0: 1-63,0,0; 1: 1-63,0,0; 2: 1-63,0,0; 3: 1-63,0,0;",
            ] {
                for restart in RESTARTS {
                    let Some(file) = jpegtran(&planes, &["-restart", restart], script) else {
                        continue;
                    };
                    let name = format!("{sampling:?} {transform} restart {restart} [{script}]");
                    seen.compare(&name, &file);
                }
            }
        }
    }
    seen.none_is_wrong();
    assert!(seen.read > 40, "{}", seen.read);
}

/// Removes the segments with this marker.
fn without(file: &[u8], marker: u8) -> Vec<u8> {
    let mut out = file[..2].to_vec();
    let mut at = 2;
    loop {
        let (found, length) =
            (file[at + 1], usize::from(file[at + 2]) << 8 | usize::from(file[at + 3]));
        let scan = found == 0xda;
        if found != marker {
            out.extend(&file[at..if scan { file.len() } else { at + 2 + length }]);
        }
        if scan {
            return out;
        }
        at += 2 + length;
    }
}

#[test]
fn frames_of_motion_jpeg_have_the_standard_tables() {
    let mut seen = Seen::default();
    for sampling in ["1x1", "2x1", "2x2"] {
        for script in ["", "0; 1; 2;"] {
            // Only the interleaved file has the standard tables; scripts make their own.
            let options = ["-sample", sampling];
            let whole = encode(&Picture::colour(73, 57), &options, script).unwrap();
            let whole = if script.is_empty() { whole } else { continue };
            let bare = without(&whole, 0xc4);
            assert!(bare.len() < whole.len() - 400);
            let avi =
                [&bare[..2], b"\xff\xe0\0\x10AVI1\0\0\0\0\0\0\0\0\0\0", &without(&bare, 0xe0)[2..]]
                    .concat();
            for (name, file) in [("bare", bare), ("AVI1", avi)] {
                assert_eq!(seen.compare(name, &file), Some(Outcome::Read), "{name} {sampling}");
            }
        }
    }
    seen.none_is_wrong();
}

#[test]
fn components_called_rgb_are_ycbcr_in_a_jfif_file() {
    let mut seen = Seen::default();
    let mut file = encode(&Picture::colour(73, 57), &["-sample", "2x2"], "").unwrap();
    for marker in [0xc0, 0xda] {
        let at = file.windows(2).position(|w| w == [0xff, marker]).unwrap();
        let (first, step) = if marker == 0xc0 { (10, 3) } else { (5, 2) };
        (0..3).for_each(|i| file[at + first + i * step] = b"RGB"[i]);
    }
    assert_eq!(seen.compare("JFIF", &file), Some(Outcome::Read));
    // Without JFIF they are what they are called; at that sampling, that is no picture to compare.
    let mut rgb = encode(&Picture::colour(73, 57), &["-rgb"], "").unwrap();
    rgb = without(&without(&rgb, 0xee), 0xe0);
    assert_eq!(seen.compare("RGB", &rgb), Some(Outcome::Read));
    seen.none_is_wrong();
}

#[test]
fn the_fixtures_are_read_as_by_libjpeg() {
    let mut seen = Seen::default();
    for name in FIXTURES.iter().filter(|name| name.ends_with(".jpg") && **name != "turned.jpg") {
        assert_eq!(seen.compare(name, &fixture(name)), Some(Outcome::Read), "{name}");
    }
    seen.none_is_wrong();
}

#[test]
fn a_progressive_file_without_its_last_scans_is_refused() {
    let whole = encode(&Picture::colour(73, 57), &[], PROGRESSIVE[0]).unwrap();
    assert!(decode(&whole, &Limits::default()).is_ok());
    let scans: Vec<usize> =
        (0..whole.len() - 1).filter(|&at| whole[at..at + 2] == [0xff, 0xc4]).collect();
    for cut in &scans[1..] {
        let closed = [&whole[..*cut], &[0xff, 0xd9]].concat();
        let refused = decode(&closed, &Limits::default()).unwrap_err();
        assert_eq!(refused.reason, Reason::Undecodable, "{refused}");
    }
}

#[test]
fn a_scan_of_one_component_that_is_cut_short_is_refused_whichever_it_is() {
    let whole = encode(&Picture::colour(73, 57), &["-sample", "2x2"], "0; 1; 2;").unwrap();
    let starts: Vec<usize> =
        (0..whole.len() - 1).filter(|&at| whole[at..at + 2] == [0xff, 0xda]).collect();
    assert_eq!(starts.len(), 3);
    for (index, &start) in starts.iter().enumerate() {
        // Tables of the next scan stand between two of them.
        let next = starts.get(index + 1).map_or(whole.len() - 2, |&next| {
            let tables = whole[..next].windows(2).rposition(|w| w == [0xff, 0xc4]).unwrap();
            if tables > start { tables } else { next }
        });
        for missing in [8, 20, 50, (next - start) / 2] {
            let mut cut = whole.clone();
            // From the end of the scan, and no half of an escape.
            let mut from = next - missing;
            while cut[from - 1] == 0xff {
                from -= 1;
            }
            cut.drain(from..next);
            let refused = decode(&cut, &Limits::default());
            assert!(refused.is_err(), "scan {index}, {missing} bytes");
        }
    }
}

/// Where the entropy-coded bytes of each restart interval of each scan lie.
fn intervals(file: &[u8]) -> Vec<Vec<std::ops::Range<usize>>> {
    let mut scans = Vec::new();
    let mut at = 2;
    while file[at + 1] != 0xd9 {
        let scan = file[at + 1] == 0xda;
        at += 2 + (usize::from(file[at + 2]) << 8 | usize::from(file[at + 3]));
        if !scan {
            continue;
        }
        let (mut found, mut from) = (Vec::new(), at);
        loop {
            let marker = |w: &[u8]| w[0] == 0xff && w[1] != 0;
            at += file[at..].windows(2).position(marker).expect("a scan ends at a marker");
            found.push(from..at);
            if !(0xd0..0xd8).contains(&file[at + 1]) {
                break;
            }
            at += 2;
            from = at;
        }
        scans.push(found);
    }
    scans
}

/// The file without these bytes, and without the half of an escape before them.
fn without_bytes(file: &[u8], mut hole: std::ops::Range<usize>) -> Vec<u8> {
    while file[hole.start - 1] == 0xff {
        hole.start -= 1;
    }
    [&file[..hole.start], &file[hole.end..]].concat()
}

/// Files of every kind that encoders write, with what each is.
fn files_of_every_kind(restarts: &[&str]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let picture = Picture::colour(173, 157);
    for (sampling, colours) in
        [("1x1", "-grayscale"), ("1x1", "-rgb"), ("1x1", ""), ("2x1", ""), ("2x2", "")]
    {
        let scripts = match colours {
            "-grayscale" => &["", "progressive", "0: 0-0,0,0; 0: 1-63,0,0;"][..],
            _ => &["", "progressive", "0; 1; 2;", PROGRESSIVE[0], PROGRESSIVE[2], PROGRESSIVE[3]],
        };
        for script in scripts {
            for restart in restarts {
                let options = ["-sample", sampling, "-restart", restart, colours];
                let options = &options[..if colours.is_empty() { 4 } else { 5 }];
                let file = encode(&picture, options, script).expect("it is written");
                assert!(decode(&file, &Limits::default()).is_ok());
                files.push((format!("{colours} {sampling} restart {restart} [{script}]"), file));
            }
        }
    }
    files
}

/// The mean difference between two pictures, grey levels.
fn difference(one: &[u8], other: &[u8]) -> f64 {
    let sum: u64 = one.iter().zip(other).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / one.len() as f64
}

#[test]
fn a_file_of_which_bytes_are_missing_before_any_marker_is_refused() {
    let (mut tried, mut read, mut unseen) = (0, Vec::new(), 0);
    for (name, file) in files_of_every_kind(&RESTARTS) {
        let whole = decode(&file, &Limits::default()).unwrap();
        for (s, scan) in intervals(&file).iter().enumerate() {
            for (i, interval) in scan.iter().enumerate() {
                for part in [2, 5] {
                    let hole = interval.end - interval.len() / part..interval.end;
                    if hole.len() < 8 {
                        continue;
                    }
                    tried += 1;
                    let missing = hole.len();
                    match decode(&without_bytes(&file, hole), &Limits::default()) {
                        Err(_) => {}
                        // The lowest bits of a few coefficients, which have no code.
                        Ok(cut) if difference(&cut.pixels, &whole.pixels) < 0.1 => unseen += 1,
                        Ok(_) => read.push(format!("{name}: scan {s}/{i}, {missing} bytes")),
                    }
                }
            }
        }
    }
    assert!(tried > 10_000 && unseen * 1_000 < tried, "{tried}, {unseen}");
    assert!(read.is_empty(), "{} of {tried} are read:\n{}", read.len(), read.join("\n"));
}

#[test]
fn a_file_without_one_of_its_restart_intervals_is_refused() {
    for (name, file) in files_of_every_kind(&RESTARTS[1..]) {
        for scan in intervals(&file) {
            for (i, pair) in scan.windows(2).enumerate().step_by(3) {
                // With the marker before it, and with the one behind it.
                for hole in [pair[0].end..pair[1].end, pair[0].start..pair[1].start] {
                    let refused = decode(&without_bytes(&file, hole), &Limits::default());
                    assert!(refused.is_err(), "{name}: interval {i}");
                }
            }
            // As many as are counted before the markers repeat themselves.
            if let Some(hole) = scan.get(8).map(|ninth| scan[0].start..ninth.start) {
                let refused = decode(&without_bytes(&file, hole), &Limits::default());
                assert!(refused.is_err(), "{name}: eight intervals");
            }
        }
    }
}

#[test]
fn a_progressive_file_without_one_of_its_scans_is_refused() {
    for (name, file) in files_of_every_kind(&["0"]) {
        let scans = intervals(&file);
        if !file.windows(2).any(|w| w == [0xff, 0xc2]) {
            continue;
        }
        for (i, scan) in scans.iter().enumerate() {
            // The header before its bytes is 8 bytes long, and 2 more for each component.
            let header = file[..scan[0].start].windows(2).rposition(|w| w == [0xff, 0xda]).unwrap();
            let hole = header..scan[scan.len() - 1].end;
            let refused = decode(&without_bytes(&file, hole), &Limits::default());
            assert!(refused.is_err(), "{name}: scan {i} of {}", scans.len());
        }
    }
}

#[test]
fn the_comparison_tells_one_picture_from_another() {
    let (one, mirrored) = (Picture::colour(73, 57), texture(73, 57));
    let difference: u64 = colours(&one)
        .iter()
        .zip(mirrored.iter().rev())
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    assert!(difference as f64 / mirrored.len() as f64 > 20.0 * TOLERANCE);
    assert!(chroma_mean(&ppm(&one)) > 10.0 * CHROMA_TOLERANCE);
}
