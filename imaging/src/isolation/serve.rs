//! A child, as it sees itself.

use std::io::{self, BufWriter, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use super::message::Wanted;
use super::{Task, limits, message};
use crate::{dicom, limit_decoding_memory};

/// Decodes file after file for the parent, which is at the other end of standard input, a socket, and answers the program's
/// own questions by `task`. Returns when the parent is gone or has no more.
pub fn serve(task: Task) -> io::Result<()> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    limits::begin()?;
    socket.write_all(&[message::READY])?;
    let mut bounded = false;
    while let Some(question) = message::read_question(&mut socket)? {
        if !bounded {
            limits::memory(question.memory)?;
            // The rest is for the file, the answer and what codecs need beside their pictures.
            limit_decoding_memory(question.memory / 16 * 13);
            bounded = true;
        }
        limits::time(question.seconds)?;
        let bytes = message::read_file(&mut socket, &question)?;
        let mut writer = BufWriter::new(&mut socket);
        let limits = &question.limits;
        match &question.wanted {
            Wanted::Picture(voi) => {
                let decoded = dicom::decode_here(&bytes, limits, voi.as_ref());
                let answer = decoded.map(|(radiograph, _reserved)| radiograph);
                drop(bytes);
                message::write_picture(&mut writer, &question, &answer)?;
            }
            Wanted::FullDepth => {
                let decoded = dicom::full_depth_here(&bytes, limits);
                let answer = decoded.map(|(decoded, _reserved)| decoded);
                drop(bytes);
                message::write_full_depth(&mut writer, &question, &answer)?;
            }
            Wanted::Answer(asked) => {
                let answer = dicom::contained(|| task(asked, &bytes, limits));
                drop(bytes);
                message::write_answer(&mut writer, &question, &answer)?;
            }
        }
        writer.flush()?;
    }
    Ok(())
}
