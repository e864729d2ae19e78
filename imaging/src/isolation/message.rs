//! What parent and child say to each other: numbers in little endian, lengths before bytes.
//!
//! ```text
//! child    ready
//! parent   number memory seconds max_bytes max_pixels max_side wanted length bytes
//! wanted   picture window(function, center, width)
//!        | full_depth
//!        | answer question(length, bytes)
//! child    number picture width height warnings(count, index…) pixels
//!        | number full_depth width height signed padding bits samples
//!        | number answer length bytes
//!        | number refused reason(length, code) detail(length, text)
//! ```
//!
//! What asks for an answer is the program's own question.

use std::io::{self, Read, Write};

use lobar_core::image::Reason;

use super::Program;
use crate::dicom::full_depth::Decoded;
use crate::full_depth::Samples;
use crate::{Chroma, Format, Limits, Radiograph, Rejection, Voi, VoiFunction, Warning};

pub(super) const READY: u8 = b'R';
const PICTURE: u8 = b'P';
const FULL_DEPTH: u8 = b'D';
const ANSWER: u8 = b'A';
const REFUSED: u8 = b'N';
/// The functions of a window; each is said by its place, from 1.
const FUNCTIONS: [VoiFunction; 3] =
    [VoiFunction::Linear, VoiFunction::LinearExact, VoiFunction::Sigmoid];
/// The longest text that is believed, bytes.
const MAX_TEXT: u64 = 4_096;
/// The longest question of a program, bytes.
const MAX_QUESTION: u64 = 1 << 20;
/// Bytes of samples that are read at once.
const PIECE: usize = 64 << 10;

fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn write_number(to: &mut impl Write, number: u64) -> io::Result<()> {
    to.write_all(&number.to_le_bytes())
}

fn read_number(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn read_byte(from: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    from.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// A length and so many bytes, `most` of them at most.
fn read_bytes(from: &mut impl Read, most: u64) -> io::Result<Vec<u8>> {
    let length = read_number(from)?;
    if length > most {
        return Err(invalid());
    }
    let mut bytes = vec![0; length as usize];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// What is asked about a file.
#[derive(Clone, Copy)]
pub(super) enum Asked<'a> {
    /// Its picture, with a window in place of the file's own.
    Picture(Option<&'a Voi>),
    /// Its pixels at full depth.
    FullDepth,
    /// A question of the program, of at least one byte.
    Answer(&'a [u8]),
}

/// Asks about a file. Its bytes follow. The answer has the same number.
pub(super) fn write_question(
    to: &mut impl Write,
    number: u64,
    program: &Program,
    asked: Asked<'_>,
    (length, limits): (usize, &Limits),
) -> io::Result<()> {
    for number in [number, program.memory, program.processor] {
        write_number(to, number)?;
    }
    let Limits { max_bytes, max_pixels, max_side } = *limits;
    for number in [max_bytes as u64, max_pixels, max_side.into()] {
        write_number(to, number)?;
    }
    match asked {
        Asked::Picture(voi) => {
            to.write_all(&[PICTURE])?;
            let function =
                voi.and_then(|voi| FUNCTIONS.iter().position(|it| *it == voi.function()));
            write_number(to, function.map_or(0, |index| index as u64 + 1))?;
            for number in [voi.map_or(0.0, Voi::center), voi.map_or(0.0, Voi::width)] {
                write_number(to, number.to_bits().into())?;
            }
        }
        Asked::FullDepth => to.write_all(&[FULL_DEPTH])?,
        Asked::Answer(question) => {
            to.write_all(&[ANSWER])?;
            write_number(to, question.len() as u64)?;
            to.write_all(question)?;
        }
    }
    write_number(to, length as u64)
}

/// The window that was asked for, if one was.
fn read_voi(from: &mut impl Read) -> io::Result<Option<Voi>> {
    let function = read_number(from)?;
    let [center, width] = [read_number(from)?, read_number(from)?].map(|bits| {
        // What was written has 32 bits.
        f32::from_bits(u32::try_from(bits).unwrap_or(u32::MAX))
    });
    let Some(index) = function.checked_sub(1) else { return Ok(None) };
    let function = FUNCTIONS.get(index as usize).ok_or_else(invalid)?;
    Voi::new(center, width, *function).map(Some).ok_or_else(invalid)
}

/// What a child is to make of a file.
pub(super) enum Wanted {
    /// The picture for people and for the network, 8 bits, with a window in place of the file's own.
    Picture(Option<Voi>),
    /// All that it has.
    FullDepth,
    /// The answer to a question of the program.
    Answer(Vec<u8>),
}

/// A file, before its bytes are there.
pub(super) struct Question {
    number: u64,
    /// What may be taken, bytes.
    pub(super) memory: u64,
    /// How long it may take on a processor.
    pub(super) seconds: u64,
    pub(super) limits: Limits,
    pub(super) wanted: Wanted,
    length: usize,
}

/// The next file; `None` when the parent has no more.
pub(super) fn read_question(from: &mut impl Read) -> io::Result<Option<Question>> {
    let number = match read_number(from) {
        Ok(number) => number,
        Err(end) if end.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let memory = read_number(from)?;
    let seconds = read_number(from)?;
    let max_bytes = read_number(from)? as usize;
    let max_pixels = read_number(from)?;
    let max_side = read_number(from)? as u32;
    let wanted = match read_byte(from)? {
        PICTURE => Wanted::Picture(read_voi(from)?),
        FULL_DEPTH => Wanted::FullDepth,
        ANSWER => Wanted::Answer(read_bytes(from, MAX_QUESTION)?),
        _ => return Err(invalid()),
    };
    let length = read_number(from)? as usize;
    let limits = Limits { max_bytes, max_pixels, max_side };
    if length > max_bytes {
        return Err(invalid());
    }
    Ok(Some(Question { number, memory, seconds, limits, wanted, length }))
}

/// The bytes of the file that was asked for.
pub(super) fn read_file(from: &mut impl Read, question: &Question) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; question.length];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn write_picture(
    to: &mut impl Write,
    question: &Question,
    answer: &Result<Radiograph, Rejection>,
) -> io::Result<()> {
    write_number(to, question.number)?;
    match answer {
        Ok(picture) => {
            to.write_all(&[PICTURE])?;
            write_number(to, picture.width.into())?;
            write_number(to, picture.height.into())?;
            to.write_all(&[picture.warnings.len() as u8])?;
            for warning in &picture.warnings {
                let index = Warning::ALL.iter().position(|other| other == warning);
                to.write_all(&[index.unwrap_or_default() as u8])?;
            }
            to.write_all(&picture.pixels)
        }
        Err(refused) => write_refusal(to, refused),
    }
}

/// What a file has at full depth.
pub(super) fn write_full_depth(
    to: &mut impl Write,
    question: &Question,
    answer: &Result<Decoded, Rejection>,
) -> io::Result<()> {
    write_number(to, question.number)?;
    let decoded = match answer {
        Ok(decoded) => decoded,
        Err(refused) => return write_refusal(to, refused),
    };
    to.write_all(&[FULL_DEPTH])?;
    write_number(to, decoded.width.into())?;
    write_number(to, decoded.height.into())?;
    to.write_all(&[u8::from(decoded.signed)])?;
    write_number(to, decoded.padding)?;
    match &decoded.samples {
        Samples::Eight(samples) => {
            to.write_all(&[8])?;
            to.write_all(samples)
        }
        Samples::Sixteen(samples) => {
            to.write_all(&[16])?;
            samples.iter().try_for_each(|sample| to.write_all(&sample.to_le_bytes()))
        }
    }
}

/// The answer to a question of the program.
pub(super) fn write_answer(
    to: &mut impl Write,
    question: &Question,
    answer: &Result<Vec<u8>, Rejection>,
) -> io::Result<()> {
    write_number(to, question.number)?;
    match answer {
        Ok(bytes) => {
            to.write_all(&[ANSWER])?;
            write_number(to, bytes.len() as u64)?;
            to.write_all(bytes)
        }
        Err(refused) => write_refusal(to, refused),
    }
}

fn write_refusal(to: &mut impl Write, Rejection { reason, detail }: &Rejection) -> io::Result<()> {
    to.write_all(&[REFUSED])?;
    for text in [reason.code(), detail] {
        write_number(to, text.len() as u64)?;
        to.write_all(text.as_bytes())?;
    }
    Ok(())
}

fn read_refusal(from: &mut impl Read) -> io::Result<Rejection> {
    let mut text = || String::from_utf8(read_bytes(from, MAX_TEXT)?).map_err(|_| invalid());
    let (code, detail) = (text()?, text()?);
    let reason = Reason::parse(&code).ok_or_else(invalid)?;
    Ok(Rejection::new(reason, detail))
}

/// The answer to question `number` of the program, of `most` bytes at most.
pub(super) fn read_answer(
    from: &mut impl Read,
    number: u64,
    most: u64,
) -> io::Result<Result<Vec<u8>, Rejection>> {
    if read_number(from)? != number {
        return Err(invalid());
    }
    match read_byte(from)? {
        ANSWER => read_bytes(from, most).map(Ok),
        REFUSED => read_refusal(from).map(Err),
        _ => Err(invalid()),
    }
}

fn read_size(from: &mut impl Read, limits: &Limits) -> io::Result<(u32, u32)> {
    let side = |number: u64| u32::try_from(number).map_err(|_| invalid());
    let (width, height) = (side(read_number(from)?)?, side(read_number(from)?)?);
    limits.admit_size(width, height).map_err(|_| invalid())?;
    Ok((width, height))
}

/// What question `number` asked for at full depth, believed as [`read_picture`] does.
pub(super) fn read_full_depth(
    from: &mut impl Read,
    number: u64,
    limits: &Limits,
) -> io::Result<Result<Decoded, Rejection>> {
    if read_number(from)? != number {
        return Err(invalid());
    }
    match read_byte(from)? {
        FULL_DEPTH => {}
        REFUSED => return read_refusal(from).map(Err),
        _ => return Err(invalid()),
    }
    let (width, height) = read_size(from, limits)?;
    let pixels = width as usize * height as usize;
    let signed = read_byte(from)? == 1;
    let padding = read_number(from)?;
    let samples = match read_byte(from)? {
        8 => {
            let mut samples = vec![0; pixels];
            from.read_exact(&mut samples)?;
            Samples::Eight(samples)
        }
        16 => {
            let mut samples = Vec::with_capacity(pixels);
            let mut piece = vec![0; PIECE];
            while samples.len() < pixels {
                let piece = &mut piece[..(2 * (pixels - samples.len())).min(PIECE)];
                from.read_exact(piece)?;
                samples
                    .extend(piece.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]])));
            }
            Samples::Sixteen(samples)
        }
        _ => return Err(invalid()),
    };
    Ok(Ok(Decoded { width, height, samples, signed, padding }))
}

/// The picture that question `number` asked for. What a child says is not believed beyond `limits`: what it decoded may have
/// taken it over.
pub(super) fn read_picture(
    from: &mut impl Read,
    number: u64,
    limits: &Limits,
) -> io::Result<Result<Radiograph, Rejection>> {
    if read_number(from)? != number {
        return Err(invalid());
    }
    match read_byte(from)? {
        PICTURE => {
            let (width, height) = read_size(from, limits)?;
            let mut warnings = Vec::new();
            for _ in 0..read_byte(from)? {
                let index = usize::from(read_byte(from)?);
                warnings.push(*Warning::ALL.get(index).ok_or_else(invalid)?);
            }
            let mut pixels = vec![0; width as usize * height as usize];
            from.read_exact(&mut pixels)?;
            let (chroma, format) = (Chroma::default(), Format::Dicom);
            Ok(Ok(Radiograph { width, height, pixels, chroma, format, warnings }))
        }
        REFUSED => read_refusal(from).map(Err),
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_another_question_is_none() {
        let mut answer = Vec::new();
        let refused = Err(Rejection::undecodable("It is cut short."));
        write_picture(&mut answer, &seventh(), &refused).expect("written");
        let read = |number| read_picture(&mut &answer[..], number, &Limits::default());
        assert_eq!(read(7).expect("an answer"), refused);
        assert!(read(8).is_err());
    }

    fn seventh() -> Question {
        let (limits, wanted) = (Limits::default(), Wanted::FullDepth);
        Question { number: 7, memory: 0, seconds: 0, limits, wanted, length: 0 }
    }

    #[test]
    fn an_answer_is_no_longer_than_it_may_be_and_no_picture() {
        let mut answer = Vec::new();
        write_answer(&mut answer, &seventh(), &Ok(vec![1, 2, 3])).expect("written");
        let read = |number, most| read_answer(&mut &answer[..], number, most);
        assert_eq!(read(7, 3).expect("an answer"), Ok(vec![1, 2, 3]));
        assert!(read(7, 2).is_err() && read(8, 3).is_err());
        assert!(read_picture(&mut &answer[..], 7, &Limits::default()).is_err());
    }
}
