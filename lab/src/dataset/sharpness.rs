//! How sharp a picture is, as one number.

/// Variance of the Laplacian (Pech-Pacheco et al. 2000) of a grey picture of `width` pixels a row, in
/// grey levels squared: the four neighbours minus four times the middle, over all pixels that have
/// four neighbours. 0 for a picture that has none.
#[must_use]
pub fn sharpness(pixels: &[u8], width: usize) -> f64 {
    let height = pixels.len().checked_div(width).unwrap_or(0);
    if width < 3 || height < 3 {
        return 0.0;
    }
    let (mut count, mut sum, mut squares) = (0_i64, 0_i64, 0_i64);
    for row in 1..height - 1 {
        let line = |row: usize| &pixels[row * width..(row + 1) * width];
        let (above, middle, below) = (line(row - 1), line(row), line(row + 1));
        for x in 1..width - 1 {
            let around = [above[x], below[x], middle[x - 1], middle[x + 1]];
            let value = around.iter().map(|&level| i64::from(level)).sum::<i64>()
                - 4 * i64::from(middle[x]);
            count += 1;
            sum += value;
            squares += value * value;
        }
    }
    let mean = sum as f64 / count as f64;
    squares as f64 / count as f64 - mean * mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_is_the_one_computed_by_hand() {
        // Inner pixels are 9 and 0 of a 4×3 picture: Laplacians 0+0+0+0-36 = -36 and 9. Mean -13.5,
        // squares 1296 and 81, mean 688.5, variance 688.5 - 182.25.
        let pixels = [0, 0, 0, 0, /**/ 0, 9, 0, 0, /**/ 0, 0, 0, 0];
        assert!((sharpness(&pixels, 4) - 506.25).abs() < 1e-9);
    }

    #[test]
    fn an_even_slope_is_not_sharp_and_stripes_are() {
        let slope: Vec<u8> = (0..100).map(|index| (index % 10 * 20) as u8).collect();
        let stripes: Vec<u8> = (0..100).map(|index| (index % 2 * 200) as u8).collect();
        assert_eq!(sharpness(&slope, 10), 0.0);
        assert!(sharpness(&stripes, 10) > 10_000.0);
        assert_eq!(sharpness(&[1, 2, 3], 3), 0.0);
        assert_eq!(sharpness(&[], 0), 0.0);
    }
}
