//! A child, as it sees itself.

use std::io::{self, BufWriter, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use super::{limits, message};
use crate::{dicom, limit_decoding_memory};

/// Decodes file after file for the parent, which is at the other end of standard input, a socket. Returns when the parent
/// is gone or has no more.
pub fn serve() -> io::Result<()> {
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
        let decoded = dicom::decode_here(&bytes, &question.limits);
        let answer = decoded.map(|(radiograph, _reserved)| radiograph);
        drop(bytes);
        let mut writer = BufWriter::new(&mut socket);
        message::write_answer(&mut writer, &question, &answer)?;
        writer.flush()?;
    }
    Ok(())
}
