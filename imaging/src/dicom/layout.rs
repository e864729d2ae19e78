//! How the pixels of an image are laid out (PS3.3, C.7.6.3), checked before anything is allocated for them.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use lobar_core::image::Reason;

use super::data_set::DataSet;
use super::tag::named;
use crate::{Limits, Rejection};

/// What a sample means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Photometric {
    /// Low values are bright.
    Monochrome1,
    /// High values are bright.
    Monochrome2,
    /// Three samples a pixel, read where they are equal.
    Rgb,
    /// Luma and two differences of colour, read where those are none. Compressed, it is what the codec makes of it.
    Ybr,
    /// Numbers of a palette: their pictures are not made.
    Palette,
}

/// The layout of one frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Columns (0028,0011).
    pub(super) width: u32,
    /// Rows (0028,0010).
    pub(super) height: u32,
    pub(super) photometric: Photometric,
    /// Whether samples of a colour lie together, and not those of a pixel.
    pub(super) planar: bool,
    /// 8 or 16.
    pub(super) allocated: u16,
    /// 1..=`allocated`.
    pub(super) stored: u16,
    /// `stored - 1..allocated`.
    pub(super) high_bit: u16,
    pub(super) signed: bool,
}

impl Layout {
    pub(super) fn samples(&self) -> usize {
        match self.photometric {
            Photometric::Monochrome1 | Photometric::Monochrome2 | Photometric::Palette => 1,
            Photometric::Rgb | Photometric::Ybr => 3,
        }
    }

    /// Pixels of the frame.
    pub(super) fn pixels(&self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Bytes of a sample, 1 or 2.
    pub(super) fn bytes(&self) -> usize {
        usize::from(self.allocated / 8)
    }
}

fn missing(tag: Tag) -> Rejection {
    Rejection::undecodable(format!("{} is missing.", named(tag)))
}

fn unsupported(detail: String) -> Rejection {
    Rejection::new(Reason::UnsupportedPixels, detail)
}

/// The layout of an image that a picture is made of: of one frame, and without a palette.
pub(super) fn read(data_set: &DataSet<'_>, limits: &Limits) -> Result<Layout, Rejection> {
    if let Some(frames) = data_set.integer(tags::NUMBER_OF_FRAMES)
        && frames > 1
        && data_set.value(tags::PIXEL_DATA).is_some()
    {
        return Err(unsupported(format!(
            "{} is {frames}; one is read.",
            named(tags::NUMBER_OF_FRAMES)
        )));
    }
    let layout = of_frame(data_set, limits)?;
    match layout.photometric {
        Photometric::Palette => Err(other_photometric("PALETTE COLOR", 1)),
        _ => Ok(layout),
    }
}

/// The layout of a frame of any image whose samples are read.
pub(super) fn of_frame(data_set: &DataSet<'_>, limits: &Limits) -> Result<Layout, Rejection> {
    let short = |tag| data_set.short(tag).ok_or_else(|| missing(tag));
    for tag in [tags::FLOAT_PIXEL_DATA, tags::DOUBLE_FLOAT_PIXEL_DATA] {
        if data_set.value(tag).is_some() {
            return Err(unsupported(format!("{}: floating point is not read.", named(tag))));
        }
    }
    if data_set.value(tags::PIXEL_DATA).is_none() {
        // Its header was there, and its value was not.
        return Err(match data_set.broken {
            Some(_) => {
                Rejection::undecodable("The file is cut short before the end of its pixels.")
            }
            None => missing(tags::PIXEL_DATA),
        });
    }
    let (height, width) = (short(tags::ROWS)?, short(tags::COLUMNS)?);
    limits.admit_size(width.into(), height.into())?;
    let samples = data_set.short(tags::SAMPLES_PER_PIXEL).unwrap_or(1);
    let photometric = photometric(data_set, samples)?;
    let allocated = short(tags::BITS_ALLOCATED)?;
    if !matches!(allocated, 8 | 16) {
        let tag = named(tags::BITS_ALLOCATED);
        return Err(unsupported(format!("{tag} is {allocated}; 8 and 16 are read.")));
    }
    let stored = data_set.short(tags::BITS_STORED).unwrap_or(allocated);
    if !(1..=allocated).contains(&stored) {
        let tag = named(tags::BITS_STORED);
        return Err(Rejection::undecodable(format!("{tag} is {stored} of {allocated} bits.")));
    }
    let high_bit = data_set.short(tags::HIGH_BIT).unwrap_or(stored - 1);
    Ok(Layout {
        width: width.into(),
        height: height.into(),
        photometric,
        planar: data_set.short(tags::PLANAR_CONFIGURATION) == Some(1),
        allocated,
        stored,
        // One that cannot be is not there.
        high_bit: if (stored - 1..allocated).contains(&high_bit) { high_bit } else { stored - 1 },
        signed: data_set.short(tags::PIXEL_REPRESENTATION) == Some(1),
    })
}

fn photometric(data_set: &DataSet<'_>, samples: u16) -> Result<Photometric, Rejection> {
    let tag = tags::PHOTOMETRIC_INTERPRETATION;
    let word = data_set.word(tag).ok_or_else(|| missing(tag))?;
    match (samples, word) {
        (1, "MONOCHROME1") => Ok(Photometric::Monochrome1),
        (1, "MONOCHROME2") => Ok(Photometric::Monochrome2),
        (1, "PALETTE COLOR") => Ok(Photometric::Palette),
        // The last two are transforms of the code stream: what it decodes to is RGB.
        (3, "RGB" | "YBR_RCT" | "YBR_ICT") => Ok(Photometric::Rgb),
        (3, "YBR_FULL" | "YBR_FULL_422") => Ok(Photometric::Ybr),
        _ => {
            const OTHERS: [&str; 9] = [
                "PALETTE COLOR",
                "MONOCHROME1",
                "MONOCHROME2",
                "RGB",
                "YBR_FULL",
                "YBR_FULL_422",
                "YBR_PARTIAL_420",
                "YBR_RCT",
                "YBR_ICT",
            ];
            let shown = if OTHERS.contains(&word) { word } else { "another value" };
            Err(other_photometric(shown, samples))
        }
    }
}

fn other_photometric(shown: &str, samples: u16) -> Rejection {
    let tag = named(tags::PHOTOMETRIC_INTERPRETATION);
    unsupported(format!("{tag} is {shown}, of {samples} samples a pixel."))
}
