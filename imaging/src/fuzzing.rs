//! What the fuzz target `image` runs, and what every one of its seeds must hold (`docs/fuzzing.md`).
//! Built for tests and for fuzzing only.

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn every_seed_of_the_fuzz_target_is_read() {
        let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut seeds = 0;
        for folder in ["tests/fixtures", "../fuzz/seeds/image"] {
            for file in std::fs::read_dir(crate_folder.join(folder)).expect("seeds") {
                super::image(&std::fs::read(file.expect("a seed").path()).expect("read"));
                seeds += 1;
            }
        }
        assert!(seeds > 20, "{seeds} seeds");
    }
}
