//! Pictures as somebody asks for them: with a window, of a region, at a size, as PNG or JPEG (DICOM PS3.18, 8.3.5).

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::decode::decode_reserved;
use crate::picture::{encode, fit};
use crate::{DrawError, Limits, Radiograph, RenderError, Voi};

/// How a picture is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// In place of the window that the file has, or is given.
    pub voi: Option<Voi>,
    /// What of it, and how large.
    pub extent: Extent,
    /// The format of the picture.
    pub encoding: Encoding,
}

/// What of a picture is drawn, and how large.
#[derive(Clone, Debug, PartialEq)]
pub enum Extent {
    /// All of it, a pixel for a pixel.
    Whole,
    /// All of it, its longer side this many pixels at most, never enlarged.
    Within(u32),
    /// What fits into a viewport, made smaller or larger.
    Viewport(Viewport),
}

/// The largest size of a region within a width and a height; its aspect is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Viewport {
    /// Pixels a row at most, 1 at least.
    pub width: u32,
    /// Rows at most, 1 at least.
    pub height: u32,
    /// Where the region begins, in pixels of the upright picture from its top left.
    pub origin: [f64; 2],
    /// How wide and how high the region is, in pixels; `None` up to the edge. Beyond the edge there is nothing.
    pub size: [Option<f64>; 2],
    /// Whether left and right, and whether top and bottom change places.
    pub flipped: [bool; 2],
}

/// The format of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 8-bit grey, lossless.
    Png,
    /// Baseline, 8-bit grey; quality from 1 to 100.
    Jpeg(u8),
}

/// The longest side of a JPEG file (ISO 10918-1, B.2.2).
const JPEG_SIDE_MAX: u32 = 65_535;

/// Decodes a file and draws it, within the memory that this process gives to decoding: blocks while others use it.
///
/// # Errors
/// What cannot be shown ([`DrawError::Refused`]), and a region with nothing of the picture in it ([`DrawError::Outside`]).
pub fn draw_view(bytes: &[u8], limits: &Limits, view: &View) -> Result<Vec<u8>, DrawError> {
    let (radiograph, _reserved) = decode_reserved(bytes, limits, view.voi.as_ref())?;
    view_of(&radiograph, view)
}

/// Draws a picture that is decoded, and has its window.
pub(crate) fn view_of(radiograph: &Radiograph, view: &View) -> Result<Vec<u8>, DrawError> {
    let (width, height) = (radiograph.width, radiograph.height);
    let drawn = match &view.extent {
        Extent::Whole => None,
        Extent::Within(side) => {
            let size = fit(width, height, *side);
            let whole = [0.0, 0.0, f64::from(width), f64::from(height)];
            (size != (width, height)).then(|| (size, resized(radiograph, whole, size)))
        }
        Extent::Viewport(viewport) => {
            let region = region(viewport, (width, height)).ok_or(DrawError::Outside)?;
            let size = fitted(region, viewport);
            let mut pixels = resized(radiograph, region, size);
            if let Some(pixels) = &mut pixels {
                flip(pixels, size.0, viewport.flipped);
            }
            Some((size, pixels))
        }
    };
    let ((width, height), pixels) = match &drawn {
        None => ((width, height), &radiograph.pixels),
        Some((size, Some(pixels))) => (*size, pixels),
        Some(((width, height), None)) => {
            let (width, height) = (*width, *height);
            return Err(RenderError::Size { what: "a picture", width, height }.into());
        }
    };
    Ok(match view.encoding {
        Encoding::Png => encode(png::ColorType::Grayscale, width, height, pixels)?,
        Encoding::Jpeg(quality) => jpeg(width, height, pixels, quality)?,
    })
}

/// Left, top, width and height of a region, as far as it lies in a picture of this size; `None` where nothing does.
fn region(viewport: &Viewport, (width, height): (u32, u32)) -> Option<[f64; 4]> {
    let side = |i: usize, all: u32| {
        let (all, origin) = (f64::from(all), viewport.origin[i]);
        let begin = origin.clamp(0.0, all);
        let end = viewport.size[i].map_or(all, |size| (origin + size).clamp(0.0, all));
        // Less than a pixel is nothing to be seen.
        (end - begin >= 1.0).then_some((begin, end - begin))
    };
    let ((left, width), (top, height)) = (side(0, width)?, side(1, height)?);
    Some([left, top, width, height])
}

/// The largest size of the region's aspect within a viewport.
fn fitted([_, _, width, height]: [f64; 4], viewport: &Viewport) -> (u32, u32) {
    let (across, down) = (viewport.width.max(1), viewport.height.max(1));
    let scale = (f64::from(across) / width).min(f64::from(down) / height);
    let side = |side: f64, most: u32| ((side * scale).round() as u32).clamp(1, most);
    (side(width, across), side(height, down))
}

/// A region at another size, bilinear with antialiasing as everywhere; where the scale is one, the pixels themselves.
fn resized(
    radiograph: &Radiograph,
    [left, top, width, height]: [f64; 4],
    size: (u32, u32),
) -> Option<Vec<u8>> {
    let Radiograph { width: across, height: down, ref pixels, .. } = *radiograph;
    let source = TypedImageRef::<U8>::from_buffer(across, down, pixels).ok()?;
    let mut target = TypedImage::<U8>::new(size.0, size.1);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .crop(left, top, width, height);
    Resizer::new().resize_typed(&source, &mut target, &options).ok()?;
    Some(target.pixels().iter().map(|pixel| pixel.0).collect())
}

fn flip(pixels: &mut [u8], width: u32, [sideways, upside_down]: [bool; 2]) {
    if upside_down {
        pixels.reverse();
    }
    // Turned by half a circle already, the rows are the wrong way round.
    if sideways != upside_down {
        pixels.chunks_exact_mut(width as usize).for_each(<[u8]>::reverse);
    }
}

fn jpeg(width: u32, height: u32, pixels: &[u8], quality: u8) -> Result<Vec<u8>, RenderError> {
    if width.max(height) > JPEG_SIDE_MAX {
        return Err(RenderError::Size { what: "a JPEG", width, height });
    }
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100)).encode(
        pixels,
        width,
        height,
        image::ExtendedColorType::L8,
    )?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chroma, Format};

    /// Each pixel another one: `10 * row + column`.
    fn numbered(width: u32, height: u32) -> Radiograph {
        let pixels =
            (0..height).flat_map(|y| (0..width).map(move |x| (10 * y + x) as u8)).collect();
        let (chroma, format) = (Chroma::default(), Format::Png);
        Radiograph { width, height, pixels, chroma, format, warnings: Vec::new() }
    }

    fn viewport(width: u32, height: u32, origin: [f64; 2], size: [f64; 2]) -> Viewport {
        let (flipped, size) = (size.map(|side| side < 0.0), size.map(|side| Some(side.abs())));
        Viewport { width, height, origin, size, flipped }
    }

    /// Size and pixels of what is drawn.
    fn drawn(radiograph: &Radiograph, extent: Extent) -> ((u32, u32), Vec<u8>) {
        let view = View { voi: None, extent, encoding: Encoding::Png };
        let png = view_of(radiograph, &view).expect("a picture");
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut pixels).expect("a frame");
        ((info.width, info.height), pixels)
    }

    #[test]
    fn a_region_at_its_own_size_is_its_pixels() {
        let picture = numbered(9, 6);
        let region = viewport(3, 2, [2.0, 1.0], [3.0, 2.0]);
        let (size, pixels) = drawn(&picture, Extent::Viewport(region));
        assert_eq!((size, pixels), ((3, 2), vec![12, 13, 14, 22, 23, 24]));
        assert_eq!(drawn(&picture, Extent::Whole), ((9, 6), picture.pixels.clone()));
    }

    #[test]
    fn negative_sides_turn_the_region_over() {
        let picture = numbered(9, 6);
        let seen = |size| drawn(&picture, Extent::Viewport(viewport(2, 2, [2.0, 1.0], size))).1;
        assert_eq!(seen([-2.0, 2.0]), [13, 12, 23, 22]);
        assert_eq!(seen([2.0, -2.0]), [22, 23, 12, 13]);
        assert_eq!(seen([-2.0, -2.0]), [23, 22, 13, 12]);
    }

    #[test]
    fn a_viewport_is_filled_as_far_as_the_aspect_lets_it() {
        let picture = numbered(8, 4);
        let whole = |width, height| {
            let (origin, size, flipped) = ([0.0; 2], [None; 2], [false; 2]);
            drawn(&picture, Extent::Viewport(Viewport { width, height, origin, size, flipped })).0
        };
        assert_eq!(whole(4, 4), (4, 2));
        assert_eq!(whole(16, 100), (16, 8));
        assert_eq!(whole(1, 100), (1, 1));
        assert_eq!(drawn(&picture, Extent::Within(100)).0, (8, 4), "never enlarged");
        assert_eq!(drawn(&picture, Extent::Within(2)).0, (2, 1));
    }

    #[test]
    fn what_lies_beyond_the_edge_is_cut_off_and_nothing_is_no_picture() {
        let picture = numbered(9, 6);
        let beyond = viewport(100, 1, [7.0, 5.0], [50.0, 50.0]);
        assert_eq!(drawn(&picture, Extent::Viewport(beyond)), ((2, 1), vec![57, 58]));
        for origin in [[9.0, 0.0], [0.0, 6.0], [1e300, 0.0], [-5.0, 0.0], [8.5, 0.0]] {
            let extent = Extent::Viewport(viewport(4, 4, origin, [2.0, 2.0]));
            let view = View { voi: None, extent, encoding: Encoding::Png };
            let refused = view_of(&picture, &view);
            assert!(matches!(refused, Err(DrawError::Outside)), "{origin:?}");
        }
    }

    #[test]
    fn a_jpeg_shows_the_same_picture_and_less_of_it_at_less_quality() {
        let picture = numbered(16, 16);
        let jpeg = |quality| {
            let encoding = Encoding::Jpeg(quality);
            let view = View { voi: None, extent: Extent::Whole, encoding };
            view_of(&picture, &view).expect("a picture")
        };
        let best = jpeg(100);
        let read = crate::decode(&best, &Limits::default()).expect("a JPEG");
        assert_eq!((read.width, read.height, read.format), (16, 16, Format::Jpeg));
        let far = read.pixels.iter().zip(&picture.pixels).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(far <= Some(3), "{far:?}");
        assert!(jpeg(10).len() < best.len());
    }
}
