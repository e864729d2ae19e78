//! What the fuzz targets of DICOM hold (`imaging/src/fuzzing.rs`).

use dicom_dictionary_std::tags;

use super::codec::{Samples, lossless, rle};
use super::data_set::DataSet;
use super::element::{Elements, Encoding, Value, fragments, items};
use super::layout::{Layout, Photometric};

/// Walks over bytes as elements: always forwards, and never outside.
pub(crate) fn data_set(bytes: &[u8]) {
    for encoding in [Encoding::IMPLICIT, Encoding::EXPLICIT, Encoding::BIG_ENDIAN] {
        let mut elements = Elements::new(bytes, encoding);
        let mut at = 0;
        while let Some(Ok(element)) = elements.next() {
            assert!(elements.position() > at && elements.position() <= bytes.len());
            at = elements.position();
            let held: usize = match element.value {
                Value::Bytes(bytes) => bytes.len(),
                Value::Items(bytes, encoding) => items(bytes, encoding).map(Iterator::count).sum(),
                Value::Fragments(bytes) => fragments(bytes).map(<[u8]>::len).sum(),
            };
            assert!(held <= bytes.len());
        }
        let read = DataSet::read(bytes, encoding);
        let _ = read.item(tags::VOILUT_SEQUENCE);
        let _ = read.decimals(tags::WINDOW_CENTER).count();
    }
}

fn count(samples: &Samples) -> usize {
    match samples {
        Samples::Eight(samples) => samples.len(),
        Samples::Sixteen(samples) => samples.len(),
    }
}

/// A frame in RLE is as large as it must be, or refused.
pub(crate) fn rle(frame: &[u8], (width, height): (u16, u16)) {
    for (allocated, photometric) in
        [(8, Photometric::Monochrome2), (16, Photometric::Monochrome1), (8, Photometric::Rgb)]
    {
        let layout = Layout {
            width: width.into(),
            height: height.into(),
            photometric,
            planar: false,
            allocated,
            stored: allocated,
            high_bit: allocated - 1,
            signed: false,
        };
        if let Ok(samples) = rle::decode(frame, &layout) {
            assert_eq!(count(&samples), layout.pixels() * layout.samples());
        }
    }
}

/// A JPEG lossless picture is as large as it must be, or refused.
pub(crate) fn lossless(stream: &[u8], (width, height): (u16, u16)) {
    for channels in [1, 3] {
        if let Ok(samples) = lossless::decode(stream, (width.into(), height.into()), channels) {
            let pixels = usize::from(width) * usize::from(height);
            assert_eq!(count(&samples), pixels * channels);
        }
    }
}
