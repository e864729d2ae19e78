//! Colour to grey, and how much colour there was.

/// Grey of an RGB pixel: ITU-R 601 luma in 16-bit fixed point, as in Pillow's `convert("L")`, which
/// made the training images.
pub(crate) fn grey(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 19_595 + u32::from(g) * 38_470 + u32::from(b) * 7_471 + 0x8000) >> 16) as u8
}

/// How coloured an image is. A pixel's chroma is its largest minus its smallest channel, 0..=255.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Chroma {
    /// Mean chroma over all pixels, 0..=255. Zero for an image stored as grey.
    pub mean: f64,
    /// Share of pixels with a chroma above [`Chroma::STRONG`], 0..=1.
    pub strong: f64,
}

impl Chroma {
    /// Chroma that no grey film with a tint reaches.
    pub const STRONG: u8 = 40;
}

/// Sums up chroma while rows are converted.
#[derive(Default)]
pub(crate) struct ChromaSum {
    total: u64,
    strong: u64,
    pixels: u64,
}

impl ChromaSum {
    /// Converts packed RGB into grey, one pixel for each of `grey_row`.
    pub(crate) fn convert_rgb(&mut self, rgb: &[u8], grey_row: &mut [u8]) {
        let (mut total, mut strong) = (0u64, 0u64);
        for (out, pixel) in grey_row.iter_mut().zip(rgb.chunks_exact(3)) {
            let (r, g, b) = (pixel[0], pixel[1], pixel[2]);
            *out = grey(r, g, b);
            let chroma = r.max(g).max(b) - r.min(g).min(b);
            total += u64::from(chroma);
            strong += u64::from(chroma > Chroma::STRONG);
        }
        self.total += total;
        self.strong += strong;
        self.pixels += grey_row.len() as u64;
    }

    pub(crate) fn finish(&self) -> Chroma {
        let pixels = self.pixels.max(1) as f64;
        Chroma { mean: self.total as f64 / pixels, strong: self.strong as f64 / pixels }
    }
}

/// The same for samples of 16 bits, whose depth is known only when all of them are.
pub(crate) struct DeepChroma {
    /// Pixels of each chroma.
    counts: Vec<u32>,
}

impl DeepChroma {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; 1 << 16] }
    }

    /// Grey of one pixel, as [`grey`] makes it.
    pub(crate) fn convert(&mut self, r: u16, g: u16, b: u16) -> u16 {
        let chroma = r.max(g).max(b) - r.min(g).min(b);
        self.counts[usize::from(chroma)] += 1;
        ((u32::from(r) * 19_595 + u32::from(g) * 38_470 + u32::from(b) * 7_471 + 0x8000) >> 16)
            as u16
    }

    /// For samples of `depth` bits, 8..=16.
    pub(crate) fn finish(&self, depth: u8) -> Chroma {
        let shift = depth.clamp(8, 16) - 8;
        let (mut total, mut strong, mut pixels) = (0u64, 0u64, 0u64);
        for (chroma, &count) in self.counts.iter().enumerate() {
            let (chroma, count) = ((chroma >> shift).min(255) as u64, u64::from(count));
            total += chroma * count;
            strong += if chroma > u64::from(Chroma::STRONG) { count } else { 0 };
            pixels += count;
        }
        let pixels = pixels.max(1) as f64;
        Chroma { mean: total as f64 / pixels, strong: strong as f64 / pixels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_is_pillows() {
        // Values of Pillow's Image.convert("L").
        let cases = [
            ([0, 0, 0], 0),
            ([255, 255, 255], 255),
            ([255, 0, 0], 76),
            ([0, 255, 0], 150),
            ([0, 0, 255], 29),
            ([10, 200, 30], 124),
        ];
        for ([r, g, b], expected) in cases {
            assert_eq!(grey(r, g, b), expected);
        }
    }

    #[test]
    fn chroma_counts_coloured_pixels_only() {
        let mut sum = ChromaSum::default();
        let mut out = [0; 4];
        sum.convert_rgb(&[9, 9, 9, 200, 100, 100, 50, 50, 50, 0, 0, 0], &mut out);
        assert_eq!(sum.finish(), Chroma { mean: 25.0, strong: 0.25 });
    }

    #[test]
    fn deep_colour_is_that_of_its_high_bits() {
        for (shift, depth) in [(0, 8), (4, 12), (8, 16)] {
            let mut deep = DeepChroma::new();
            let greys: Vec<u16> = [[9, 9, 9], [200, 99, 101], [50, 50, 50], [0, 0, 0]]
                .iter()
                .map(|&[r, g, b]| deep.convert(r << shift, g << shift, b << shift) >> shift)
                .collect();
            assert_eq!(greys, [9, 129, 50, 0]);
            assert_eq!(deep.finish(depth), Chroma { mean: 25.25, strong: 0.25 });
        }
        assert_eq!(DeepChroma::new().convert(u16::MAX, u16::MAX, u16::MAX), u16::MAX);
    }
}
