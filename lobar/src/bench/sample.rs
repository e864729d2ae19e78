//! Pictures to measure with.

use std::path::PathBuf;

#[cfg(feature = "torch")]
use lobar_imaging::{Encoding, Extent, Limits, View, draw_view};

use crate::failure::Failure;

/// The files' bytes, or a drawn radiograph of 1500 × 1200 pixels in PNG when none are named.
pub fn pictures(files: &[PathBuf]) -> Result<Vec<Vec<u8>>, Failure> {
    if files.is_empty() {
        return Ok(vec![drawn()?]);
    }
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|e| Failure::failed(format!("{}: {e}", path.display())))
    };
    files.iter().map(read).collect()
}

/// The drawn radiograph as a JPEG.
#[cfg(feature = "torch")]
pub fn jpeg() -> Result<Vec<u8>, Failure> {
    let view = View { voi: None, extent: Extent::Whole, encoding: Encoding::Jpeg(90) };
    draw_view(&drawn()?, &Limits::default(), &view).map_err(|e| Failure::failed(e.to_string()))
}

/// Two dark lungs on grey with a fixed noise: compresses about as badly as a radiograph.
fn drawn() -> Result<Vec<u8>, Failure> {
    let (width, height) = (1500u32, 1200u32);
    let mut noise = 1u32;
    let mut pixels = Vec::with_capacity((width * height) as usize);
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (x as f32 / width as f32 - 0.5, y as f32 / height as f32 - 0.5);
            let lung = |centre: f32| ((u - centre) / 0.16).powi(2) + (v / 0.34).powi(2) < 1.0;
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let base = if lung(-0.22) || lung(0.22) { 60.0 } else { 170.0 - 120.0 * v.abs() };
            pixels.push((base + (noise >> 29) as f32) as u8);
        }
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
    written.map_err(Failure::failed)?;
    Ok(bytes)
}
