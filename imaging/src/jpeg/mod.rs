//! JPEG: baseline and progressive, grey, YCbCr, RGB, CMYK and YCCK, in the layouts that are known to be
//! read as libjpeg reads them.

mod application;
mod coded;
mod frame;
mod huffman;
mod layout;
mod original;
mod planes;
mod progression;
mod stream;
pub(crate) mod structure;

use layout::Layout;
pub(crate) use original::{Picture, original};
use structure::{Colour, Structure};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::chroma::ChromaSum;
use crate::memory::{self, Reserved};
use crate::radiograph::Decoded;
use crate::{Chroma, Format, Limits, Rejection};

pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<(Decoded, Reserved), Rejection> {
    let structure = structure::read(bytes)?;
    limits.admit_size(structure.width, structure.height)?;
    let layout = layout::of(&structure)?;
    refuse_hollow(&structure, bytes.len())?;
    let reserved = memory::reserve(memory_needed(&structure, layout))?;

    let size = (structure.width, structure.height);
    let (pixels, chroma) = match layout {
        Layout::Whole if structure.colour == Colour::Grey => {
            (samples(&stream::whole(&structure), size, ColorSpace::Luma)?, Chroma::default())
        }
        Layout::Whole => {
            let rgb = samples(&stream::whole(&structure), size, ColorSpace::RGB)?;
            rgb_to_grey(rgb, structure.width as usize)
        }
        Layout::Planes => {
            let plane = |index| {
                let size = planes::size(&structure, index);
                samples(&stream::plane(&structure, index, size), size, ColorSpace::Luma)
            };
            let planes =
                (0..structure.components.len()).map(plane).collect::<Result<Vec<_>, _>>()?;
            planes::join(&structure, &planes)
        }
    };
    let decoded = Decoded {
        width: structure.width,
        height: structure.height,
        pixels,
        reduced: false,
        chroma,
        orientation: structure.orientation,
        format: Format::Jpeg,
        transparent: false,
    };
    Ok((decoded, reserved))
}

/// The samples of a file as [`stream`] writes it: one a pixel, or three of RGB.
fn samples(
    file: &[u8],
    (width, height): (u32, u32),
    colours: ColorSpace,
) -> Result<Vec<u8>, Rejection> {
    let options = DecoderOptions::new_fast()
        .set_strict_mode(true)
        .set_max_width(width as usize)
        .set_max_height(height as usize)
        // The structure has bounded them.
        .jpeg_set_max_scans(usize::MAX)
        .jpeg_set_out_colorspace(colours);
    let samples = JpegDecoder::new_with_options(ZCursor::new(file), options)
        .decode()
        .map_err(|e| Rejection::undecodable(format!("The JPEG does not decode: {e}.")))?;
    let expected = width as usize * height as usize * colours.num_components();
    if samples.len() != expected {
        return Err(Rejection::undecodable(
            "The JPEG holds another number of pixels than it says.",
        ));
    }
    Ok(samples)
}

/// A block of 8 × 8 samples takes at least one bit, so a short file cannot hold a large picture: refused
/// before its pixels are allocated. Components may have a quarter of the samples in each direction.
fn refuse_hollow(structure: &Structure, bytes: usize) -> Result<(), Rejection> {
    let blocks = structure.width.div_ceil(8) as usize * structure.height.div_ceil(8) as usize;
    let subsampling = if structure.colour == Colour::Grey { 1 } else { 16 };
    if bytes < blocks / 8 / subsampling {
        return Err(Rejection::undecodable(format!(
            "The JPEG says {}×{} pixels but has only {bytes} bytes.",
            structure.width, structure.height
        )));
    }
    Ok(())
}

/// Bytes that decoding holds at most: the file written again, the pixels, and for a progressive file the
/// coefficients, two bytes each.
fn memory_needed(structure: &Structure, layout: Layout) -> u64 {
    let (h, v) = structure.sampling();
    // Blocks of 8 × 8 are whole, and so are groups of them.
    let padded = u64::from(structure.width.next_multiple_of(8 * h))
        * u64::from(structure.height.next_multiple_of(8 * v));
    let samples =
        |c: &frame::Component| padded * u64::from(c.h) * u64::from(c.v) / u64::from(h * v);
    let each = || structure.components.iter().map(samples);
    let (all, largest): (u64, u64) = (each().sum(), each().max().unwrap_or(0));
    let coefficients = if structure.progressive() { 2 } else { 0 };
    let pixels = match layout {
        Layout::Whole if structure.colour == Colour::Grey => padded * (1 + coefficients),
        Layout::Whole => padded * 3 + all * coefficients,
        Layout::Planes => all + (largest * coefficients).max(padded),
    };
    // Turning it takes another plane, when the colours are gone.
    pixels.max(padded * 2) + stream::size(structure) as u64
}

/// Grey and colour of packed RGB, in the place of it.
fn rgb_to_grey(mut rgb: Vec<u8>, width: usize) -> (Vec<u8>, Chroma) {
    let mut sum = ChromaSum::default();
    let mut grey = vec![0; width];
    let rows = rgb.len() / (width * 3);
    for y in 0..rows {
        sum.convert_rgb(&rgb[y * width * 3..][..width * 3], &mut grey);
        rgb[y * width..][..width].copy_from_slice(&grey);
    }
    rgb.truncate(rows * width);
    rgb.shrink_to_fit();
    (rgb, sum.finish())
}
