//! PNG: 1 to 16 bits, grey, palette and colour, with and without alpha, interlaced or not.
//!
//! Rows become grey as they come, so memory is one plane whatever the colour type. Transparent parts
//! are laid on black, the background of a radiograph.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, DecodingError, Reader, Transformations};

use crate::chroma::{ChromaSum, DeepChroma};
use crate::memory::{self, Reserved};
use crate::radiograph::Decoded;
use crate::{Chroma, Format, Limits, Rejection, depth, orientation};

/// First column and row, column and row step of each pass.
type Pass = (usize, usize, usize, usize);

const PLAIN: [Pass; 1] = [(0, 0, 1, 1)];
/// The seven passes of Adam7 (ISO 15948, 8.2).
const ADAM7: [Pass; 7] = [
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
];

pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<(Decoded, Reserved), Rejection> {
    let mut decoder = Decoder::new(Cursor::new(bytes));
    // Both may be compressed bombs, and neither is wanted.
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND);
    let header = decoder.read_header_info().map_err(refuse)?;
    limits.admit_size(header.width, header.height)?;
    let deep = header.bit_depth == BitDepth::Sixteen;
    let pixels = u64::from(header.width) * u64::from(header.height);
    // One plane, of two bytes for 16-bit samples, and another one while it is reduced or turned.
    let reserved = memory::reserve(pixels * if deep { 3 } else { 2 })?;

    let mut reader = decoder.read_info().map_err(refuse)?;
    let (width, height) = (reader.info().width, reader.info().height);
    let mut plane = Plane::new(width as usize, height as usize, reader.output_color_type());
    let passes: &[Pass] = if reader.info().interlaced { &ADAM7 } else { &PLAIN };
    for pass in passes {
        plane.read_pass(&mut reader, *pass)?;
    }
    // To the end marker: an image whose rest is missing is not shown.
    reader.finish().map_err(refuse)?;
    let info = reader.info();
    let declared = info.sbit.as_deref().and_then(|bits| bits.iter().copied().max());
    let orientation = info.exif_metadata.as_deref().map_or(1, orientation::from_exif);
    let transparent = plane.transparent;
    let (pixels, chroma) = plane.finish(declared);
    let decoded = Decoded {
        width,
        height,
        pixels,
        reduced: deep,
        chroma,
        orientation,
        format: Format::Png,
        transparent,
    };
    Ok((decoded, reserved))
}

fn refuse(error: DecodingError) -> Rejection {
    Rejection::undecodable(format!("The PNG does not decode: {error}."))
}

/// The grey plane being filled.
struct Plane {
    width: usize,
    height: usize,
    color: ColorType,
    samples: Samples,
    transparent: bool,
    /// One row in grey, and in opaque colour.
    grey: Vec<u8>,
    rgb: Vec<u8>,
}

/// The grey samples as the file stores them, and their colour.
enum Samples {
    Eight(Vec<u8>, ChromaSum),
    Sixteen(Vec<u16>, DeepChroma),
}

impl Plane {
    fn new(width: usize, height: usize, (color, depth): (ColorType, BitDepth)) -> Self {
        let samples = if depth == BitDepth::Sixteen {
            Samples::Sixteen(vec![0; width * height], DeepChroma::new())
        } else {
            Samples::Eight(vec![0; width * height], ChromaSum::default())
        };
        Self { width, height, color, samples, transparent: false, grey: vec![], rgb: vec![] }
    }

    fn read_pass(
        &mut self,
        reader: &mut Reader<Cursor<&[u8]>>,
        (x0, y0, dx, dy): Pass,
    ) -> Result<(), Rejection> {
        if x0 >= self.width {
            return Ok(());
        }
        for y in (y0..self.height).step_by(dy) {
            let row = reader
                .next_row()
                .map_err(refuse)?
                .ok_or_else(|| Rejection::undecodable("The PNG has too few rows."))?;
            self.put_row(row.data(), y * self.width + x0, (self.width - x0).div_ceil(dx), dx);
        }
        Ok(())
    }

    /// Writes `count` pixels of `row` at `start`, `start + step`, …
    fn put_row(&mut self, row: &[u8], start: usize, count: usize, step: usize) {
        match &mut self.samples {
            Samples::Sixteen(plane, chroma) => {
                let targets = plane[start..].iter_mut().step_by(step).take(count);
                for (out, pixel) in targets.zip(row.chunks_exact(self.color.samples() * 2)) {
                    let (grey, opaque) = deep_grey(self.color, pixel, chroma);
                    self.transparent |= !opaque;
                    *out = grey;
                }
            }
            Samples::Eight(plane, chroma) => {
                self.grey.resize(count, 0);
                match self.color {
                    ColorType::Grayscale | ColorType::Indexed => self.grey.copy_from_slice(row),
                    ColorType::Rgb => chroma.convert_rgb(row, &mut self.grey),
                    ColorType::GrayscaleAlpha => {
                        for (out, pixel) in self.grey.iter_mut().zip(row.chunks_exact(2)) {
                            self.transparent |= pixel[1] != u8::MAX;
                            *out = on_black(pixel[0], pixel[1]);
                        }
                    }
                    ColorType::Rgba => {
                        self.rgb.clear();
                        for pixel in row.chunks_exact(4) {
                            self.transparent |= pixel[3] != u8::MAX;
                            self.rgb.extend(pixel[..3].iter().map(|&c| on_black(c, pixel[3])));
                        }
                        chroma.convert_rgb(&self.rgb, &mut self.grey);
                    }
                }
                for (out, &grey) in plane[start..].iter_mut().step_by(step).zip(&self.grey) {
                    *out = grey;
                }
            }
        }
    }

    /// The plane in 8 bits. `declared` is the depth that the file says it has.
    fn finish(self, declared: Option<u8>) -> (Vec<u8>, Chroma) {
        match self.samples {
            Samples::Eight(plane, chroma) => (plane, chroma.finish()),
            Samples::Sixteen(plane, chroma) => {
                let depth = depth::of(&plane, declared);
                let colour = matches!(self.color, ColorType::Rgb | ColorType::Rgba);
                let chroma = if colour { chroma.finish(depth) } else { Chroma::default() };
                (depth::reduce(&plane, depth), chroma)
            }
        }
    }
}

fn on_black(value: u8, alpha: u8) -> u8 {
    ((u32::from(value) * u32::from(alpha) + 127) / 255) as u8
}

/// Grey of one pixel of 16-bit samples laid on black, and whether it was opaque.
fn deep_grey(color: ColorType, pixel: &[u8], chroma: &mut DeepChroma) -> (u16, bool) {
    let sample = |i: usize| u16::from_be_bytes([pixel[i * 2], pixel[i * 2 + 1]]);
    let alpha = match color {
        ColorType::GrayscaleAlpha => sample(1),
        ColorType::Rgba => sample(3),
        _ => u16::MAX,
    };
    let laid = |i: usize| (u32::from(sample(i)) * u32::from(alpha) / u32::from(u16::MAX)) as u16;
    let grey = match color {
        ColorType::Rgb | ColorType::Rgba => chroma.convert(laid(0), laid(1), laid(2)),
        _ => laid(0),
    };
    (grey, alpha == u16::MAX)
}
