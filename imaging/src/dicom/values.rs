//! Stored samples to modality values (PS3.3, C.7.6.3 and C.11.1): bits, sign, padding, rescale, lookup table.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::data_set::DataSet;
use super::layout::Layout;
use super::tag::named;
use crate::Rejection;

/// What a sample means.
pub(super) struct Values {
    layout: Layout,
    /// Lowest and highest number that stands for no pixel.
    padding: Option<(i32, i32)>,
    scale: Scale,
}

enum Scale {
    Linear { slope: f32, intercept: f32 },
    Table(Lookup),
}

impl Values {
    pub(super) fn of(data_set: &DataSet<'_>, layout: &Layout) -> Result<Self, Rejection> {
        let scale = match data_set.item(tags::MODALITY_LUT_SEQUENCE) {
            Some(item) => Scale::Table(Lookup::of(&item, layout.signed)?),
            None => Scale::Linear {
                // A slope of zero is not one.
                slope: data_set.decimal(tags::RESCALE_SLOPE).filter(|s| *s != 0.0).unwrap_or(1.0),
                intercept: data_set.decimal(tags::RESCALE_INTERCEPT).unwrap_or(0.0),
            },
        };
        let number = |tag: Tag| {
            data_set.short(tag).map(|value| match layout.signed {
                true => i32::from(value as i16),
                false => i32::from(value),
            })
        };
        let padding = number(tags::PIXEL_PADDING_VALUE).map(|value| {
            let limit = number(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(value);
            (value.min(limit), value.max(limit))
        });
        Ok(Self { layout: *layout, padding, scale })
    }

    /// The modality value of a sample; `None` for padding.
    pub(super) fn of_sample(&self, sample: u16) -> Option<f32> {
        let stored = self.stored(sample);
        if let Some((low, high)) = self.padding {
            // Padding may be a number that the stored bits cannot hold, as 65535 of 12 bits.
            let whole = if self.layout.signed { i32::from(sample as i16) } else { sample.into() };
            if (low..=high).contains(&stored) || (low..=high).contains(&whole) {
                return None;
            }
        }
        Some(match &self.scale {
            Scale::Linear { slope, intercept } => stored as f32 * slope + intercept,
            Scale::Table(table) => f32::from(table.entry(stored as f32)),
        })
    }

    /// Where the modality value of a sample stands among those that can be, 0..=[`Values::top`]; `None` for padding.
    pub(super) fn place_of(&self, sample: u16) -> Option<u16> {
        let value = self.of_sample(sample)?;
        Some(match &self.scale {
            Scale::Linear { .. } => (self.stored(sample) - self.lowest()) as u16,
            Scale::Table(_) => value as u16,
        })
    }

    /// The last place.
    pub(super) fn top(&self) -> u16 {
        match &self.scale {
            Scale::Linear { .. } => ((1u32 << self.layout.stored) - 1) as u16,
            Scale::Table(table) => table.top(),
        }
    }

    /// Slope and intercept from places to modality values.
    pub(super) fn line(&self) -> (f32, f32) {
        match &self.scale {
            Scale::Linear { slope, intercept } => {
                (*slope, self.lowest() as f32 * slope + intercept)
            }
            Scale::Table(_) => (1.0, 0.0),
        }
    }

    /// The least number that can be stored.
    fn lowest(&self) -> i32 {
        if self.layout.signed { -(1 << (self.layout.stored - 1)) } else { 0 }
    }

    /// The number in the stored bits of a sample; what lies above and below them is none of it.
    fn stored(&self, sample: u16) -> i32 {
        let Layout { stored, high_bit, signed, .. } = self.layout;
        let mask = ((1u32 << stored) - 1) as i32;
        let number = i32::from(sample >> (high_bit + 1 - stored)) & mask;
        match signed && number >> (stored - 1) == 1 {
            true => number - mask - 1,
            false => number,
        }
    }

    /// The modality values of the least and the greatest number that can be stored, the lower first.
    pub(super) fn range(&self) -> (f32, f32) {
        let Layout { stored, signed, .. } = self.layout;
        let span = (1u32 << stored) as f32;
        let first = if signed { -span / 2.0 } else { 0.0 };
        match &self.scale {
            Scale::Linear { slope, intercept } => {
                let ends = [first, first + span - 1.0].map(|value| value * slope + intercept);
                (ends[0].min(ends[1]), ends[0].max(ends[1]))
            }
            Scale::Table(table) => (0.0, f32::from(table.top())),
        }
    }

    /// Whether a sample is its own value.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.scale, Scale::Linear { slope: 1.0, intercept: 0.0 }) && !self.layout.signed
    }
}

/// A lookup table (PS3.3, C.11.1.1.1 and C.11.2.1.1).
pub(super) struct Lookup {
    first: i32,
    entries: Vec<u16>,
    bits: u16,
}

impl Lookup {
    /// The table of an item. `signed`: whether what it is asked for may be negative.
    pub(super) fn of(item: &DataSet<'_>, signed: bool) -> Result<Self, Rejection> {
        let wrong =
            |tag| Rejection::undecodable(format!("{} is missing or too short.", named(tag)));
        let descriptor = item.shorts(tags::LUT_DESCRIPTOR);
        let [count, first, bits, ..] = descriptor[..] else {
            return Err(wrong(tags::LUT_DESCRIPTOR));
        };
        let count = if count == 0 { 1 << 16 } else { usize::from(count) };
        let first = if signed { i32::from(first as i16) } else { first.into() };
        let bytes = item.bytes(tags::LUT_DATA).ok_or_else(|| wrong(tags::LUT_DATA))?;
        let entries: Vec<u16> = match (bytes.len() / 2 >= count, bits <= 8 && bytes.len() >= count)
        {
            (true, _) => item.shorts(tags::LUT_DATA)[..count].to_vec(),
            // Two entries of 8 bits in a word.
            (false, true) => bytes[..count].iter().map(|byte| u16::from(*byte)).collect(),
            _ => return Err(wrong(tags::LUT_DATA)),
        };
        Ok(Self { first, entries, bits: bits.clamp(8, 16) })
    }

    /// The entry of a value; the first and the last go on beyond the ends.
    pub(super) fn entry(&self, value: f32) -> u16 {
        let index = (value - self.first as f32).clamp(0.0, (self.entries.len() - 1) as f32);
        self.entries[index as usize]
    }

    /// The largest number that an entry may be, and none is above it.
    pub(super) fn top(&self) -> u16 {
        let bits = ((1u32 << self.bits) - 1) as u16;
        bits.max(self.entries.iter().copied().max().unwrap_or(0))
    }
}
