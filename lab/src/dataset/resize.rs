//! Pictures at a smaller training resolution.

use lobar_model::preprocessing::SIDE;
use rayon::prelude::*;

use super::Sample;

/// The samples' pictures at `side`×`side`, bilinear with antialiasing as in serving.
///
/// # Errors
/// A sample does not hold 224×224 levels.
pub fn pictures(samples: &[Sample], side: usize) -> Result<Vec<Vec<u8>>, String> {
    samples.par_iter().map(|sample| resized(&sample.pixels, side)).collect()
}

fn resized(pixels: &[u8], side: usize) -> Result<Vec<u8>, String> {
    if side == SIDE {
        return Ok(pixels.to_vec());
    }
    let (full, small) = (SIDE as u32, side as u32);
    lobar_imaging::resize(pixels, (full, full), (small, small))
        .ok_or_else(|| format!("{} levels are no picture of {SIDE}×{SIDE}", pixels.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_picture_keeps_the_mean_and_the_serving_size_keeps_every_pixel() {
        let pixels: Vec<u8> = (0..SIDE * SIDE).map(|index| (index % SIDE) as u8).collect();
        assert_eq!(resized(&pixels, SIDE).unwrap(), pixels);
        let small = resized(&pixels, 64).unwrap();
        assert_eq!(small.len(), 64 * 64);
        let mean = small.iter().map(|&level| f64::from(level)).sum::<f64>() / 4096.0;
        assert!((mean - 111.5).abs() < 1.0, "{mean}");
        assert!(resized(&pixels[1..], 64).is_err());
    }
}
