//! What the fuzz targets `image`, `dicom`, `rle` and `jpeg_lossless` run, and what every one of their seeds must hold (`docs/fuzzing.md`).
//! Built for tests and for fuzzing only.

use crate::dicom::trial;
use crate::jpeg::structure;
use crate::{Limits, decode, network_input, picture_png, prepare, sniff};

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Runs a target on every file of the folders; how many there were.
    fn run(target: fn(&[u8]), folders: &[&str]) -> usize {
        let mut seeds = 0;
        for folder in folders {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let entries = std::fs::read_dir(folder).expect("seeds");
            let paths = entries.map(|entry| entry.expect("a seed").path());
            for file in paths.filter(|path| path.is_file()) {
                target(&std::fs::read(file).expect("read"));
                seeds += 1;
            }
        }
        seeds
    }

    #[test]
    fn every_seed_of_the_fuzz_targets_is_read() {
        assert!(run(super::image, &["tests/fixtures", "../fuzz/seeds/image"]) > 20);
        let files = ["tests/fixtures", "tests/fixtures/dicom", "../fuzz/seeds/dicom"];
        assert!(run(super::dicom, &files) > 40);
        assert!(run(super::rle, &["../fuzz/seeds/rle"]) >= 4);
        assert!(run(super::jpeg_lossless, &["../fuzz/seeds/jpeg_lossless"]) >= 4);
    }
}
