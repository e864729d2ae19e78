//! What commands print, on outputs that may be closed or full.
//!
//! `println!` and `eprintln!` panic when nobody reads any more (`lobar predict … | head -1`) or the disk
//! under a redirected output is full. Results go to standard output with [`outln!`]; the first write that
//! fails is remembered, and the command's end says so ([`finish`]). Everything else goes to standard error
//! with [`noteln!`], and is dropped when it cannot be written: it must not stop what it reports on.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::Mutex;

/// Why standard output was given up.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints to standard output, as `print!` does.
#[macro_export]
macro_rules! out {
    ($($text:tt)*) => { $crate::write_out(format_args!($($text)*)) };
}

/// Prints a line to standard output, as `println!` does.
#[macro_export]
macro_rules! outln {
    ($($text:tt)*) => { $crate::write_out(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints a line to standard error, as `eprintln!` does.
#[macro_export]
macro_rules! noteln {
    ($($text:tt)*) => { $crate::write_note(format_args!("{}\n", format_args!($($text)*))) };
}

/// Behind [`out!`] and [`outln!`].
pub fn write_out(text: Arguments<'_>) {
    let mut failed = lock();
    if failed.is_none() {
        *failed = io::stdout().lock().write_fmt(text).err();
    }
}

/// Behind [`noteln!`].
pub fn write_note(text: Arguments<'_>) {
    // Nobody is left who could be told.
    let _ = io::stderr().lock().write_fmt(text);
}

/// Whether standard output was given up, so that a command whose only purpose is its output can end.
pub fn is_closed() -> bool {
    lock().is_some()
}

/// Writes out what is buffered.
///
/// # Errors
/// The first write to standard output that failed. A reader that closed its end of a pipe has read what it
/// wanted, and is no error.
pub fn finish() -> io::Result<()> {
    let mut failed = lock();
    let ended = match failed.take() {
        Some(error) => Err(error),
        None => io::stdout().lock().flush(),
    };
    ended.or_else(|error| match error.kind() {
        ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    })
}

fn lock() -> std::sync::MutexGuard<'static, Option<io::Error>> {
    // Whoever panicked while writing wrote at most a part of a line.
    FAILED.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
