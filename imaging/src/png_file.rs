//! PNG: 1 to 16 bits, grey, palette and colour, with and without alpha, interlaced or not.
//!
//! Rows become grey as they come, so memory is one plane whatever the colour type. Transparent parts
//! are laid on black, the background of a radiograph.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, DecodingError, Reader, Transformations};

use crate::chroma::{ChromaSum, DeepChroma};
use crate::memory::{self, Reserved};
use crate::original::{self, OriginalSamples, Stored};
use crate::radiograph::Decoded;
use crate::{Chroma, Format, FullDepth, Limits, Rejection, depth, full_depth, orientation};

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
    // One plane, of two bytes for 16-bit samples, and another one while it is reduced or turned.
    let (read, reserved) = read(bytes, limits, false, |deep, _| if deep { 3 } else { 2 })?;
    let Read { width, height, orientation, declared, plane } = read;
    let (reduced, transparent) = (plane.is_deep(), plane.transparent);
    let (pixels, chroma) = plane.finish(declared);
    let format = Format::Png;
    let decoded =
        Decoded { width, height, pixels, reduced, chroma, orientation, format, transparent };
    Ok((decoded, reserved))
}

/// The picture with its depth and its colours, in storage order.
pub(crate) fn original(bytes: &[u8], limits: &Limits) -> Result<(Stored, Reserved), Rejection> {
    // As for the grey picture; with three planes of colours, which are turned as well.
    let memory = |deep, coloured| match (coloured, deep) {
        (true, true) => 2 + 6 + 6,
        (true, false) => 1 + 3 + 3,
        (false, true) => 2 + 2,
        (false, false) => 2,
    };
    let (read, reserved) = read(bytes, limits, true, memory)?;
    let Read { width, height, orientation, declared, plane } = read;
    let samples = plane.samples(declared);
    Ok((Stored { width, height, orientation, samples }, reserved))
}

/// The samples as the file has them, upright: grey, with the bits that they use.
pub(crate) fn full_depth(
    bytes: &[u8],
    limits: &Limits,
) -> Result<(FullDepth, Reserved), Rejection> {
    let (read, reserved) = read(bytes, limits, false, |deep, _| if deep { 4 } else { 2 })?;
    let Read { width, height, orientation, declared, plane } = read;
    let full = match plane.samples {
        Samples::Eight(plane, _) => {
            let (width, height, plane) = orientation::apply(orientation, width, height, plane);
            FullDepth::of_grey(width, height, full_depth::Samples::Eight(plane), 8)
        }
        Samples::Sixteen(plane, _) => {
            let depth = depth::of(&plane, declared);
            let (width, height, plane) = orientation::apply(orientation, width, height, plane);
            FullDepth::of_grey(width, height, full_depth::Samples::Sixteen(plane), depth)
        }
    };
    Ok((full, reserved))
}

/// A file that was read to its end.
struct Read {
    width: u32,
    height: u32,
    /// EXIF orientation, 1..=8.
    orientation: u8,
    /// Bits a sample, as the file says them.
    declared: Option<u8>,
    plane: Plane,
}

/// Reads a file, with its colours beside its greys where `colours` are wanted, within `memory` bytes a pixel, by whether its
/// samples have 16 bits and whether they are coloured.
fn read(
    bytes: &[u8],
    limits: &Limits,
    colours: bool,
    memory: impl Fn(bool, bool) -> u64,
) -> Result<(Read, Reserved), Rejection> {
    let mut decoder = Decoder::new(Cursor::new(bytes));
    // Both may be compressed bombs, and neither is wanted.
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND);
    let header = decoder.read_header_info().map_err(refuse)?;
    limits.admit_size(header.width, header.height)?;
    let deep = header.bit_depth == BitDepth::Sixteen;
    let pixels = u64::from(header.width) * u64::from(header.height);
    let in_colour = !matches!(header.color_type, ColorType::Grayscale | ColorType::GrayscaleAlpha);
    let reserved = memory::reserve(pixels * memory(deep, in_colour))?;

    let mut reader = decoder.read_info().map_err(refuse)?;
    let (width, height) = (reader.info().width, reader.info().height);
    let mut plane =
        Plane::new(width as usize, height as usize, reader.output_color_type(), colours);
    let passes: &[Pass] = if reader.info().interlaced { &ADAM7 } else { &PLAIN };
    for pass in passes {
        plane.read_pass(&mut reader, *pass)?;
    }
    // To the end marker: an image whose rest is missing is not shown.
    reader.finish().map_err(refuse)?;
    let info = reader.info();
    let declared = info.sbit.as_deref().and_then(|bits| bits.iter().copied().max());
    let orientation = info.exif_metadata.as_deref().map_or(1, orientation::from_exif);
    Ok((Read { width, height, orientation, declared, plane }, reserved))
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
    /// The pixels in opaque colour, where the file has some and they are wanted.
    colours: Option<Colours>,
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

enum Colours {
    Eight(Vec<[u8; 3]>),
    Sixteen(Vec<[u16; 3]>),
}

impl Plane {
    fn new(
        width: usize,
        height: usize,
        (color, depth): (ColorType, BitDepth),
        wants_colours: bool,
    ) -> Self {
        let samples = if depth == BitDepth::Sixteen {
            Samples::Sixteen(vec![0; width * height], DeepChroma::new())
        } else {
            Samples::Eight(vec![0; width * height], ChromaSum::default())
        };
        let is_coloured = matches!(color, ColorType::Rgb | ColorType::Rgba);
        let colours = (wants_colours && is_coloured).then(|| match samples {
            Samples::Eight(..) => Colours::Eight(vec![[0; 3]; width * height]),
            Samples::Sixteen(..) => Colours::Sixteen(vec![[0; 3]; width * height]),
        });
        let (transparent, grey, rgb) = (false, Vec::new(), Vec::new());
        Self { width, height, color, samples, colours, transparent, grey, rgb }
    }

    fn is_deep(&self) -> bool {
        matches!(self.samples, Samples::Sixteen(..))
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
                let pixels = row.chunks_exact(self.color.samples() * 2).take(count);
                for (n, pixel) in pixels.enumerate() {
                    let (rgb, opaque) = deep_pixel(self.color, pixel);
                    self.transparent |= !opaque;
                    let [r, g, b] = rgb;
                    let coloured = matches!(self.color, ColorType::Rgb | ColorType::Rgba);
                    plane[start + n * step] = if coloured { chroma.convert(r, g, b) } else { r };
                    if let Some(Colours::Sixteen(colours)) = &mut self.colours {
                        colours[start + n * step] = rgb;
                    }
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
                if let Some(Colours::Eight(colours)) = &mut self.colours {
                    let rgb = if self.color == ColorType::Rgb { row } else { &self.rgb };
                    let targets = colours[start..].iter_mut().step_by(step);
                    targets.zip(rgb.as_chunks::<3>().0).for_each(|(out, rgb)| *out = *rgb);
                }
            }
        }
    }

    /// The samples with their depth and their colours.
    fn samples(self, declared: Option<u8>) -> OriginalSamples {
        match (self.samples, self.colours) {
            (_, Some(Colours::Eight(colours))) => OriginalSamples::Colour(colours),
            (Samples::Sixteen(plane, _), colours) => {
                let depth = depth::of(&plane, declared);
                match colours {
                    Some(Colours::Sixteen(colours)) if !original::is_grey(&colours) => {
                        let reduced = colours.iter().map(|rgb| {
                            rgb.map(|sample| (sample >> (depth.clamp(8, 16) - 8)).min(255) as u8)
                        });
                        OriginalSamples::Colour(reduced.collect())
                    }
                    _ => OriginalSamples::Deep { samples: plane, depth },
                }
            }
            (Samples::Eight(plane, _), _) => OriginalSamples::Grey(plane),
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

/// One pixel of 16-bit samples laid on black, and whether it was opaque. Of grey, the three are one.
fn deep_pixel(color: ColorType, pixel: &[u8]) -> ([u16; 3], bool) {
    let sample = |i: usize| u16::from_be_bytes([pixel[i * 2], pixel[i * 2 + 1]]);
    let alpha = match color {
        ColorType::GrayscaleAlpha => sample(1),
        ColorType::Rgba => sample(3),
        _ => u16::MAX,
    };
    let laid = |i: usize| (u32::from(sample(i)) * u32::from(alpha) / u32::from(u16::MAX)) as u16;
    let rgb = match color {
        ColorType::Rgb | ColorType::Rgba => [laid(0), laid(1), laid(2)],
        _ => [laid(0); 3],
    };
    (rgb, alpha == u16::MAX)
}
