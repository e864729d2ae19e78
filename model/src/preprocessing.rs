//! Preprocessing version `grey224-v1`: what stands between an 8-bit grey picture and the network.
//!
//! The picture is resized straight to 224×224 (aspect ratio not kept, bilinear with antialiasing),
//! then every pixel `p` in 0..=255 becomes `(p / 255 - MEAN) / STD`. One constant serves all three
//! input channels (the averages of ImageNet's three), so the three stay equal and the engine may
//! fold them into one without changing a bit of the border's zero padding.
//!
//! A model version is bound to its preprocessing version: training, evaluation and the engine all
//! read these constants from here.

/// Name of this preprocessing, as a model's card carries it.
pub const VERSION: &str = "grey224-v1";

/// Width and height of the network's input when serving, in pixels.
pub const SIDE: usize = 224;

/// Subtracted from a pixel after it is scaled to 0..=1.
pub const MEAN: f32 = 0.449;

/// Divides a pixel after the mean is subtracted.
pub const STD: f32 = 0.226;

/// One 8-bit grey level as the network sees it.
#[must_use]
pub fn normalise(grey: u8) -> f32 {
    normalise_level(f32::from(grey))
}

/// One grey level on the scale of 0.0..=255.0 as the network sees it.
#[must_use]
pub fn normalise_level(grey: f32) -> f32 {
    (grey / 255.0 - MEAN) / STD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_and_white_map_to_the_documented_ends() {
        assert!((normalise(0) - -1.986_726).abs() < 1e-5);
        assert!((normalise(255) - 2.438_053).abs() < 1e-5);
    }
}
