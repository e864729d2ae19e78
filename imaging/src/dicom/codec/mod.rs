//! Pixel data to samples, one codec a file.

mod dct;
mod deflated;
mod frames;
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
pub(crate) use crate::full_depth::Samples;
use crate::memory::{self, Reserved};
use crate::{Limits, Rejection};
pub(super) use frames::Frames;
use marker::Stream;

/// A decoded frame.
#[derive(Debug)]
pub(super) struct Frame {
    /// As they are stored; those of a pixel together.
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
    pixels: Pixels<'a>,
    kind: Kind,
    mislabelled: bool,
}

/// The fragments of a frame at most; each costs a file eight bytes, whatever is in it.
const MAX_FRAGMENTS: usize = 1 << 16;
/// The joined bytes at most that are searched for what a stream is, where its first fragment does not tell.
const HEAD: usize = 1 << 20;

/// Where the bytes of a frame lie.
enum Pixels<'a> {
    Whole(&'a [u8]),
    /// In fragments, of this length together.
    Parts(&'a [u8], usize),
}

fn bound_fragments(fragments: &[u8]) -> Result<(), Rejection> {
    if element::parts(fragments).nth(MAX_FRAGMENTS).is_some() {
        let detail = format!("The pixels lie in more than {MAX_FRAGMENTS} fragments.");
        return Err(Rejection::undecodable(detail));
    }
    Ok(())
}

impl<'a> Pixels<'a> {
    fn of(fragments: &'a [u8]) -> Result<Self, Rejection> {
        let filled = || element::parts(fragments).filter(|fragment| !fragment.is_empty());
        bound_fragments(fragments)?;
        let first = filled().next().unwrap_or_default();
        Ok(match filled().nth(1) {
            None => Pixels::Whole(first),
            Some(_) => Pixels::Parts(fragments, filled().map(<[u8]>::len).sum()),
        })
    }

    fn length(&self) -> usize {
        match self {
            Pixels::Whole(bytes) => bytes.len(),
            Pixels::Parts(_, length) => *length,
        }
    }

    /// The first `length` bytes, copied only where they lie in parts.
    fn joined(&self, length: usize) -> Cow<'a, [u8]> {
        match self {
            Pixels::Whole(bytes) => Cow::Borrowed(&bytes[..length.min(bytes.len())]),
            Pixels::Parts(fragments, all) => {
                let mut joined = Vec::with_capacity(length.min(*all));
                for fragment in element::parts(fragments) {
                    let left = length.saturating_sub(joined.len());
                    joined.extend_from_slice(&fragment[..left.min(fragment.len())]);
                }
                Cow::Owned(joined)
            }
        }
    }

    /// What the frame is by its own markers.
    fn stream(&self) -> Option<Stream> {
        match self {
            Pixels::Whole(bytes) => marker::stream(bytes),
            Pixels::Parts(..) => marker::stream(&self.joined(HEAD)),
        }
    }
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
    match data_set.value(tags::PIXEL_DATA) {
        // A private one may have another order of bytes.
        Some(Value::Bytes(_)) if uid.is_some() && syntax.is_none() => Err(unread(uid, "")),
        // Whatever the file says: what has no fragments is not compressed.
        Some(Value::Bytes(bytes)) => {
            let mislabelled = syntax.is_some_and(|syntax| syntax.codec != Some(Codec::Native));
            let pixels = Pixels::Whole(bytes);
            Ok(Coded { pixels, kind: Kind::Native, mislabelled })
        }
        Some(Value::Fragments(items)) => in_fragments(element::encapsulated(items).1, uid),
        Some(Value::Items(..)) | None => {
            Err(Rejection::undecodable(format!("{} is none.", named(tags::PIXEL_DATA))))
        }
    }
}

/// The refusal of a transfer syntax that is not read.
fn unread(uid: Option<&str>, name: &str) -> Rejection {
    // A UID outside the standard's may be a study's, written into the wrong place.
    let number =
        uid.filter(|uid| uid.starts_with("1.2.840.10008.")).unwrap_or("not a standard one");
    let detail = format!("{} is {number}{name}.", named(tags::TRANSFER_SYNTAX_UID));
    Rejection::new(Reason::UnsupportedTransferSyntax, detail)
}

/// One frame, in these fragments.
fn in_fragments<'a>(fragments: &'a [u8], uid: Option<&str>) -> Result<Coded<'a>, Rejection> {
    let syntax = uid.and_then(transfer_syntax::of);
    let pixels = Pixels::of(fragments)?;
    let stream = pixels.stream();
    let codec = match syntax {
        Some(syntax) => {
            Some(syntax.codec.ok_or_else(|| unread(uid, &format!(", {}", syntax.name)))?)
        }
        None if uid.is_some() => return Err(unread(uid, "")),
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
    Ok(Coded { pixels, kind, mislabelled })
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
        samples * (2 + codec) + layout.pixels() as u64 + self.pixels.length() as u64
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
            let bytes = self.pixels.joined(self.pixels.length());
            let mut frame = dct::decode(&bytes, layout, limits)?;
            frame.mislabelled = self.mislabelled;
            return Ok(frame);
        }
        self.decode_within(data_set, layout, memory::reserve(self.memory(layout))?)
    }

    /// The samples of the frame as it has them, in colour too, within the memory of this process, of which `beside` bytes
    /// more are taken.
    pub(super) fn samples(
        &self,
        data_set: &DataSet<'_>,
        layout: &Layout,
        limits: &Limits,
        beside: u64,
    ) -> Result<Frame, Rejection> {
        if self.kind == Kind::Stream(Stream::Dct) {
            let bytes = self.pixels.joined(self.pixels.length());
            let is_rgb = data_set.word(tags::PHOTOMETRIC_INTERPRETATION) == Some("RGB");
            return dct::samples(&bytes, layout, limits, (beside, is_rgb));
        }
        let reserved = memory::reserve(self.memory(layout) + beside)?;
        self.decode_within(data_set, layout, reserved)
    }

    /// Whether the codec is the one of these that always loses, or may.
    pub(super) fn loses(&self) -> bool {
        self.kind == Kind::Stream(Stream::Dct)
    }

    /// Whether the codec leaves colours as they were given to it, sampled or not.
    pub(super) fn keeps_sampling(&self) -> bool {
        matches!(self.kind, Kind::Native | Kind::Deflated)
    }

    /// Whether it is JPEG 2000, which may have turned RGB into another colour space by itself.
    pub(super) fn is_jpeg_2000(&self) -> bool {
        self.kind == Kind::Stream(Stream::Jpeg2000)
    }

    fn decode_within(
        &self,
        data_set: &DataSet<'_>,
        layout: &Layout,
        reserved: Reserved,
    ) -> Result<Frame, Rejection> {
        let mut signed = None;
        let channels = layout.samples();
        let bytes = &*self.pixels.joined(self.pixels.length());
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
