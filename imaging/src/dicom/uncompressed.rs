//! Compressed Pixel Data as it is uncompressed (PS3.5, 8.1.1): the samples as they are stored, before any window.
//!
//! Runs where it is called: callers have a child do it ([`crate::isolation::run`]).

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use lobar_core::image::Reason;
use lobar_core::study::Uid;

use super::codec::{Coded, Frame, Frames, Samples};
use super::data_set::DataSet;
use super::element::{self, Value};
use super::layout::{self, Layout, Photometric};
use super::tag::named;
use super::{contained, open};
use crate::memory::Reserved;
use crate::{Limits, Rejection};

/// Pixel Data of an image that was compressed, and what says otherwise of it than before.
pub struct Uncompressed {
    /// The samples in little endian, each in the bytes of Bits Allocated, those of a pixel together (Planar Configuration 0).
    /// Frame after frame.
    pub pixels: Vec<u8>,
    /// Bytes of a frame.
    pub frame: usize,
    /// Samples per Pixel (0028,0002).
    pub samples: u16,
    /// Bits Allocated (0028,0100): 8 or 16.
    pub allocated: u16,
    /// Photometric Interpretation (0028,0004) of these samples.
    pub photometric: &'static str,
    /// Pixel Representation (0028,0103) of these samples.
    pub signed: bool,
    /// How they were compressed where that loses.
    pub loss: Option<Loss>,
    /// What the picture was compressed by: bytes uncompressed for one compressed.
    pub ratio: f64,
    _reserved: Option<Reserved>,
}

/// A compression that loses (PS3.3, C.7.6.1.1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Lossy Image Compression Method (0028,2114).
    pub method: &'static str,
    /// Whether it loses always, and not only where its writer let it.
    pub always: bool,
}

impl Loss {
    fn of(uid: Option<&str>, coded: &Coded<'_>) -> Option<Self> {
        let end = uid.and_then(|uid| uid.strip_prefix("1.2.840.10008.1.2.4."));
        let (method, always) = match end {
            _ if coded.loses() => ("ISO_10918_1", true),
            Some("81") => ("ISO_14495_1", false),
            Some("91") => ("ISO_15444_1", false),
            Some("203") => ("ISO_15444_15", false),
            _ => return None,
        };
        Some(Self { method, always })
    }
}

/// The frames of these numbers, from 0, or all, uncompressed; `None` where the file's Pixel Data are not compressed, or there
/// are none.
///
/// # Errors
/// `unsupported_transfer_syntax` and `unsupported_pixels` for what is not read, by name; `too_many_pixels`; `undecodable`.
pub fn uncompress(
    bytes: &[u8],
    limits: &Limits,
    wanted: Option<&[usize]>,
) -> Result<Option<Uncompressed>, Rejection> {
    contained(|| {
        let file = open::open(bytes, limits)?;
        let data_set = file.data_set();
        let Some(items) = fragments(&data_set)? else { return Ok(None) };
        let uid = file.transfer_syntax.as_ref().map(Uid::as_str);
        let image = Image::of(&data_set, limits)?;
        let size = image.size(wanted.map_or(image.frames, <[usize]>::len), limits)?;
        let frames = Frames::of(items, image.frames)?;
        let numbers = wanted.map_or_else(|| (0..image.frames).collect(), <[usize]>::to_vec);
        let mut pixels = Vec::new();
        let (mut last, mut loss, mut photometric) = (None, None, image.photometric());
        let mut signed = image.layout.signed;
        for number in numbers {
            let coded = frames.get(number, uid)?;
            image.refuse_sampled(&data_set, &coded)?;
            if coded.loses() && photometric == "YBR_FULL" {
                photometric = "RGB";
            }
            loss = Loss::of(uid, &coded);
            // Free for the next one.
            drop(last.take());
            let frame = coded.samples(&data_set, &image.layout, limits, size)?;
            signed = frame.signed.unwrap_or(signed);
            let Frame { samples, reserved, .. } = frame;
            image.pack(samples, &mut pixels, size as usize)?;
            last = Some(reserved);
        }
        let compressed: usize = element::parts(items).skip(1).map(<[u8]>::len).sum();
        let whole = image.frame() as f64 * image.frames as f64;
        Ok(Some(Uncompressed {
            pixels,
            frame: image.frame(),
            samples: image.layout.samples() as u16,
            allocated: image.layout.allocated,
            photometric,
            signed,
            loss,
            ratio: whole / compressed.max(1) as f64,
            _reserved: last,
        }))
    })
}

/// The most memory that [`uncompress`] takes for so many frames of a file, or for all, bytes; nothing where its Pixel Data are
/// not compressed.
///
/// # Errors
/// As [`uncompress`] refuses it, by what is before the pixels.
pub fn memory_to_uncompress(
    bytes: &[u8],
    limits: &Limits,
    wanted: Option<usize>,
) -> Result<u64, Rejection> {
    contained(|| {
        super::looked_at(bytes, limits, |file| {
            let data_set = file.data_set();
            let Some(items) = fragments(&data_set)? else { return Ok(0) };
            let image = Image::of(&data_set, limits)?;
            let size = image.size(wanted.unwrap_or(image.frames), limits)?;
            let frames = Frames::of(items, image.frames)?;
            let uid = file.transfer_syntax.as_ref().map(Uid::as_str);
            let first = frames.get(0, uid)?;
            image.refuse_sampled(&data_set, &first)?;
            let compressed: usize = element::parts(items).map(<[u8]>::len).sum();
            Ok(first.memory(&image.layout) + compressed as u64 + size)
        })
    })
}

/// The items of compressed Pixel Data; `None` where they are not compressed, or there are none.
fn fragments<'a>(data_set: &DataSet<'a>) -> Result<Option<&'a [u8]>, Rejection> {
    match (data_set.value(tags::PIXEL_DATA), data_set.broken) {
        (Some(Value::Fragments(items)), _) => Ok(Some(items)),
        (None, Some(_)) => Err(Rejection::undecodable("The file is cut short before its end.")),
        _ => Ok(None),
    }
}

/// How the frames of an image are laid out.
struct Image {
    layout: Layout,
    /// At least one.
    frames: usize,
}

impl Image {
    fn of(data_set: &DataSet<'_>, limits: &Limits) -> Result<Self, Rejection> {
        let layout = layout::of_frame(data_set, limits)?;
        let frames = data_set.integer(tags::NUMBER_OF_FRAMES).unwrap_or(1).max(1);
        Ok(Self { layout, frames: frames as usize })
    }

    /// Bytes of a frame.
    fn frame(&self) -> usize {
        self.layout.pixels() * self.layout.samples() * self.layout.bytes()
    }

    /// Bytes of so many frames, which are no more than the largest film has.
    fn size(&self, frames: usize, limits: &Limits) -> Result<u64, Rejection> {
        let most = limits.max_pixels * 2;
        let size = (self.frame() as u64).checked_mul(frames as u64).filter(|size| *size <= most);
        size.ok_or_else(|| {
            let detail = format!("Uncompressed it has more than {} MiB.", most >> 20);
            Rejection::new(Reason::TooManyPixels, detail)
        })
    }

    fn photometric(&self) -> &'static str {
        match self.layout.photometric {
            Photometric::Monochrome1 => "MONOCHROME1",
            Photometric::Monochrome2 => "MONOCHROME2",
            Photometric::Palette => "PALETTE COLOR",
            Photometric::Rgb => "RGB",
            Photometric::Ybr => "YBR_FULL",
        }
    }

    /// Refuses colours whose samples are not told by the data set: of half the pixels, or perhaps turned by the codec.
    fn refuse_sampled(&self, data_set: &DataSet<'_>, coded: &Coded<'_>) -> Result<(), Rejection> {
        let tag: Tag = tags::PHOTOMETRIC_INTERPRETATION;
        let is_ybr = self.layout.photometric == Photometric::Ybr;
        let is_sampled = data_set.word(tag) == Some("YBR_FULL_422") && coded.keeps_sampling();
        if is_sampled || is_ybr && coded.is_jpeg_2000() {
            let detail =
                format!("{}: such colours of this transfer syntax are not read.", named(tag));
            return Err(Rejection::new(Reason::UnsupportedPixels, detail));
        }
        Ok(())
    }

    /// Adds samples, in the bytes that each has, to `out`, which has `all` bytes at the end.
    fn pack(&self, samples: Samples, out: &mut Vec<u8>, all: usize) -> Result<(), Rejection> {
        let samples = match samples {
            Samples::Eight(samples) if self.layout.bytes() == 1 && samples.len() == all => {
                *out = samples;
                return Ok(());
            }
            samples => samples,
        };
        // At once: what grows by doubling takes twice as much.
        out.reserve_exact(all - out.len());
        match (samples, self.layout.bytes()) {
            (Samples::Eight(samples), 1) => out.extend_from_slice(&samples),
            (Samples::Eight(samples), _) => {
                out.extend(samples.iter().flat_map(|sample| u16::from(*sample).to_le_bytes()));
            }
            (Samples::Sixteen(samples), 1) => {
                // Negative ones have all bits above set.
                let fits = |sample: u16| sample <= 0xff || self.layout.signed && sample >= 0xff80;
                if !samples.iter().all(|sample| fits(*sample)) {
                    let tag = named(tags::BITS_ALLOCATED);
                    let detail = format!("{tag} is 8, and the compressed picture has more.");
                    return Err(Rejection::undecodable(detail));
                }
                out.extend(samples.iter().map(|sample| *sample as u8));
            }
            (Samples::Sixteen(samples), _) => {
                out.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
            }
        }
        Ok(())
    }
}
