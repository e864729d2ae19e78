//! Pixel data to samples, one codec a file.

mod dct;
mod deflated;
mod jpeg_2000;
mod jpeg_ls;
pub(super) mod lossless;
mod marker;
mod native;
pub(super) mod rle;

use std::borrow::Cow;

use dicom_dictionary_std::tags;
use lobar_core::image::Reason;

use super::data_set::DataSet;
use super::element::{self, Value};
use super::layout::Layout;
use super::tag::named;
use super::transfer_syntax::{self, Codec};
use crate::memory::{self, Reserved};
use crate::{Limits, Rejection};
use marker::Stream;

/// The samples of a frame, as they are stored; those of a pixel together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Samples {
    Eight(Vec<u8>),
    Sixteen(Vec<u16>),
}

/// A decoded frame.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) samples: Samples,
    /// Samples a pixel: 1 or 3.
    pub(super) channels: usize,
    /// Where the codec says itself whether samples are signed.
    pub(super) signed: Option<bool>,
    /// Whether the file names another compression than its bytes have.
    pub(super) mislabelled: bool,
    /// Held for as long as the samples.
    pub(super) reserved: Reserved,
}

/// Pixel data, and what is to be done with it.
pub(super) struct Coded<'a> {
    bytes: Cow<'a, [u8]>,
    kind: Kind,
    mislabelled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Native,
    Deflated,
    Rle,
    Stream(Stream),
}

/// Finds the pixels and their compression; refuses transfer syntaxes that are not read, by name.
pub(super) fn find<'a>(data_set: &DataSet<'a>, uid: Option<&str>) -> Result<Coded<'a>, Rejection> {
    let syntax = uid.and_then(transfer_syntax::of);
    let fragments = match data_set.value(tags::PIXEL_DATA) {
        // Whatever the file says: what has no fragments is not compressed.
        Some(Value::Bytes(bytes)) => {
            let mislabelled = syntax.is_some_and(|syntax| syntax.codec != Some(Codec::Native));
            return Ok(Coded { bytes: Cow::Borrowed(bytes), kind: Kind::Native, mislabelled });
        }
        Some(Value::Fragments(fragments)) => fragments,
        Some(Value::Items(..)) | None => {
            return Err(Rejection::undecodable(format!("{} is none.", named(tags::PIXEL_DATA))));
        }
    };
    let refused = |name: &str| {
        // A UID outside the standard's may be a study's, written into the wrong place.
        let number =
            uid.filter(|uid| uid.starts_with("1.2.840.10008.")).unwrap_or("not a standard one");
        let detail = format!("{} is {number}{name}.", named(tags::TRANSFER_SYNTAX_UID));
        Rejection::new(Reason::UnsupportedTransferSyntax, detail)
    };
    let mut parts = element::fragments(fragments);
    let first = parts.next().unwrap_or_default();
    let bytes = match parts.next() {
        None => Cow::Borrowed(first),
        Some(second) => {
            let rest: Vec<&[u8]> = parts.collect();
            Cow::Owned([&[first, second][..], &rest].concat().concat())
        }
    };
    let stream = marker::stream(&bytes);
    let codec = match syntax {
        Some(syntax) => Some(syntax.codec.ok_or_else(|| refused(&format!(", {}", syntax.name)))?),
        None if uid.is_some() => return Err(refused("")),
        None => None,
    };
    let (kind, mislabelled) = match (codec, stream) {
        (Some(Codec::Rle), None) => (Kind::Rle, false),
        (Some(Codec::Encapsulated), _) => (Kind::Native, false),
        (Some(Codec::Deflated), _) => (Kind::Deflated, false),
        (codec, Some(stream)) => {
            (Kind::Stream(stream), codec.is_some_and(|codec| codec != stream.codec()))
        }
        (_, None) => {
            let detail = "The compressed pixels begin with no marker of a codec that is read.";
            return Err(Rejection::undecodable(detail));
        }
    };
    Ok(Coded { bytes, kind, mislabelled })
}

impl Coded<'_> {
    /// The most memory that decoding takes, bytes, the grey picture included.
    pub(super) fn memory(&self, layout: &Layout) -> u64 {
        let samples = layout.pixels() as u64 * layout.samples() as u64;
        // What the codec holds a sample, beside two bytes for the sample itself.
        let codec = match self.kind {
            Kind::Native | Kind::Rle => 0,
            Kind::Deflated | Kind::Stream(Stream::Lossless | Stream::JpegLs) => 2,
            Kind::Stream(Stream::Dct) => 9,
            // Four bytes in the tile, and four in the picture.
            Kind::Stream(Stream::Jpeg2000) => 8,
        };
        samples * (2 + codec) + layout.pixels() as u64 + self.bytes.len() as u64
    }

    /// Decodes within the memory of this process.
    pub(super) fn decode(
        &self,
        data_set: &DataSet<'_>,
        layout: &Layout,
        limits: &Limits,
    ) -> Result<Frame, Rejection> {
        if self.kind == Kind::Stream(Stream::Dct) {
            // Reserves what it takes itself.
            let mut frame = dct::decode(&self.bytes, layout, limits)?;
            frame.mislabelled = self.mislabelled;
            return Ok(frame);
        }
        let reserved = memory::reserve(self.memory(layout))?;
        let mut signed = None;
        let channels = layout.samples();
        let bytes = &self.bytes;
        let samples = match self.kind {
            Kind::Native => native::decode(bytes, native::Order::of(data_set, layout), layout)?,
            Kind::Deflated => deflated::decode(bytes, layout)?,
            Kind::Rle => rle::decode(bytes, layout)?,
            Kind::Stream(Stream::Lossless) => {
                lossless::decode(bytes, (layout.width, layout.height), channels)?
            }
            Kind::Stream(Stream::JpegLs) => jpeg_ls::decode(bytes, layout)?,
            Kind::Stream(Stream::Jpeg2000) => {
                let picture = jpeg_2000::decode(bytes, layout)?;
                signed = Some(picture.signed);
                picture.samples
            }
            Kind::Stream(Stream::Dct) => return Err(Rejection::undecodable("No codec.")),
        };
        Ok(Frame { samples, channels, signed, mislabelled: self.mislabelled, reserved })
    }
}

/// The refusal of a stream that holds another picture than the data set says, before it is decoded.
fn expect_size(layout: &Layout, width: u32, height: u32) -> Result<(), Rejection> {
    if (width, height) == (layout.width, layout.height) {
        return Ok(());
    }
    Err(Rejection::undecodable(format!(
        "The data set says {}×{} pixels, and the compressed picture {width}×{height}.",
        layout.width, layout.height
    )))
}
