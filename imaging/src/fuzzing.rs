//! What the fuzz targets `image`, `dicom`, `rle` and `jpeg_lossless` run, and what every one of their seeds must hold (`docs/fuzzing.md`).
//! Built for tests and for fuzzing only.

use crate::dicom::trial;
use crate::jpeg::structure;
use crate::{Limits, decode, decode_full_depth, network_input, picture_png, prepare, sniff};

/// Small, so that time goes into many files and not into large ones.
const LIMITS: Limits = Limits { max_bytes: 1 << 20, max_pixels: 1 << 18, max_side: 2_048 };

/// Reads `bytes` as an uploaded file. Panics when what was read breaks a promise.
pub fn image(bytes: &[u8]) {
    let _ = sniff(bytes);
    if let Ok(structure) = structure::read(bytes) {
        assert!(!structure.components.is_empty() && structure.scans().count() > 0);
        let coded: usize = structure.scans().map(|scan| scan.data.len()).sum();
        assert!(coded < bytes.len(), "scans overlap");
    }
    let Ok(radiograph) = decode(bytes, &LIMITS) else {
        assert!(prepare(bytes, &LIMITS).is_err(), "prepared, although it cannot be decoded");
        return;
    };
    let (width, height) = (radiograph.width, radiograph.height);
    let pixels = u64::from(width) * u64::from(height);
    assert!(width.max(height) <= LIMITS.max_side && (1..=LIMITS.max_pixels).contains(&pixels));
    assert_eq!(radiograph.pixels.len() as u64, pixels);
    let _ = network_input(&radiograph);
    let _ = prepare(bytes, &LIMITS);
    assert!(picture_png(&radiograph, 64).is_ok(), "decoded, and cannot be shown");
    let full = decode_full_depth(bytes, &LIMITS).expect("what has a picture has it at full depth");
    assert_eq!((full.width, full.height), (width, height));
    assert!(!full.windows.is_empty() && full.scale.slope != 0.0);
    assert!(full.png("{}").is_ok(), "decoded at full depth, and cannot be given");
}

/// Reads `bytes` as a DICOM file, and as a data set however it may be written.
pub fn dicom(bytes: &[u8]) {
    let _ = crate::attributes(bytes);
    trial::data_set(bytes);
}

/// Width and height, of at most 256 each, and what is left of the bytes.
fn size(bytes: &[u8]) -> Option<((u16, u16), &[u8])> {
    let (&[width, height], rest) = bytes.split_first_chunk()?;
    Some(((u16::from(width) + 1, u16::from(height) + 1), rest))
}

/// Reads what follows two bytes of size as a frame in RLE, of 8 and of 16 bits.
pub fn rle(bytes: &[u8]) {
    let Some((size, frame)) = size(bytes) else { return };
    trial::rle(frame, size);
}

/// Reads what follows two bytes of size as a JPEG lossless stream.
pub fn jpeg_lossless(bytes: &[u8]) {
    let Some((size, stream)) = size(bytes) else { return };
    trial::lossless(stream, size);
}

/// Damages files, by Marsaglia's xorshift: the same on every run.
#[cfg(test)]
pub(crate) struct Damage(pub(crate) u64);

#[cfg(test)]
impl Damage {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    /// A copy with a few changes.
    pub(crate) fn damage(&mut self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len());
            if bytes.is_empty() {
                break;
            }
            match self.below(5) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, 0xfe, 0xd9][self.below(7)],
                2 => drop(bytes.drain(at..(at + 1 + self.below(16)).min(bytes.len()))),
                3 => bytes.insert(at, self.below(256) as u8),
                _ => bytes.truncate(at + 1),
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Damage;

    fn files(folders: &[&str]) -> Vec<Vec<u8>> {
        let mut files = Vec::new();
        for folder in folders {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let entries = std::fs::read_dir(folder).expect("seeds");
            let paths = entries.map(|entry| entry.expect("a seed").path());
            let read = |path| std::fs::read(path).expect("read");
            files.extend(paths.filter(|path| path.is_file()).map(read));
        }
        files
    }

    /// Runs a target on every file of the folders, and on damaged copies of them; how many there were.
    fn run(target: fn(&[u8]), folders: &[&str], damaged: usize) -> usize {
        let mut random = Damage(0x9e37_79b9_7f4a_7c15);
        let seeds = files(folders);
        seeds.iter().for_each(|seed| target(seed));
        for round in 0..damaged {
            target(&random.damage(&seeds[round % seeds.len()]));
        }
        seeds.len()
    }

    #[test]
    fn every_seed_of_the_fuzz_targets_is_read() {
        assert!(run(super::image, &["tests/fixtures", "../fuzz/seeds/image"], 0) > 20);
        let of_dicom = ["tests/fixtures", "tests/fixtures/dicom", "../fuzz/seeds/dicom"];
        assert!(run(super::dicom, &of_dicom, 4_000) > 40);
        assert!(run(super::rle, &["../fuzz/seeds/rle"], 4_000) >= 4);
        assert!(run(super::jpeg_lossless, &["../fuzz/seeds/jpeg_lossless"], 4_000) >= 4);
    }
}
