//! Bounds that are checked against a file's header before anything is allocated for its pixels.

use lobar_core::image::Reason;

use crate::Rejection;

/// What a file may be at most. A bound is inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of the file in bytes.
    pub max_bytes: usize,
    /// Width × height.
    pub max_pixels: u64,
    /// Width, and height.
    pub max_side: u32,
}

impl Default for Limits {
    /// 64 MiB, 64 million pixels, 20,000 pixels a side: four times the largest flat-panel detector.
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_pixels: 64_000_000, max_side: 20_000 }
    }
}

impl Limits {
    pub(crate) fn admit_bytes(&self, bytes: usize) -> Result<(), Rejection> {
        if bytes == 0 {
            return Err(Rejection::new(Reason::Empty, "The file has no bytes."));
        }
        if bytes > self.max_bytes {
            let detail = format!("{bytes} bytes; at most {} are accepted.", self.max_bytes);
            return Err(Rejection::new(Reason::TooLarge, detail));
        }
        Ok(())
    }

    pub(crate) fn admit_size(&self, width: u32, height: u32) -> Result<(), Rejection> {
        if width == 0 || height == 0 {
            return Err(Rejection::undecodable(format!(
                "The header says {width}×{height} pixels."
            )));
        }
        let pixels = u64::from(width) * u64::from(height);
        if width > self.max_side || height > self.max_side || pixels > self.max_pixels {
            let detail = format!(
                "{width}×{height} pixels; at most {} a side and {} in all are accepted.",
                self.max_side, self.max_pixels
            );
            return Err(Rejection::new(Reason::TooManyPixels, detail));
        }
        Ok(())
    }
}
