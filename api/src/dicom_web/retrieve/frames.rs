//! The frames of an instance (PS3.18, 10.4.1.1.6): as they are stored, or uncompressed in little endian.

use std::collections::HashSet;

use bytes::Bytes;
use dicom_core::value::Value;
use dicom_dictionary_std::{tags, uids};

use super::accept::Range;
use super::instance::{Read, is_native};
use crate::problem::{Kind, Problem};

/// Frames that are asked for at once.
const FRAMES_MAX: usize = 100;

/// Frames of one media type.
pub(super) struct Frames {
    pub(super) media_type: String,
    /// Whether each is a part of a body, or the one is the body.
    pub(super) multipart: bool,
    pub(super) frames: Vec<Bytes>,
}

/// The numbers of a list, from 1.
pub(super) fn numbers(list: &str) -> Result<Vec<usize>, Problem> {
    let numbers = list.split(',').map(|number| number.parse().ok().filter(|number| *number > 0));
    let numbers: Option<Vec<usize>> = numbers.take(FRAMES_MAX + 1).collect();
    // Each once: an answer is no larger than the instance.
    let is_once =
        |numbers: &Vec<usize>| numbers.iter().collect::<HashSet<_>>().len() == numbers.len();
    numbers.filter(|numbers| numbers.len() <= FRAMES_MAX && is_once(numbers)).ok_or_else(|| {
        let detail = format!(
            "Frames are numbers from 1 with commas between them, each once, at most {FRAMES_MAX}."
        );
        Problem::new(Kind::BadParameter, detail)
    })
}

/// The frames of these numbers as the client takes them.
pub(super) fn find(read: &Read, numbers: &[usize], ranges: &[Range]) -> Result<Frames, Problem> {
    let native = is_native(&read.syntax);
    // Uncompressed they are little endian, however they were stored.
    let syntax = if native { uids::EXPLICIT_VR_LITTLE_ENDIAN } else { read.syntax.as_str() };
    let kind = if native { "application/octet-stream" } else { media_type(syntax) };
    let several = numbers.len() > 1;
    let fits = |range: &&Range| !several || range.multipart != Some(false);
    let takes = |range: &&Range| match range.syntax.as_deref() {
        // Whoever takes any syntax takes it under any name (OHIF asks for octets so).
        Some("*") => range.takes(kind) || range.takes("application/octet-stream"),
        Some(asked) => {
            asked == syntax && (range.takes(kind) || range.takes("application/octet-stream"))
        }
        None => range.takes(kind),
    };
    let Some(range) = ranges.iter().filter(fits).find(takes) else {
        let detail = format!(
            "These frames are {kind} of transfer syntax {syntax}, several in multipart/related."
        );
        return Err(Problem::new(Kind::NotAcceptable, detail));
    };
    let multipart = range.multipart.unwrap_or(true);
    let frames: Option<Vec<Bytes>> = numbers.iter().map(|number| frame(read, number - 1)).collect();
    let frames =
        frames.ok_or_else(|| Problem::new(Kind::NoPicture, "It has no frame of this number."))?;
    Ok(Frames { media_type: format!("{kind}; transfer-syntax={syntax}"), multipart, frames })
}

/// One frame, from 0.
fn frame(read: &Read, index: usize) -> Option<Bytes> {
    let count = |tag| read.object.get(tag).and_then(|element| element.to_int::<usize>().ok());
    let all = count(tags::NUMBER_OF_FRAMES).unwrap_or(1).max(1);
    if index >= all {
        return None;
    }
    let native = is_native(&read.syntax);
    match read.object.get(tags::PIXEL_DATA)?.value() {
        Value::Primitive(pixels) if native => {
            let size = [tags::ROWS, tags::COLUMNS, tags::SAMPLES_PER_PIXEL].map(count);
            // Of single bits a frame may begin within a byte, and of sampled colours a pixel has fewer samples than are named.
            let bits = count(tags::BITS_ALLOCATED).filter(|bits| bits % 8 == 0)?;
            let colours = read.object.get(tags::PHOTOMETRIC_INTERPRETATION)?.to_str().ok()?;
            if matches!(colours.trim_end(), "YBR_FULL_422" | "YBR_PARTIAL_422" | "YBR_PARTIAL_420")
            {
                return None;
            }
            let [rows, columns, samples] = size;
            let length = rows?.checked_mul(columns?)?.checked_mul(samples.unwrap_or(1))?;
            let length = length.checked_mul(bits)?.div_ceil(8);
            let begin = length.checked_mul(index)?;
            let bytes = pixels.to_bytes();
            let frame = bytes.get(begin..begin.checked_add(length)?)?;
            (length > 0).then(|| Bytes::copy_from_slice(frame))
        }
        Value::PixelSequence(pixels) if !native => {
            let fragments = pixels.fragments();
            match all {
                _ if fragments.iter().all(|fragment| fragment.is_empty()) => None,
                1 => Some(fragments.concat().into()),
                _ if fragments.len() == all => Some(fragments[index].clone().into()),
                // Which fragment is whose is not told.
                _ => None,
            }
        }
        // Its file says another transfer syntax than it has.
        _ => None,
    }
}

/// The media type of the frames of a compressed transfer syntax (PS3.18, Table 8.7.3-5).
fn media_type(syntax: &str) -> &'static str {
    match syntax.strip_prefix("1.2.840.10008.1.2.").unwrap_or_default() {
        "4.50" | "4.51" | "4.57" | "4.70" => "image/jpeg",
        "4.80" | "4.81" => "image/jls",
        "4.90" | "4.91" => "image/jp2",
        "4.92" | "4.93" => "image/jpx",
        "4.110" | "4.111" | "4.112" => "image/jxl",
        "4.201" | "4.202" | "4.203" => "image/jphc",
        "5" => "image/dicom-rle",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_frames_is_numbers_from_one() {
        assert_eq!(numbers("1,3").expect("a list"), [1, 3]);
        for wrong in ["", "0", "1,", "x", "-1", "2,1,2", &["1"; 101].join(",")] {
            assert!(numbers(wrong).is_err(), "{wrong}");
        }
    }
}
