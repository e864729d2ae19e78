//! One picture, as far as a survey needs it: figures, and no pixels.

use std::path::Path;

use lobar_model::preprocessing::SIDE;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::dataset::{
    Class, Corner, Etiology, Manifest, Split, burnt_in_text, decoded, identify, sharpness,
};

/// Bins of a picture's grey levels.
pub(super) const LEVEL_BINS: usize = 32;
/// Columns compared and rows of the perceptual hash: 256 bits.
const HASH_SIDE: usize = 16;

/// What is known of one picture.
#[derive(Clone, Debug)]
pub struct PictureRecord {
    /// Its place among all files, sorted by split, class and name; from 1.
    pub number: usize,
    /// File name.
    pub name: String,
    /// Its folder.
    pub split: Split,
    /// Its label.
    pub class: Class,
    /// The cause that file name or manifest tells.
    pub subtype: Option<Etiology>,
    /// Who is shown, where known.
    pub patient: Option<String>,
    /// Width and height of the original, where known.
    pub original_size: Option<(u32, u32)>,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// Size of the file, bytes.
    pub bytes: u64,
    /// Mean grey level of the network's input, 0..=255.
    pub brightness: f64,
    /// Standard deviation of its grey levels.
    pub contrast: f64,
    /// Variance of its Laplacian.
    pub sharpness: f64,
    /// The corners in which text is burnt in.
    pub text: Vec<Corner>,
    /// Shares of its pixels in 32 bins of grey levels.
    pub levels: [f32; LEVEL_BINS],
    /// Difference hash: whether each of 16 × 16 cells is brighter than its left neighbour.
    pub hash: [u64; 4],
    /// Why serving would not assess it, where it would not.
    pub gate: Option<&'static str>,
}

/// A file that is no usable picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnreadableFile {
    /// Its place among all files.
    pub number: usize,
    /// File name; left out unless names are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its folder.
    pub split: Split,
    /// Its label.
    pub class: Class,
    /// What the decoder said.
    pub why: String,
}

impl PictureRecord {
    /// Reads and measures one file.
    pub(super) fn read(
        number: usize,
        (split, class, path): &(Split, Class, std::path::PathBuf),
        manifest: &Manifest,
    ) -> Result<Self, UnreadableFile> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let refused = |why: String| UnreadableFile {
            number,
            name: Some(name.clone()),
            split: *split,
            class: *class,
            why,
        };
        let bytes = read(path).map_err(refused)?;
        let seen = decoded(&bytes).map_err(|e| refused(e.to_string()))?;
        let gate = lobar_imaging::check_shape_and_colour(&seen.radiograph)
            .and_then(|()| lobar_imaging::check_contrast(&seen.input))
            .err()
            .map(|rejection| rejection.reason.code());
        let row = manifest.row(split.name(), &name);
        let identity = identify(&name);
        let subtype = row.and_then(|row| row.subtype);
        let subtype = subtype.or(identity.as_ref().and_then(|it| it.subtype));
        let patient = identity.map(|it| it.patient).or_else(|| row.map(|row| row.patient.clone()));
        let pixels = seen.input.pixels();
        let (brightness, contrast) = moments(pixels);
        Ok(Self {
            number,
            split: *split,
            class: *class,
            subtype: subtype.filter(|_| *class == Class::Pneumonia),
            patient,
            original_size: row.and_then(|row| row.original_size).or(seen.size()),
            sha256: Sha256::digest(&bytes).into(),
            bytes: bytes.len() as u64,
            brightness,
            contrast,
            sharpness: sharpness(pixels, SIDE),
            text: burnt_in_text(pixels),
            levels: levels(pixels),
            hash: difference_hash(pixels).map_err(refused)?,
            gate,
            name,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|e| e.to_string())
}

/// Mean and standard deviation.
fn moments(pixels: &[u8]) -> (f64, f64) {
    let count = pixels.len().max(1) as f64;
    let sum: u64 = pixels.iter().map(|&level| u64::from(level)).sum();
    let squares: u64 = pixels.iter().map(|&level| u64::from(level).pow(2)).sum();
    let mean = sum as f64 / count;
    (mean, (squares as f64 / count - mean * mean).max(0.0).sqrt())
}

fn levels(pixels: &[u8]) -> [f32; LEVEL_BINS] {
    let mut bins = [0.0; LEVEL_BINS];
    for &level in pixels {
        bins[usize::from(level) * LEVEL_BINS / 256] += 1.0 / pixels.len() as f32;
    }
    bins
}

/// dHash (Krawetz 2013) of 256 bits: coarse brightness steps survive saving again, another size and
/// another contrast; they do not survive turning, cropping or mirroring.
fn difference_hash(pixels: &[u8]) -> Result<[u64; 4], String> {
    let (width, height) = (HASH_SIDE as u32 + 1, HASH_SIDE as u32);
    let full = SIDE as u32;
    let small = lobar_imaging::resize(pixels, (full, full), (width, height))
        .ok_or_else(|| format!("{} levels are no picture of {SIDE}×{SIDE}", pixels.len()))?;
    let mut hash = [0; 4];
    for (row, cells) in small.chunks(HASH_SIDE + 1).enumerate() {
        for (column, pair) in cells.windows(2).enumerate() {
            let bit = row * HASH_SIDE + column;
            hash[bit / 64] |= u64::from(pair[1] > pair[0]) << (bit % 64);
        }
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brightness_contrast_and_levels_are_those_computed_by_hand() {
        let (mean, deviation) = moments(&[0, 0, 200, 200]);
        assert!((mean - 100.0).abs() < 1e-12 && (deviation - 100.0).abs() < 1e-9);
        let bins = levels(&[0, 7, 8, 255]);
        assert_eq!((bins[0], bins[1], bins[31]), (0.5, 0.25, 0.25));
    }

    #[test]
    fn the_hash_tells_where_it_grows_brighter() {
        // Brighter to the right in the upper half, darker in the lower.
        let pixels: Vec<u8> = (0..SIDE * SIDE)
            .map(|at| (if at / SIDE < SIDE / 2 { at % SIDE } else { SIDE - at % SIDE }) as u8)
            .collect();
        let hash = difference_hash(&pixels).unwrap();
        assert_eq!(hash, [u64::MAX, u64::MAX, 0, 0]);
        let brighter: Vec<u8> = pixels.iter().map(|level| level / 2 + 40).collect();
        assert_eq!(difference_hash(&brighter).unwrap(), hash);
        assert!(difference_hash(&pixels[1..]).is_err());
    }
}
