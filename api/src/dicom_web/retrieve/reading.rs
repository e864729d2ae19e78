//! Files that others wrote, read in child processes where the program has some: one that breaks a reader or a codec, never ends
//! or asks for all memory costs its own answer, and not the process that answers everybody (`docs/adr/0030`).

use bytes::Bytes;
use dicom_object::InMemDicomObject;
use lobar_core::image::Reason;
use lobar_core::study::Identity;
use lobar_imaging::isolation::{self, Bounds};
use lobar_imaging::{Limits, Rejection, memory_to_open, memory_to_uncompress};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::accept::Range;
use super::answer::{Lacking, pack, unpack};
use super::bulk_data::{self, Values};
use super::instance::{explicit, is_moved, read};
use super::multipart::Part;
use super::{frames, metadata, single_frame};
use crate::dicom_web::address::Address;
use crate::problem::{Kind, Problem};

/// The largest list of attributes, bytes: those that are kept in memory, as JSON.
const ATTRIBUTES_MAX: u64 = 32 << 20;

/// What is wanted of a file.
#[derive(Serialize, Deserialize)]
enum Question {
    /// What it says of itself, with what is known (DICOM JSON), in the place of another patient's or not.
    Attributes { known: serde_json::Value, moved: bool },
    /// The whole instance in Explicit VR Little Endian.
    Explicit,
    /// Frames of these numbers, from 1.
    Frames { numbers: Vec<usize>, uncompressed: bool },
    /// An instance of one of its frames, from 0.
    Frame { index: usize },
    /// The value of a path, or all values and pixels, as far as the client takes them.
    Values { known: serde_json::Value, moved: bool, path: Option<String>, ranges: Vec<Range> },
}

/// Answers a question about an instance that was stored, for the process that asked it: what a child of it runs
/// ([`lobar_imaging::isolation::serve()`]).
///
/// # Errors
/// Why the file cannot be had so.
pub fn read_instance(question: &[u8], file: &[u8], limits: &Limits) -> Result<Vec<u8>, Rejection> {
    let question = serde_json::from_slice(question);
    let unknown = |_| Rejection::new(Reason::Undecodable, "It is not known what is asked.");
    let question: Question = question.map_err(unknown)?;
    match question {
        Question::Attributes { known, moved } => {
            let known: InMemDicomObject = dicom_json::from_value(known).map_err(|_| unwritten())?;
            let told = metadata::of(read(file, limits)?, known, moved)?;
            serde_json::to_vec(&told).map_err(|_| unwritten())
        }
        Question::Explicit => explicit(file, limits),
        Question::Frames { numbers, uncompressed } => {
            let given = frames::of_file(file, &numbers, uncompressed, limits)?;
            given.into_bytes().ok_or_else(unwritten)
        }
        Question::Frame { index } => single_frame::file_of(read(file, limits)?, index),
        Question::Values { known, moved, path, ranges } => {
            let known: InMemDicomObject = dicom_json::from_value(known).map_err(|_| unwritten())?;
            let told = metadata::told(read(file, limits)?, known, moved);
            let (head, parts) = match bulk_data::of(told, path.as_deref(), &ranges) {
                Ok((in_parts, parts)) => {
                    let named = |part: &Part| (part.media_type.clone(), part.location.clone());
                    let named = parts.iter().map(named).collect();
                    (Ok((in_parts, named)), parts.into_iter().map(|part| part.bytes).collect())
                }
                Err(lacking) => (Err(lacking), Vec::new()),
            };
            let head: ValuesHead = head;
            pack(&head, &parts).ok_or_else(unwritten)
        }
    }
}

/// Whether values come in parts, and media type and address of each.
type ValuesHead = Result<(bool, Vec<(String, Option<String>)>), Lacking>;

fn unwritten() -> Rejection {
    Rejection::new(Reason::Undecodable, "What is asked for cannot be written.")
}

/// Has a question answered: `more` is the memory that it takes beside the file and what is read of it, bytes.
fn ask(
    question: &Question,
    file: &[u8],
    limits: &Limits,
    (more, answer): (u64, u64),
) -> Result<Vec<u8>, Problem> {
    let question = serde_json::to_vec(question);
    let question = question.map_err(|error| Problem::internal("question", &error))?;
    // The file as it came, as it was read, and as it is written; twice what it inflates to.
    let memory = 3 * file.len() as u64 + 2 * memory_to_open(file, limits) + more;
    let bounds = Bounds { memory, answer };
    isolation::run(read_instance, &question, file, limits, bounds).map_err(refused)
}

/// The largest answer in pixels, bytes: as the largest film, with its attributes.
pub(super) fn largest(limits: &Limits) -> u64 {
    (limits.max_pixels * 2).max(limits.max_bytes as u64) + super::ATTRIBUTES as u64
}

/// The attributes of a DICOM file, as `application/dicom+json` has one instance.
pub(super) fn attributes(
    file: &[u8],
    identity: &Identity,
    address: &Address,
    limits: &Limits,
) -> Result<Bytes, Problem> {
    let known = dicom_json::to_value(metadata::placed(identity, address));
    let known = known.map_err(|error| Problem::internal("dicom json", &error))?;
    let question = Question::Attributes { known, moved: is_moved(identity) };
    let told = ask(&question, file, limits, (ATTRIBUTES_MAX, ATTRIBUTES_MAX))?;
    // It becomes a part of a list.
    match serde_json::from_slice::<IgnoredAny>(&told) {
        Ok(_) => Ok(told.into()),
        Err(error) => Err(Problem::internal("dicom json", &error)),
    }
}

/// A DICOM file in Explicit VR Little Endian, its pixels uncompressed.
pub(super) fn explicit_of(file: &[u8], limits: &Limits) -> Result<Bytes, Problem> {
    let more = memory_to_uncompress(file, limits, None).map_err(refused)?;
    ask(&Question::Explicit, file, limits, (more, largest(limits))).map(Bytes::from)
}

/// Frames of a DICOM file by their numbers, from 1: uncompressed, or as they are stored.
pub(super) fn frames_of(
    file: &[u8],
    numbers: Vec<usize>,
    uncompressed: bool,
    limits: &Limits,
) -> Result<frames::Given, Problem> {
    let more = match uncompressed {
        true => memory_to_uncompress(file, limits, Some(numbers.len())).map_err(refused)?,
        false => 0,
    };
    let question = Question::Frames { numbers, uncompressed };
    let answer = ask(&question, file, limits, (more, largest(limits)))?;
    let given = frames::Given::of_bytes(answer.into());
    given.ok_or_else(|| Problem::internal("frames", &"an answer that cannot be read"))
}

/// An instance of one frame of a DICOM file, from 0.
pub(super) fn frame_of(file: &[u8], index: usize, limits: &Limits) -> Result<Bytes, Problem> {
    ask(&Question::Frame { index }, file, limits, (0, largest(limits))).map(Bytes::from)
}

/// The value of a path in a DICOM file, or all, as far as the client takes them.
pub(super) fn values(
    file: &[u8],
    identity: &Identity,
    address: &Address,
    (path, ranges): (Option<String>, &[Range]),
    limits: &Limits,
) -> Result<Values, Problem> {
    let known = dicom_json::to_value(metadata::placed(identity, address));
    let known = known.map_err(|error| Problem::internal("dicom json", &error))?;
    let ranges = ranges.to_vec();
    let question = Question::Values { known, moved: is_moved(identity), path, ranges };
    let answer = ask(&question, file, limits, (0, largest(limits)))?;
    let unread = || Problem::internal("values", &"an answer that cannot be read");
    let (head, parts): (ValuesHead, _) = unpack(answer.into()).ok_or_else(unread)?;
    let (in_parts, named) = head?;
    if named.len() != parts.len() {
        return Err(unread());
    }
    let part = |((media_type, location), bytes)| Part { media_type, location, bytes };
    Ok((in_parts, named.into_iter().zip(parts).map(part).collect()))
}

/// Why a file is not had in a form: in another it may be.
pub(super) fn refused(refused: Rejection) -> Problem {
    let (kind, hint) = match refused.reason {
        Reason::UnsupportedTransferSyntax | Reason::UnsupportedPixels => {
            (Kind::NotAcceptable, " Ask for it as it is stored, with transfer-syntax=*.")
        }
        _ => (Kind::NoPicture, ""),
    };
    Problem::new(kind, format!("{}{hint}", refused.detail)).with("reason", refused.reason.code())
}
