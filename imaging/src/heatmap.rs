//! The heat map as a layer over the picture.

use lobar_core::finding::Heatmap;

use crate::RenderError;
use crate::picture::encode;

/// Longest side drawn, pixels. A page scales further; there is nothing finer in a grid of 7 × 7.
const MAX_SIDE: u32 = 4096;
/// Influence below which the layer is clear, and from which it is at its densest.
const CLEAR: f32 = 0.15;
const DENSE: f32 = 0.65;
/// Opacity where densest: the picture shines through.
const MAX_ALPHA: f32 = 0.6;

/// Draws `heatmap` over a picture of `width × height` as an RGBA PNG: bilinear between the centres of
/// the cells, colour map inferno, clear where the influence is low. The grid covers the whole picture,
/// since the network's input does. A cell that is not a number counts as zero.
pub fn heatmap_png(heatmap: &Heatmap, width: u32, height: u32) -> Result<Vec<u8>, RenderError> {
    let cells = u64::from(heatmap.width) * u64::from(heatmap.height);
    if cells == 0 || cells != heatmap.cells.len() as u64 {
        let what = "a heat map from a grid that does not fit its cells";
        return Err(RenderError::Size { what, width: heatmap.width, height: heatmap.height });
    }
    if width == 0 || height == 0 || width.max(height) > MAX_SIDE {
        return Err(RenderError::Size { what: "a heat map", width, height });
    }
    let columns: Vec<_> = (0..width).map(|x| between(x, width, heatmap.width)).collect();
    let mut rgba = Vec::with_capacity(width as usize * height as usize * 4);
    for y in 0..height {
        let (top, bottom, v) = between(y, height, heatmap.height);
        let row = |y: usize, x: usize| cell(heatmap, x, y);
        for &(left, right, u) in &columns {
            let upper = mix(row(top, left), row(top, right), u);
            let lower = mix(row(bottom, left), row(bottom, right), u);
            rgba.extend(colour(mix(upper, lower, v)));
        }
    }
    encode(png::ColorType::Rgba, width, height, &rgba)
}

/// The two cells whose centres enclose the centre of pixel `at` of `pixels`, and how far it is from the
/// first, 0..=1. At the edge both are the outermost cell.
fn between(at: u32, pixels: u32, cells: u32) -> (usize, usize, f32) {
    let place = (at as f32 + 0.5) / pixels as f32 * cells as f32 - 0.5;
    let place = place.clamp(0.0, (cells - 1) as f32);
    let first = place.floor();
    let second = (first + 1.0).min((cells - 1) as f32);
    (first as usize, second as usize, place - first)
}

fn cell(heatmap: &Heatmap, x: usize, y: usize) -> f32 {
    let value = heatmap.cells[y * heatmap.width as usize + x];
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}

fn mix(a: f32, b: f32, share: f32) -> f32 {
    a + (b - a) * share
}

fn colour(value: f32) -> [u8; 4] {
    let ramp = ((value - CLEAR) / (DENSE - CLEAR)).clamp(0.0, 1.0);
    let alpha = ramp * ramp * (3.0 - 2.0 * ramp) * MAX_ALPHA;
    let [r, g, b] = inferno(value);
    [r, g, b, (alpha * 255.0).round() as u8]
}

/// The colour map inferno (Smith, van der Walt and Firing, 2015; CC0), perceptually even, as the
/// polynomial of degree 6 fitted to it by Matt Zucker (CC0).
fn inferno(value: f32) -> [u8; 3] {
    const COEFFICIENTS: [[f32; 3]; 7] = [
        [0.000_219, 0.001_651, -0.019_481],
        [0.106_513, 0.563_956, 3.932_713],
        [11.602_493, -3.972_854, -15.942_394],
        [-41.703_996, 17.436_4, 44.354_145],
        [77.162_93, -33.402_36, -81.807_31],
        [-71.319_43, 32.626_064, 73.209_52],
        [25.131_126, -12.242_669, -23.070_325],
    ];
    std::array::from_fn(|channel| {
        let sum = COEFFICIENTS.iter().rev().fold(0.0, |sum, c| sum * value + c[channel]);
        (sum.clamp(0.0, 1.0) * 255.0).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inferno_runs_from_black_over_red_to_pale_yellow() {
        // matplotlib's values; the fit is within 6 of 255.
        for (value, expected) in
            [(0.0, [0, 0, 4]), (0.25, [87, 16, 110]), (0.5, [188, 55, 84]), (1.0, [252, 255, 164])]
        {
            for (ours, theirs) in inferno(value).into_iter().zip(expected) {
                assert!(ours.abs_diff(theirs) <= 6, "{value}: {:?}", inferno(value));
            }
        }
    }

    #[test]
    fn a_cell_sits_at_the_middle_of_its_part_of_the_picture() {
        assert_eq!(between(0, 700, 7).0, 0);
        let (first, _, share) = between(50, 700, 7);
        assert!(first == 0 && share < 0.01);
        let (first, second, share) = between(100, 700, 7);
        assert!(first == 0 && second == 1 && (share - 0.5).abs() < 0.01);
        assert_eq!(between(699, 700, 7), (6, 6, 0.0));
        assert_eq!(between(3, 7, 1), (0, 0, 0.0));
    }

    #[test]
    fn low_influence_is_clear_and_high_influence_still_shows_the_picture() {
        assert_eq!(colour(0.0)[3], 0);
        assert_eq!(colour(CLEAR)[3], 0);
        assert_eq!(colour(1.0)[3], 153);
    }

    #[test]
    fn a_grid_that_does_not_fit_its_cells_is_an_error() {
        let grid = |cells| Heatmap { width: 2, height: 2, cells };
        assert!(heatmap_png(&grid(vec![0.0; 3]), 10, 10).is_err());
        assert!(heatmap_png(&grid(vec![0.0; 4]), 0, 10).is_err());
        assert!(heatmap_png(&grid(vec![0.0; 4]), 10, 100_000).is_err());
        assert!(heatmap_png(&grid(vec![f32::NAN, f32::INFINITY, -1.0, 0.5]), 10, 10).is_ok());
    }
}
