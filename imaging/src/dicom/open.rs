//! A file's bytes to its data set (PS3.10, 7), with what real files lack: the preamble, the meta group, its length, or
//! the transfer syntax.

use std::borrow::Cow;
use std::io::Read as _;

use dicom_dictionary_std::tags;
use lobar_core::image::Reason;
use lobar_core::study::Uid;

use super::data_set::DataSet;
use super::element::{Elements, Encoding, Value};
use super::transfer_syntax::{self, DEFLATED_DATA_SET};
use crate::{Limits, Rejection};

/// The most that a byte of a deflated data set becomes (RFC 1951: 258 bytes for two bits).
const EXPANSION: usize = 1_032;

/// A file that was opened: whatever of its data set can be read is.
pub(super) struct File<'a> {
    /// The data set, inflated where it was deflated.
    bytes: Cow<'a, [u8]>,
    encoding: Encoding,
    /// Transfer Syntax UID (0002,0010), where the file has one.
    pub(super) transfer_syntax: Option<Uid>,
}

impl File<'_> {
    /// What is kept of the data set.
    pub(super) fn data_set(&self) -> DataSet<'_> {
        DataSet::read(&self.bytes, self.encoding)
    }
}

/// Opens a file. A deflated data set may be as large as a file may be.
pub(super) fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<File<'a>, Rejection> {
    let (data_set, transfer_syntax) = split(bytes);
    let uid = transfer_syntax.as_ref().map_or("", Uid::as_str);
    let declared = transfer_syntax::encoding(uid);
    let seen = seen(data_set);
    let (bytes, encoding) = match seen {
        // Also where the file says that it is deflated, and it is not.
        Some(seen) => (Cow::Borrowed(data_set), seen),
        None if uid == DEFLATED_DATA_SET => {
            let inflated = inflate(data_set, limits)?;
            let encoding = self::seen(&inflated).unwrap_or(declared);
            (Cow::Owned(inflated), encoding)
        }
        None => (Cow::Borrowed(data_set), declared),
    };
    Ok(File { bytes, encoding, transfer_syntax })
}

/// The data set of a file as it lies there, and its transfer syntax.
fn split(bytes: &[u8]) -> (&[u8], Option<Uid>) {
    let bytes = match (bytes.get(128..132), bytes.get(..4)) {
        (Some(b"DICM"), _) => &bytes[132..],
        (_, Some(b"DICM")) => &bytes[4..],
        _ => bytes,
    };
    let (transfer_syntax, length) = meta_group(bytes);
    (&bytes[length..], transfer_syntax)
}

/// The transfer syntax that the file meta information names, and how long that is. The group ends where its last
/// element does: its length is missing or wrong in too many files.
fn meta_group(bytes: &[u8]) -> (Option<Uid>, usize) {
    let encoding = match seen(bytes) {
        Some(encoding) if !encoding.big_endian => encoding,
        _ => Encoding::EXPLICIT,
    };
    let mut elements = Elements::new(bytes, encoding);
    let mut transfer_syntax = None;
    while elements.peek().is_some_and(|tag| tag.group() == 2) {
        let Some(Ok(element)) = elements.next() else { break };
        if let (tags::TRANSFER_SYNTAX_UID, Value::Bytes(value)) = (element.tag, element.value) {
            transfer_syntax = std::str::from_utf8(value).ok().and_then(Uid::parse);
        }
    }
    (transfer_syntax, elements.position())
}

/// How the first element is written; `None` where the bytes are not those of a data set. It goes before what the
/// transfer syntax says: the bytes cannot lie.
fn seen(bytes: &[u8]) -> Option<Encoding> {
    let [a, b, c, d, v, r, e, f] = *bytes.first_chunk()?;
    let explicit = v.is_ascii_uppercase() && r.is_ascii_uppercase();
    // A data set begins with a low group, and a length that is not in the gigabytes.
    let little = (1..=0x10).contains(&a) && b == 0;
    let big = a == 0 && (1..=0x10).contains(&b) && c == 0;
    match (little, big, explicit) {
        (true, _, true) => Some(Encoding::EXPLICIT),
        (true, _, false) if (f == 0 || [v, r, e, f] == [0xff; 4]) && d < 0x80 => {
            Some(Encoding::IMPLICIT)
        }
        (_, true, true) => Some(Encoding::BIG_ENDIAN),
        _ => None,
    }
}

/// What opening a file takes of memory, bytes: what its data set inflates to at most, nothing for most files.
pub(super) fn memory_needed(bytes: &[u8], limits: &Limits) -> u64 {
    let (data_set, transfer_syntax) = split(bytes);
    let is_deflated = seen(data_set).is_none()
        && transfer_syntax.is_some_and(|uid| uid.as_str() == DEFLATED_DATA_SET);
    if is_deflated { capacity(data_set, limits) as u64 } else { 0 }
}

fn capacity(deflated: &[u8], limits: &Limits) -> usize {
    deflated.len().saturating_mul(EXPANSION).min(limits.max_bytes) + 1
}

fn inflate(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, Rejection> {
    let bound = limits.max_bytes as u64;
    // At once: what grows by doubling takes twice as much. Pages that are not written to cost nothing.
    let mut inflated = Vec::with_capacity(capacity(bytes, limits));
    let mut reader = flate2::read::DeflateDecoder::new(bytes).take(bound + 1);
    let read = reader.read_to_end(&mut inflated);
    if inflated.len() as u64 > bound {
        let detail = format!("The data set inflates to more than {bound} bytes.");
        return Err(Rejection::new(Reason::TooLarge, detail));
    }
    // What came before the damage is kept: it may say whose image it is.
    if read.is_err() && inflated.is_empty() {
        return Err(Rejection::undecodable("The deflated data set does not inflate."));
    }
    Ok(inflated)
}
