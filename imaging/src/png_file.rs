//! PNG: 1 to 16 bits, grey, palette and colour, with and without alpha, interlaced or not.
//!
//! Rows become grey as they come, so memory is one plane whatever the colour type. Transparent parts
//! are laid on black, the background of a radiograph. 16-bit colour keeps its high bytes.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, DecodingError, Reader, Transformations};

use crate::chroma::ChromaSum;
use crate::radiograph::{Decoded, Samples};
use crate::{Format, Limits, Rejection, orientation};

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

pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, Rejection> {
    let mut decoder = Decoder::new(Cursor::new(bytes));
    // Both may be compressed bombs, and neither is wanted.
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND);
    let header = decoder.read_header_info().map_err(refuse)?;
    limits.admit_size(header.width, header.height)?;

    let mut reader = decoder.read_info().map_err(refuse)?;
    let (width, height) = (reader.info().width, reader.info().height);
    let mut plane = Plane::new(width as usize, height as usize, reader.output_color_type());
    let passes: &[Pass] = if reader.info().interlaced { &ADAM7 } else { &PLAIN };
    for pass in passes {
        plane.read_pass(&mut reader, *pass)?;
    }
    // To the end marker: an image whose rest is missing is not shown.
    reader.finish().map_err(refuse)?;
    let exif = reader.info().exif_metadata.as_deref();
    Ok(Decoded {
        width,
        height,
        samples: plane.samples,
        chroma: plane.chroma.finish(),
        orientation: exif.map_or(1, orientation::from_exif),
        format: Format::Png,
        transparent: plane.transparent,
    })
}

fn refuse(error: DecodingError) -> Rejection {
    Rejection::undecodable(format!("The PNG does not decode: {error}."))
}

/// The grey plane being filled.
struct Plane {
    width: usize,
    height: usize,
    color: ColorType,
    sixteen: bool,
    samples: Samples,
    chroma: ChromaSum,
    transparent: bool,
    /// One row in grey, and in opaque colour.
    grey: Vec<u8>,
    rgb: Vec<u8>,
}

impl Plane {
    fn new(width: usize, height: usize, (color, depth): (ColorType, BitDepth)) -> Self {
        let sixteen = depth == BitDepth::Sixteen;
        let grey = matches!(color, ColorType::Grayscale | ColorType::GrayscaleAlpha);
        let samples = if sixteen && grey {
            Samples::Sixteen(vec![0; width * height])
        } else {
            Samples::Eight(vec![0; width * height])
        };
        Self {
            width,
            height,
            color,
            sixteen,
            samples,
            chroma: ChromaSum::default(),
            transparent: false,
            grey: Vec::new(),
            rgb: Vec::new(),
        }
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
            Samples::Sixteen(plane) => {
                let targets = plane[start..].iter_mut().step_by(step).take(count);
                for (out, pixel) in targets.zip(row.chunks_exact(self.color.samples() * 2)) {
                    let grey = u16::from_be_bytes([pixel[0], pixel[1]]);
                    let alpha =
                        pixel.get(2..4).map_or(u16::MAX, |a| u16::from_be_bytes([a[0], a[1]]));
                    self.transparent |= alpha != u16::MAX;
                    *out = (u32::from(grey) * u32::from(alpha) / u32::from(u16::MAX)) as u16;
                }
            }
            Samples::Eight(plane) => {
                let high: Vec<u8>;
                let row = if self.sixteen {
                    high = row.iter().copied().step_by(2).collect();
                    &high[..]
                } else {
                    row
                };
                self.grey.resize(count, 0);
                match self.color {
                    ColorType::Grayscale | ColorType::Indexed => self.grey.copy_from_slice(row),
                    ColorType::Rgb => self.chroma.convert_rgb(row, &mut self.grey),
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
                        self.chroma.convert_rgb(&self.rgb, &mut self.grey);
                    }
                }
                for (out, &grey) in plane[start..].iter_mut().step_by(step).zip(&self.grey) {
                    *out = grey;
                }
            }
        }
    }
}

fn on_black(value: u8, alpha: u8) -> u8 {
    ((u32::from(value) * u32::from(alpha) + 127) / 255) as u8
}
