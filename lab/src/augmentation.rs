//! Random changes to a training picture that leave its label true.
//!
//! Geometry (flip, rotation, anisotropic scale, shift) is one bilinear resampling. The scale is
//! anisotropic on purpose: in this data the aspect ratio alone tells the classes apart, and squashing
//! pictures at random keeps the network from learning that. Light (gamma, contrast, brightness, a
//! gradient across the picture), sharpness and noise vary as they do between X-ray units.

use image::{ExtendedColorType, ImageEncoder as _, ImageFormat};
use rand::Rng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

/// How strong the changes may be. Each picture draws its own within these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Augmentation {
    /// Probability of mirroring left and right.
    pub flip: f64,
    /// Largest rotation to either side, degrees.
    pub rotation: f32,
    /// Largest logarithm of the scale of either axis.
    pub scale: f32,
    /// Largest shift of either axis, as a share of the side.
    pub shift: f32,
    /// Largest logarithm of gamma.
    pub gamma: f32,
    /// Largest logarithm of the contrast around the picture's mean.
    pub contrast: f32,
    /// Largest brightness offset, on the scale 0..=1.
    pub brightness: f32,
    /// Largest difference of brightness between opposite edges.
    pub gradient: f32,
    /// Probability of blurring or sharpening.
    pub sharpness: f64,
    /// Largest standard deviation of added noise, on the scale 0..=1.
    pub noise: f32,
    /// Probability of erasing a rectangle.
    pub erase: f64,
    /// Probability of a coarser picture: each axis resized to a share of its pixels and back. In this data
    /// sharpness alone tells the classes apart too, because the originals have other sizes.
    #[serde(default)]
    pub coarse: f64,
    /// Probability that what comes in from outside is one random grey, not black.
    #[serde(default)]
    pub border: f64,
    /// Probability of a picture squeezed along one axis between bars, as one that was padded to another shape.
    #[serde(default)]
    pub letterbox: f64,
    /// Probability of a passage through JPEG, of a quality between 20 and 95.
    #[serde(default)]
    pub jpeg: f64,
}

/// The least share of its pixels that either axis of a coarser picture keeps.
const COARSEST: f64 = 0.35;
/// The least share of the side that the squeezed axis of a letterboxed picture keeps.
const NARROWEST: f32 = 0.6;

impl Default for Augmentation {
    fn default() -> Self {
        Self {
            flip: 0.5,
            rotation: 12.0,
            scale: 0.22,
            shift: 0.13,
            gamma: 0.45,
            contrast: 0.4,
            brightness: 0.15,
            gradient: 0.25,
            sharpness: 0.4,
            noise: 0.03,
            erase: 0.4,
            coarse: 0.6,
            border: 0.5,
            letterbox: 0.2,
            jpeg: 0.2,
        }
    }
}

impl Augmentation {
    /// No change at all.
    pub const NONE: Self = Self {
        flip: 0.0,
        rotation: 0.0,
        scale: 0.0,
        shift: 0.0,
        gamma: 0.0,
        contrast: 0.0,
        brightness: 0.0,
        gradient: 0.0,
        sharpness: 0.0,
        noise: 0.0,
        erase: 0.0,
        coarse: 0.0,
        border: 0.0,
        letterbox: 0.0,
        jpeg: 0.0,
    };

    /// A changed copy of a square picture of `side`×`side` grey levels, on the scale 0.0..=255.0.
    ///
    /// # Panics
    /// If `pixels` does not hold `side * side` levels.
    #[must_use]
    pub fn apply(&self, pixels: &[u8], side: usize, random: &mut StdRng) -> Vec<f32> {
        assert_eq!(pixels.len(), side * side, "a square picture");
        let coarser = self.coarsen(pixels, side, random);
        let mut changed = self.move_about(coarser.as_deref().unwrap_or(pixels), side, random);
        self.relight(&mut changed, side, random);
        self.resharpen(&mut changed, side, random);
        self.add_noise(&mut changed, random);
        self.compress(&mut changed, side, random);
        self.erase_rectangle(&mut changed, side, random);
        changed
    }

    /// The picture as if its original had had fewer pixels; none if it stays as it is.
    fn coarsen(&self, pixels: &[u8], side: usize, random: &mut StdRng) -> Option<Vec<u8>> {
        // Without it not a draw is taken: runs of before stay as they were.
        if self.coarse == 0.0 || !random.random_bool(self.coarse) {
            return None;
        }
        let full = side as u32;
        let mut fewer = || ((side as f64 * random.random_range(COARSEST..1.0)) as u32).max(1);
        let size = (fewer(), fewer());
        let small = lobar_imaging::resize(pixels, (full, full), size)?;
        lobar_imaging::resize(&small, size, (full, full))
    }

    /// Flip, rotation, scale and shift in one bilinear resampling; black or one grey comes in from outside.
    fn move_about(&self, pixels: &[u8], side: usize, random: &mut StdRng) -> Vec<f32> {
        let mirror = if random.random_bool(self.flip) { -1.0 } else { 1.0 };
        let (sin, cos) = within(random, self.rotation).to_radians().sin_cos();
        let (mut scale_x, mut scale_y) =
            (within(random, self.scale).exp(), within(random, self.scale).exp());
        let (shift_x, shift_y) = (within(random, self.shift), within(random, self.shift));
        // Draws are taken only for what is asked for: runs of before stay as they were.
        let outside = match self.border > 0.0 && random.random_bool(self.border) {
            true => random.random_range(0.0..255.0_f32),
            false => 0.0,
        };
        if self.letterbox > 0.0 && random.random_bool(self.letterbox) {
            let narrow = random.random_range(NARROWEST..1.0);
            *(if random.random_bool(0.5) { &mut scale_x } else { &mut scale_y }) *= narrow;
        }
        let centre = (side as f32 - 1.0) / 2.0;
        let (shift_x, shift_y) = (shift_x * side as f32, shift_y * side as f32);
        let level = |x: i64, y: i64| {
            let inside = (0..side as i64).contains(&x) && (0..side as i64).contains(&y);
            if inside { f32::from(pixels[y as usize * side + x as usize]) } else { outside }
        };
        let mut moved = Vec::with_capacity(side * side);
        for row in 0..side {
            let v = row as f32 - centre - shift_y;
            for column in 0..side {
                let u = column as f32 - centre - shift_x;
                let x = mirror * (cos * u + sin * v) / scale_x + centre;
                let y = (cos * v - sin * u) / scale_y + centre;
                let (left, top) = (x.floor(), y.floor());
                let (right_share, low_share) = (x - left, y - top);
                let (left, top) = (left as i64, top as i64);
                let upper =
                    level(left, top) * (1.0 - right_share) + level(left + 1, top) * right_share;
                let lower = level(left, top + 1) * (1.0 - right_share)
                    + level(left + 1, top + 1) * right_share;
                moved.push(upper * (1.0 - low_share) + lower * low_share);
            }
        }
        moved
    }

    /// Gamma, contrast, brightness, and a gradient across the picture in a random direction.
    fn relight(&self, pixels: &mut [f32], side: usize, random: &mut StdRng) {
        let gamma = within(random, self.gamma).exp();
        let contrast = within(random, self.contrast).exp();
        let brightness = within(random, self.brightness) * 255.0;
        let (sin, cos) = random.random_range(0.0..std::f32::consts::TAU).sin_cos();
        let slope = within(random, self.gradient) * 255.0 / side as f32;
        if self.gamma > 0.0 {
            // Levels are few: a table of 8-bit ones, interpolated, saves a power per pixel.
            let table: Vec<f32> =
                (0..=256).map(|level| (level as f32 / 255.0).powf(gamma) * 255.0).collect();
            for level in &mut *pixels {
                let below = (*level as usize).min(255);
                let share = *level - below as f32;
                *level = table[below] * (1.0 - share) + table[below + 1] * share;
            }
        }
        let mean = pixels.iter().sum::<f32>() / pixels.len() as f32;
        // At identity a pixel must come back untouched to the last bit.
        if contrast == 1.0 && brightness == 0.0 && slope == 0.0 {
            return;
        }
        let centre = (side as f32 - 1.0) / 2.0;
        for (index, level) in pixels.iter_mut().enumerate() {
            let (u, v) = ((index % side) as f32 - centre, (index / side) as f32 - centre);
            let relit =
                (*level - mean) * contrast + mean + brightness + slope * (cos * u + sin * v);
            *level = relit.clamp(0.0, 255.0);
        }
    }

    /// Blends with a 3×3 blur: towards it (softer) or away from it (sharper).
    fn resharpen(&self, pixels: &mut [f32], side: usize, random: &mut StdRng) {
        if !random.random_bool(self.sharpness) {
            return;
        }
        let blend: f32 = random.random_range(-1.0..1.0);
        let mut across = pixels.to_vec();
        for (out, row) in across.chunks_exact_mut(side).zip(pixels.chunks_exact(side)) {
            for x in 1..side - 1 {
                out[x] = (row[x - 1] + 2.0 * row[x] + row[x + 1]) / 4.0;
            }
        }
        for y in 1..side - 1 {
            for x in 0..side {
                let at = y * side + x;
                let blurred = (across[at - side] + 2.0 * across[at] + across[at + side]) / 4.0;
                let level = &mut pixels[at];
                *level = (*level + blend * (blurred - *level)).clamp(0.0, 255.0);
            }
        }
    }

    fn add_noise(&self, pixels: &mut [f32], random: &mut StdRng) {
        let strength = random.random_range(0.0..=1.0_f32) * self.noise * 255.0;
        if strength == 0.0 || random.random_bool(0.5) {
            return;
        }
        for level in pixels {
            // The sum of three uniform draws is normal enough, and cheap: its variance is 1.
            let draw: f32 = (0..3).map(|_| random.random_range(-1.0..1.0_f32)).sum();
            *level = (*level + strength * draw).clamp(0.0, 255.0);
        }
    }

    /// Through JPEG and back, as films come from archives and phones.
    fn compress(&self, pixels: &mut [f32], side: usize, random: &mut StdRng) {
        if self.jpeg == 0.0 || !random.random_bool(self.jpeg) {
            return;
        }
        let quality = random.random_range(20..=95);
        let levels: Vec<u8> = pixels.iter().map(|level| level.round() as u8).collect();
        if let Some(passed) = through_jpeg(&levels, side, quality) {
            for (level, passed) in pixels.iter_mut().zip(passed) {
                *level = f32::from(passed);
            }
        }
    }

    /// Random erasing (Zhong et al. 2017): 2 to 20 % of the picture become one random level.
    fn erase_rectangle(&self, pixels: &mut [f32], side: usize, random: &mut StdRng) {
        if !random.random_bool(self.erase) {
            return;
        }
        let area = random.random_range(0.02..0.2_f32) * (side * side) as f32;
        let ratio = random.random_range(-1.0..1.0_f32).exp();
        let width = ((area * ratio).sqrt() as usize).clamp(1, side);
        let height = ((area / ratio).sqrt() as usize).clamp(1, side);
        let (left, top) =
            (random.random_range(0..=side - width), random.random_range(0..=side - height));
        let level = random.random_range(0.0..255.0);
        for row in pixels.chunks_exact_mut(side).skip(top).take(height) {
            row[left..left + width].fill(level);
        }
    }
}

/// A square grey picture as JPEG of this quality (1 to 100) gives it back; `None` if `pixels` is none.
pub(crate) fn through_jpeg(pixels: &[u8], side: usize, quality: u8) -> Option<Vec<u8>> {
    if pixels.len() != side * side {
        return None;
    }
    let mut file = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, quality);
    let written = encoder.write_image(pixels, side as u32, side as u32, ExtendedColorType::L8);
    written.ok()?;
    let read = image::load_from_memory_with_format(&file, ImageFormat::Jpeg).ok()?;
    Some(read.into_luma8().into_raw())
}

/// A uniform draw from `-limit..=limit`.
fn within(random: &mut StdRng, limit: f32) -> f32 {
    limit * random.random_range(-1.0..=1.0_f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn picture(side: usize) -> Vec<u8> {
        (0..side * side).map(|index| (index * 37 % 251) as u8).collect()
    }

    #[test]
    fn no_augmentation_gives_back_the_very_picture() {
        let pixels = picture(16);
        let changed = Augmentation::NONE.apply(&pixels, 16, &mut StdRng::seed_from_u64(1));
        let same: Vec<f32> = pixels.iter().map(|&level| f32::from(level)).collect();
        assert_eq!(changed, same);
    }

    #[test]
    fn a_certain_flip_alone_mirrors_left_and_right() {
        let pixels = picture(16);
        let flip = Augmentation { flip: 1.0, ..Augmentation::NONE };
        let changed = flip.apply(&pixels, 16, &mut StdRng::seed_from_u64(1));
        for (index, level) in changed.iter().enumerate() {
            let (x, y) = (index % 16, index / 16);
            assert_eq!(*level, f32::from(pixels[y * 16 + 15 - x]));
        }
    }

    #[test]
    fn a_certainly_coarser_picture_has_weaker_edges_and_the_same_mean() {
        let pixels = picture(64);
        let coarse = Augmentation { coarse: 1.0, ..Augmentation::NONE };
        let changed = coarse.apply(&pixels, 64, &mut StdRng::seed_from_u64(1));
        let before: Vec<f32> = pixels.iter().map(|&level| f32::from(level)).collect();
        let mean = |levels: &[f32]| levels.iter().sum::<f32>() / levels.len() as f32;
        let edges =
            |levels: &[f32]| levels.windows(2).map(|two| (two[0] - two[1]).abs()).sum::<f32>();
        assert!((mean(&before) - mean(&changed)).abs() < 2.0);
        assert!(edges(&changed) < 0.7 * edges(&before), "{} {}", edges(&changed), edges(&before));
    }

    #[test]
    fn full_augmentation_changes_the_picture_within_its_range_and_repeats_with_its_seed() {
        let pixels = picture(32);
        for seed in 0..50 {
            let apply =
                || Augmentation::default().apply(&pixels, 32, &mut StdRng::seed_from_u64(seed));
            let changed = apply();
            assert_eq!(changed, apply());
            assert!(changed.iter().all(|level| (0.0..=255.0).contains(level)));
            assert!(
                changed.iter().zip(&pixels).any(|(new, old)| (new - f32::from(*old)).abs() > 1.0)
            );
        }
    }

    #[test]
    fn a_letterboxed_picture_has_bars_of_one_grey_on_two_opposite_sides() {
        let white = vec![255; 64 * 64];
        let bars = Augmentation { letterbox: 1.0, border: 1.0, ..Augmentation::NONE };
        for seed in 0..20 {
            let changed = bars.apply(&white, 64, &mut StdRng::seed_from_u64(seed));
            let at = |x: usize, y: usize| changed[y * 64 + x];
            let (beside, above) = (at(0, 32), at(32, 0));
            assert!((at(32, 32) - 255.0).abs() < 1e-3);
            let bar = beside.min(above);
            assert!(bar < 254.9 && (beside.max(above) - 255.0).abs() < 1e-3, "{beside} {above}");
            assert!((at(63, 32).min(at(32, 63)) - bar).abs() < 1e-3);
        }
    }

    #[test]
    fn a_passage_through_jpeg_keeps_the_picture_and_loses_detail_by_its_quality() {
        let pixels = picture(64);
        let lost = |quality| -> f64 {
            let passed = through_jpeg(&pixels, 64, quality).unwrap();
            let pairs = pixels.iter().zip(&passed);
            pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).sum::<f64>() / 4096.0
        };
        assert!(lost(95) < 6.0 && lost(20) > 2.0 * lost(95), "{} {}", lost(95), lost(20));
        assert_eq!(through_jpeg(&pixels[1..], 64, 50), None);
    }
}
