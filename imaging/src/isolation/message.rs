//! What parent and child say to each other: numbers in little endian, lengths before bytes.
//!
//! ```text
//! child    ready
//! parent   number memory seconds max_bytes max_pixels max_side length bytes
//! child    number picture width height warnings(count, index…) pixels
//!        | number refused reason(length, code) detail(length, text)
//! ```

use std::io::{self, Read, Write};

use lobar_core::image::Reason;

use super::Program;
use crate::{Chroma, Format, Limits, Radiograph, Rejection, Warning};

pub(super) const READY: u8 = b'R';
const PICTURE: u8 = b'P';
const REFUSED: u8 = b'N';
/// The longest text that is believed, bytes.
const MAX_TEXT: u64 = 4_096;

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

/// Asks for a file. Its bytes follow. The answer has the same number.
pub(super) fn write_question(
    to: &mut impl Write,
    number: u64,
    program: &Program,
    length: usize,
    limits: &Limits,
) -> io::Result<()> {
    for number in [number, program.memory, program.processor] {
        write_number(to, number)?;
    }
    let Limits { max_bytes, max_pixels, max_side } = *limits;
    for number in [max_bytes as u64, max_pixels, max_side.into(), length as u64] {
        write_number(to, number)?;
    }
    Ok(())
}

/// A file, before its bytes are there.
pub(super) struct Question {
    number: u64,
    /// What may be taken, bytes.
    pub(super) memory: u64,
    /// How long it may take on a processor.
    pub(super) seconds: u64,
    pub(super) limits: Limits,
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
    let length = read_number(from)? as usize;
    let limits = Limits { max_bytes, max_pixels, max_side };
    if length > max_bytes {
        return Err(invalid());
    }
    Ok(Some(Question { number, memory, seconds, limits, length }))
}

/// The bytes of the file that was asked for.
pub(super) fn read_file(from: &mut impl Read, question: &Question) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; question.length];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn write_answer(
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
        Err(Rejection { reason, detail }) => {
            to.write_all(&[REFUSED])?;
            for text in [reason.code(), detail] {
                write_number(to, text.len() as u64)?;
                to.write_all(text.as_bytes())?;
            }
            Ok(())
        }
    }
}

/// The answer to question `number`. What a child says is not believed beyond `limits`: what it decoded may have taken it over.
pub(super) fn read_answer(
    from: &mut impl Read,
    number: u64,
    limits: &Limits,
) -> io::Result<Result<Radiograph, Rejection>> {
    if read_number(from)? != number {
        return Err(invalid());
    }
    match read_byte(from)? {
        PICTURE => {
            let side = |number: u64| u32::try_from(number).map_err(|_| invalid());
            let (width, height) = (side(read_number(from)?)?, side(read_number(from)?)?);
            limits.admit_size(width, height).map_err(|_| invalid())?;
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
        REFUSED => {
            let mut text = || {
                let length = read_number(from)?;
                let mut bytes =
                    vec![
                        0;
                        if length > MAX_TEXT { return Err(invalid()) } else { length as usize }
                    ];
                from.read_exact(&mut bytes)?;
                String::from_utf8(bytes).map_err(|_| invalid())
            };
            let (code, detail) = (text()?, text()?);
            let reason = Reason::parse(&code).ok_or_else(invalid)?;
            Ok(Err(Rejection::new(reason, detail)))
        }
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_another_question_is_none() {
        let question =
            Question { number: 7, memory: 0, seconds: 0, limits: Limits::default(), length: 0 };
        let mut answer = Vec::new();
        let refused = Err(Rejection::undecodable("It is cut short."));
        write_answer(&mut answer, &question, &refused).expect("written");
        let read = |number| read_answer(&mut &answer[..], number, &Limits::default());
        assert_eq!(read(7).expect("an answer"), refused);
        assert!(read(8).is_err());
    }
}
