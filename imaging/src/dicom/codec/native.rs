//! Samples as they are (PS3.5, 8.1.1 and 8.2).

use dicom_dictionary_std::tags;

use super::super::data_set::DataSet;
use super::super::layout::Layout;
use super::Samples;
use crate::Rejection;

/// The order of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
    /// Samples of 8 bits in words that are big endian: two and two change places.
    Swapped,
}

impl Order {
    pub(super) fn of(data_set: &DataSet<'_>, layout: &Layout) -> Self {
        match (data_set.encoding().big_endian, layout.bytes(), data_set.vr(tags::PIXEL_DATA)) {
            (true, 2, _) => Order::Big,
            (true, _, Some([b'O', b'W'])) => Order::Swapped,
            _ => Order::Little,
        }
    }
}

/// The first frame of `bytes`; what lies behind it is padding.
pub(super) fn decode(bytes: &[u8], order: Order, layout: &Layout) -> Result<Samples, Rejection> {
    let (pixels, channels) = (layout.pixels(), layout.samples());
    let length = pixels * channels * layout.bytes();
    let padded = bytes;
    let Some(bytes) = bytes.get(..length) else {
        return Err(Rejection::undecodable(format!(
            "{} bytes of pixels; {}×{} pixels take {length}.",
            bytes.len(),
            layout.width,
            layout.height
        )));
    };
    // Where sample `channel` of pixel `i` lies, in samples.
    let planar = layout.planar && channels > 1;
    let at = |i: usize| if planar { i % channels * pixels + i / channels } else { i };
    if layout.bytes() == 1 {
        let swap = usize::from(order == Order::Swapped);
        if !planar && swap == 0 {
            return Ok(Samples::Eight(bytes.to_vec()));
        }
        let sample = |i| padded.get(at(i) ^ swap).or(bytes.get(at(i))).copied().unwrap_or(0);
        return Ok(Samples::Eight((0..pixels * channels).map(sample).collect()));
    }
    let word = |pair: [u8; 2]| match order {
        Order::Big => u16::from_be_bytes(pair),
        Order::Little | Order::Swapped => u16::from_le_bytes(pair),
    };
    let sample = |i: usize| word([bytes[at(i) * 2], bytes[at(i) * 2 + 1]]);
    Ok(Samples::Sixteen((0..pixels * channels).map(sample).collect()))
}
