//! TorchScript archives (`.pt`) that carry a model's card, as a further file of the archive:
//! `extra/lobar.card`, which every PyTorch leaves in place and can read
//! (`torch.jit.load(…, _extra_files=…)`).

#![allow(unsafe_code)] // calls into C++

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tch::Tensor;
use torch_sys::C_tensor;

use crate::card::{CARD_KEY, Card, CardError};

unsafe extern "C" {
    fn lobar_script_write(
        path: *const c_char,
        source: *const c_char,
        names: *const *const c_char,
        tensors: *const *const C_tensor,
        count: usize,
        extra_name: *const c_char,
        extra_text: *const c_char,
        error: *mut *mut c_char,
    ) -> c_int;

    fn lobar_script_extra(
        bytes: *const c_void,
        length: usize,
        name: *const c_char,
        text: *mut *mut c_char,
        error: *mut *mut c_char,
    ) -> c_int;
}

/// How a zip archive begins, and with it every TorchScript file.
const ZIP: &[u8] = b"PK\x03\x04";

/// Whether a file that begins with these bytes may be a TorchScript archive.
#[must_use]
pub fn is_archive(beginning: &[u8]) -> bool {
    beginning.starts_with(ZIP)
}

/// Writes a module with `tensors` as its buffers and the methods of `source`, which is TorchScript,
/// to `path`.
///
/// # Errors
/// libtorch's own words: the source does not compile, the file cannot be written.
pub fn write(
    path: &Path,
    source: &str,
    tensors: &[(String, Tensor)],
    card: &Card,
) -> Result<(), String> {
    let text = |bytes: &[u8]| CString::new(bytes).map_err(|e| e.to_string());
    let metadata = card.to_metadata().map_err(|e| e.to_string())?;
    let (path, source) = (text(path.as_os_str().as_bytes())?, text(source.as_bytes())?);
    let key = text(CARD_KEY.as_bytes())?;
    let json = text(metadata.get(CARD_KEY).map_or("", String::as_str).as_bytes())?;
    let names: Vec<CString> =
        tensors.iter().map(|(name, _)| text(name.as_bytes())).collect::<Result<_, _>>()?;
    let names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let tensors: Vec<*const C_tensor> = tensors.iter().map(|(_, t)| t.as_ptr()).collect();
    let mut error = std::ptr::null_mut();
    // SAFETY: all strings end with a zero and live through the call, as do the tensors, which are
    // only read; both arrays have the length that is given.
    let failed = unsafe {
        lobar_script_write(
            path.as_ptr(),
            source.as_ptr(),
            names.as_ptr(),
            tensors.as_ptr(),
            tensors.len(),
            key.as_ptr(),
            json.as_ptr(),
            &raw mut error,
        )
    };
    if failed == 0 { Ok(()) } else { Err(taken(error).unwrap_or_default()) }
}

/// The card in a TorchScript archive; `None` when it has none.
///
/// # Errors
/// When the archive is not whole, or the card is one that this program cannot read.
pub fn card(archive: &[u8]) -> Result<Option<Card>, CardError> {
    let key = CString::new(CARD_KEY).map_err(|e| CardError::Unreadable(e.to_string()))?;
    let (mut found, mut error) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the archive is given with its length and only read; `key` ends with a zero; what comes
    // back is null or a string that is ours.
    let failed = unsafe {
        lobar_script_extra(
            archive.as_ptr().cast(),
            archive.len(),
            key.as_ptr(),
            &raw mut found,
            &raw mut error,
        )
    };
    if failed != 0 {
        return Err(CardError::Unreadable(first_line(&taken(error).unwrap_or_default())));
    }
    let Some(json) = taken(found) else { return Ok(None) };
    Card::from_metadata(&HashMap::from([(CARD_KEY.to_owned(), json)]))
}

/// libtorch's own words without the call stack that follows them.
#[must_use]
pub fn first_line(words: &str) -> String {
    words.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

/// A string that C++ made, copied and freed; `None` for null.
fn taken(text: *mut c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, so a string made by `strdup` or `strndup`, which is freed once, here.
    unsafe {
        let owned = CStr::from_ptr(text).to_string_lossy().into_owned();
        libc::free(text.cast());
        Some(owned)
    }
}
