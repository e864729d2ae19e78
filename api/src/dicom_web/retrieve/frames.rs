//! The frames of an instance (PS3.18, 10.4.1.1.6): as they are stored, or uncompressed in little endian.

use std::collections::HashSet;

use bytes::Bytes;
use dicom_dictionary_std::{tags, uids};
use lobar_imaging::{Limits, Rejection, uncompress};
use serde::{Deserialize, Serialize};

use super::accept::Range;
use super::answer::{Lacking, pack, unpack};
use super::instance::{Read, is_native, is_read, read};
use super::pixel_data::{PixelData, given_syntax};
use crate::problem::{Kind, Problem};

/// Frames that are asked for at once.
pub(super) const FRAMES_MAX: usize = 100;
const OCTETS: &str = "application/octet-stream";

/// In which form frames are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// Compressed ones uncompressed, in little endian.
    pub(super) uncompressed: bool,
    /// Whether each is a part of a body, or the one is the body.
    pub(super) multipart: bool,
}

/// Frames, as they were found.
#[derive(Debug)]
pub(super) struct Given {
    /// Transfer Syntax UID of the file.
    pub(super) syntax: String,
    /// All that were asked for, or why there are none.
    pub(super) frames: Result<Vec<Bytes>, Lacking>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    syntax: String,
    lacking: Option<Lacking>,
}

impl Given {
    /// As a child answers with it.
    pub(super) fn into_bytes(self) -> Option<Vec<u8>> {
        let (lacking, frames) = match self.frames {
            Ok(frames) => (None, frames),
            Err(lacking) => (Some(lacking), Vec::new()),
        };
        pack(&Head { syntax: self.syntax, lacking }, &frames)
    }

    /// Reads what a child answered.
    pub(super) fn of_bytes(bytes: Bytes) -> Option<Self> {
        let (Head { syntax, lacking }, frames) = unpack(bytes)?;
        Some(Self { syntax, frames: lacking.map_or(Ok(frames), Err) })
    }

    /// What these frames are, in a form: media type and transfer syntax.
    pub(super) fn media_type(&self, form: Form) -> String {
        let stored = !is_native(&self.syntax) && !form.uncompressed;
        let (kind, syntax) = match stored {
            true => (media_type(&self.syntax), self.syntax.as_str()),
            false => (OCTETS, uids::EXPLICIT_VR_LITTLE_ENDIAN),
        };
        format!("{kind}; transfer-syntax={syntax}")
    }
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

/// The form in which the client takes frames of a transfer syntax.
///
/// # Errors
/// 406 where it takes none, or where frames of that syntax are not uncompressed here.
pub(super) fn form(syntax: &str, several: bool, ranges: &[Range]) -> Result<Form, Problem> {
    let native = is_native(syntax);
    // Uncompressed they are little endian, however they were stored.
    let own = if native { uids::EXPLICIT_VR_LITTLE_ENDIAN } else { syntax };
    let kind = if native { OCTETS } else { media_type(syntax) };
    let can_be_uncompressed = !native && is_read(syntax);
    let fits = |range: &&Range| !several || range.multipart != Some(false);
    let uncompressed = |range: &Range| match range.syntax.as_deref() {
        // Whoever takes any syntax takes it under any name (OHIF asks for octets so).
        Some("*") => (range.takes(kind) || range.takes(OCTETS)).then_some(false),
        Some(asked) if asked == own => (range.takes(kind) || range.takes(OCTETS)).then_some(false),
        None if range.kind == "*/*" => Some(false),
        // Compressed octets have no media type of their own: a client that names no syntax would take them for pixels.
        None if range.takes(kind) && (native || kind != OCTETS) => Some(false),
        // The default of octets (PS3.18, 8.7.3.5.2).
        None | Some(uids::EXPLICIT_VR_LITTLE_ENDIAN) => {
            (can_be_uncompressed && range.takes(OCTETS)).then_some(true)
        }
        Some(_) => None,
    };
    let form = ranges.iter().filter(fits).find_map(|range| {
        let multipart = range.multipart.unwrap_or(true);
        Some(Form { uncompressed: uncompressed(range)?, multipart })
    });
    form.ok_or_else(|| {
        let or = if can_be_uncompressed { ", or octets uncompressed" } else { "" };
        let detail = format!(
            "These frames are {kind} of transfer syntax {own}{or}; several in multipart/related."
        );
        Problem::new(Kind::NotAcceptable, detail)
    })
}

/// Frames of a DICOM file by their numbers, from 1.
pub(super) fn of_file(
    file: &[u8],
    numbers: &[usize],
    uncompressed: bool,
    limits: &Limits,
) -> Result<Given, Rejection> {
    let read = read(file, limits)?;
    let in_fragments = read.object.get(tags::PIXEL_DATA).and_then(|it| it.value().fragments());
    let count = read.object.get(tags::NUMBER_OF_FRAMES).and_then(|it| it.to_int::<usize>().ok());
    let is_there = numbers.iter().all(|number| *number <= count.unwrap_or(1).max(1));
    if !uncompressed || in_fragments.is_none() || !is_there {
        return Ok(find(&read, numbers));
    }
    let syntax = read.syntax;
    drop(read.object);
    let numbers: Vec<usize> = numbers.iter().map(|number| number - 1).collect();
    let frames = match uncompress(file, limits, Some(&numbers))? {
        Some(pixels) => {
            let size = pixels.frame;
            let mut all = Bytes::from(pixels.pixels);
            Ok(numbers.iter().map(|_| all.split_to(size.min(all.len()))).collect())
        }
        None => Err(none("Its pixel data is none.")),
    };
    Ok(Given { syntax, frames })
}

/// Frames as they lie in an instance, by their numbers, from 1.
pub(super) fn find(read: &Read, numbers: &[usize]) -> Given {
    let frames = PixelData::of(read).map_err(none).and_then(|data| {
        let frames = numbers.iter().map(|number| data.frame(number - 1));
        let frames: Option<Vec<Bytes>> = frames.collect();
        frames.ok_or_else(|| none("It has no frame of this number."))
    });
    Given { syntax: read.syntax.clone(), frames }
}

fn none(detail: &str) -> Lacking {
    Lacking::NotThere(detail.into())
}

/// The media type of frames as the client takes them, and whether they come in parts.
pub(super) fn agreed(
    read: &Read,
    several: bool,
    ranges: &[Range],
) -> Result<(String, bool), Lacking> {
    let syntax = given_syntax(read);
    let kind = if is_native(&read.syntax) { OCTETS } else { media_type(syntax) };
    let fits = |range: &&Range| !several || range.multipart != Some(false);
    let takes = |range: &&Range| match range.syntax.as_deref() {
        // Whoever takes any syntax takes it under any name (OHIF asks for octets so).
        Some("*") => range.takes(kind) || range.takes(OCTETS),
        Some(asked) => asked == syntax && (range.takes(kind) || range.takes(OCTETS)),
        None => range.takes(kind),
    };
    let Some(range) = ranges.iter().filter(fits).find(takes) else {
        let detail = format!(
            "These frames are {kind} of transfer syntax {syntax}, several in multipart/related."
        );
        return Err(Lacking::NotTaken(detail));
    };
    Ok((format!("{kind}; transfer-syntax={syntax}"), range.multipart.unwrap_or(true)))
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
        _ => OCTETS,
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
