//! What is certainly not a chest radiograph, by rules that can be explained. Not a classifier: a hand
//! or a scanned page passes; a person sees every result.
//!
//! | rule | bound | real radiographs |
//! |---|---|---|
//! | size | at least 100 pixels a side | smallest side 140 |
//! | shape | at most 4 to 1 | 0.84 to 3.18 wide to high |
//! | colour | at most 15 % of pixels with chroma above 40 | 0 % |
//! | contrast | 1st to 99th percentile at least 16 grey levels apart | at least 85 apart |
//!
//! Measured on the Kermany 2018 set: sizes on 1,611 originals, colour on 80 originals, contrast on
//! 5,749 inputs of the network.

use lobar_core::engine::NetworkInput;
use lobar_core::image::Reason;

use crate::{Chroma, Radiograph, Rejection};

/// Shortest side accepted, pixels.
const MIN_SIDE: u32 = 100;
/// Longer side over shorter side accepted.
const MAX_ASPECT: f64 = 4.0;
/// Share of strongly coloured pixels accepted: coloured marks and a tint pass, a photograph does not.
const MAX_COLOURED: f64 = 0.15;
/// Grey levels between the 1st and the 99th percentile that make a picture.
const MIN_CONTRAST: usize = 16;

/// Refuses by size (`too_small`), shape (`extreme_aspect`) and colour (`colour_photograph`).
pub fn check_shape_and_colour(radiograph: &Radiograph) -> Result<(), Rejection> {
    let (width, height) = (radiograph.width, radiograph.height);
    let (short, long) = (width.min(height), width.max(height));
    if short < MIN_SIDE {
        let detail = format!("{width}×{height} pixels; at least {MIN_SIDE} a side are needed.");
        return Err(Rejection::new(Reason::TooSmall, detail));
    }
    let aspect = f64::from(long) / f64::from(short);
    if aspect > MAX_ASPECT {
        let detail = format!(
            "{width}×{height} pixels are {aspect:.1} to 1; at most {MAX_ASPECT} to 1 is accepted."
        );
        return Err(Rejection::new(Reason::ExtremeAspect, detail));
    }
    let strong = radiograph.chroma.strong;
    if strong > MAX_COLOURED {
        let detail = format!(
            "{:.0} % of the pixels are strongly coloured (chroma above {}); at most {:.0} % are accepted.",
            strong * 100.0,
            Chroma::STRONG,
            MAX_COLOURED * 100.0
        );
        return Err(Rejection::new(Reason::ColourPhotograph, detail));
    }
    Ok(())
}

/// Refuses one even grey (`blank`), judged on what the network would see, where noise is averaged out.
pub fn check_contrast(input: &NetworkInput) -> Result<(), Rejection> {
    let contrast = contrast(input.pixels());
    if contrast < MIN_CONTRAST {
        let detail = format!(
            "{contrast} of 255 grey levels between the 1st and 99th percentile; at least {MIN_CONTRAST} make a picture."
        );
        return Err(Rejection::new(Reason::Blank, detail));
    }
    Ok(())
}

/// Grey levels between the 1st and the 99th percentile.
fn contrast(pixels: &[u8]) -> usize {
    let mut counts = [0usize; 256];
    for &grey in pixels {
        counts[usize::from(grey)] += 1;
    }
    let percentile = |share: usize| {
        let mut left = pixels.len() * share / 100;
        counts.iter().position(|&count| {
            let here = left < count;
            left = left.saturating_sub(count);
            here
        })
    };
    percentile(99).unwrap_or(0) - percentile(1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Format;

    fn radiograph(width: u32, height: u32, strong: f64) -> Radiograph {
        Radiograph {
            width,
            height,
            pixels: vec![0; (width * height) as usize],
            chroma: Chroma { mean: 0.0, strong },
            format: Format::Png,
            warnings: Vec::new(),
        }
    }

    fn reason(width: u32, height: u32, strong: f64) -> Option<Reason> {
        check_shape_and_colour(&radiograph(width, height, strong)).err().map(|r| r.reason)
    }

    #[test]
    fn bounds_are_inclusive() {
        assert_eq!(reason(100, 100, 0.0), None);
        assert_eq!(reason(99, 500, 0.0), Some(Reason::TooSmall));
        assert_eq!(reason(800, 200, 0.0), None);
        assert_eq!(reason(200, 801, 0.0), Some(Reason::ExtremeAspect));
        assert_eq!(reason(200, 200, 0.15), None);
        assert_eq!(reason(200, 200, 0.16), Some(Reason::ColourPhotograph));
    }

    #[test]
    fn contrast_ignores_the_outermost_hundredth() {
        let mut pixels = vec![100; 1000];
        assert_eq!(contrast(&pixels), 0);
        pixels[..10].fill(0);
        pixels[991..].fill(255);
        assert_eq!(contrast(&pixels), 0);
        pixels[..11].fill(0);
        assert_eq!(contrast(&pixels), 100);
        assert_eq!(contrast(&(0..=255).collect::<Vec<u8>>()), 253 - 2);
    }
}
