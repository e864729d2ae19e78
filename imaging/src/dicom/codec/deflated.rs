//! A frame that is deflated (PS3.5, A.4.12): little endian samples, RFC 1951.

use std::io::Read as _;

use super::super::layout::Layout;
use super::{Samples, native};
use crate::Rejection;

/// Inflates no more than the frame takes.
pub(super) fn decode(bytes: &[u8], layout: &Layout) -> Result<Samples, Rejection> {
    let length = layout.pixels() * layout.samples() * layout.bytes();
    let mut inflated = Vec::with_capacity(length);
    let mut reader = flate2::read::DeflateDecoder::new(bytes).take(length as u64);
    reader
        .read_to_end(&mut inflated)
        .map_err(|_| Rejection::undecodable("The deflated pixels do not inflate."))?;
    native::decode(&inflated, native::Order::Little, layout)
}
