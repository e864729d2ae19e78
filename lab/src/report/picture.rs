//! Pictures inside the page: JPEG in a data URL.

use base64::Engine as _;
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use lobar_core::finding::Heatmap;
use lobar_model::preprocessing::SIDE;

use super::ReportError;

/// Fine enough to recognise a picture by; nothing is measured on it.
const QUALITY: u8 = 82;

/// The network's input, 224×224 grey levels.
pub(super) fn grey(pixels: &[u8]) -> Result<String, ReportError> {
    data_url(pixels, ExtendedColorType::L8)
}

/// The same under its heat.
pub(super) fn heated(pixels: &[u8], heatmap: &Heatmap) -> Result<String, ReportError> {
    let drawing = |why: String| ReportError::Picture(why);
    let side = SIDE as u32;
    let layer =
        lobar_imaging::heatmap_png(heatmap, side, side).map_err(|e| drawing(e.to_string()))?;
    let layer = image::load_from_memory(&layer).map_err(|e| drawing(e.to_string()))?.into_rgba8();
    let mixed: Vec<u8> = pixels
        .iter()
        .zip(layer.pixels())
        .flat_map(|(&level, &image::Rgba([red, green, blue, alpha]))| {
            [red, green, blue].map(|hue| {
                let (hue, level, alpha) = (u32::from(hue), u32::from(level), u32::from(alpha));
                ((hue * alpha + level * (255 - alpha)) / 255) as u8
            })
        })
        .collect();
    data_url(&mixed, ExtendedColorType::Rgb8)
}

fn data_url(bytes: &[u8], colour: ExtendedColorType) -> Result<String, ReportError> {
    let channels = if colour == ExtendedColorType::L8 { 1 } else { 3 };
    if bytes.len() != SIDE * SIDE * channels {
        return Err(ReportError::Picture(format!(
            "{} bytes are no picture of {SIDE}×{SIDE}",
            bytes.len()
        )));
    }
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode(bytes, SIDE as u32, SIDE as u32, colour)
        .map_err(|e| ReportError::Picture(e.to_string()))?;
    Ok(format!("data:image/jpeg;base64,{}", base64::prelude::BASE64_STANDARD.encode(jpeg)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_colours_the_picture_only_where_it_is() {
        let pixels = vec![128; SIDE * SIDE];
        let mut cells = vec![0.0; 49];
        cells[0] = 1.0;
        let url = heated(&pixels, &Heatmap { width: 7, height: 7, cells }).unwrap();
        let jpeg = url.strip_prefix("data:image/jpeg;base64,").unwrap();
        let jpeg = base64::prelude::BASE64_STANDARD.decode(jpeg).unwrap();
        let picture = image::load_from_memory(&jpeg).unwrap().into_rgb8();
        let spread = |x, y| {
            let image::Rgb(it) = *picture.get_pixel(x, y);
            it.iter().max().unwrap() - it.iter().min().unwrap()
        };
        assert!(spread(5, 5) > 40 && spread(200, 200) < 8);
    }

    #[test]
    fn what_is_no_picture_is_an_error() {
        assert!(grey(&[0; 10]).is_err());
        let empty = Heatmap { width: 0, height: 0, cells: vec![] };
        assert!(heated(&vec![0; SIDE * SIDE], &empty).is_err());
    }
}
