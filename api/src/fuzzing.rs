//! What the fuzz targets `sse_position`, `api_bodies` and `stow_multipart` run, and what every one of their seeds must
//! hold (`docs/fuzzing.md`). Built for tests and for fuzzing only.

use bytes::Bytes;
use futures::{TryStreamExt as _, stream};
use lobar_core::object::{ImageId, is_site_name};
use lobar_core::position::Position;
use uuid::Uuid;

use crate::dicom_web::part10::data_set;
use crate::dicom_web::related::Related;
use crate::page_token;
use crate::routes::{IdentifyBody, PredictBody, PredictFile, PresignBody};
use crate::stream::asked;
use crate::verdict::VerdictBody;

/// Reads `bytes` as two lines: `Last-Event-ID` and `after`. Panics when the position that they say does not read back
/// as itself.
pub fn sse_position(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n').map(|line| (!line.is_empty()).then_some(line));
    let mut line = || lines.next().flatten();
    let (last, after) = (line(), line());
    let Ok(Some(asked)) = asked(last, after) else { return };
    assert!(asked.seq().0 >= 0 && asked.number() >= asked.seq().0, "{asked:?}");
    assert_eq!(Position::from_number(asked.number()), asked);
    // The bare number of an event is read as the position of it.
    let bare = Position::unchecked(asked.seq());
    assert!(bare <= asked && bare.seq() == asked.seq(), "{asked:?}");
    if asked.number() > 0 {
        assert_eq!(Position::parse(&asked.to_string()), Some(asked));
    }
}

/// Reads `bytes` as one letter, which names the body, and the body: `v` a verdict, `p` an image to
/// predict, `u` uploads to presign, `i` uploads to identify, `t` the token of a page. Panics when what
/// was read breaks a promise.
pub fn api_bodies(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    match kind {
        b'v' => {
            let Ok(body) = serde_json::from_slice::<VerdictBody>(body) else { return };
            if let Ok(verdict) = body.on(ImageId(Uuid::nil()), "reader") {
                // What no database takes must have been refused.
                let words = verdict.displayed.iter().chain(&verdict.model_version);
                let words = words.chain([&verdict.note.0]);
                assert!(words.into_iter().all(|word| !word.contains('\0')));
            }
        }
        b'p' => {
            if let Ok(PredictFile { bytes: file, .. }) = PredictBody::read(body.to_vec(), 4_096) {
                assert!(file.len() <= 4_096, "{} bytes", file.len());
            }
        }
        b'u' => {
            let Ok(body) = serde_json::from_slice::<PresignBody>(body) else { return };
            let Ok(lane) = body.check() else { return };
            for key in body.keys("north", lane) {
                assert!(key.len() <= 1_024 && key.is_ascii() && key.starts_with("incoming/north/"));
                assert!(!key.split('/').any(|part| ["", ".", ".."].contains(&part)), "a way out");
            }
        }
        b'i' => {
            let Ok(body) = serde_json::from_slice::<IdentifyBody>(body) else { return };
            if let Ok(ids) = body.ids("xrays") {
                assert!((1..=1_000).contains(&ids.len()));
            }
        }
        b't' => {
            let Ok(token) = std::str::from_utf8(body) else { return };
            let _ = is_site_name(token);
            if let Some(place) = page_token::decode(token) {
                assert_eq!(page_token::decode(&page_token::encode(place)), Some(place));
            }
        }
        _ => {}
    }
}

/// Reads `bytes` as how large the pieces are that a body arrives in, a `Content-Type` up to the end of a line, and the body.
/// Panics when the parts of the body are more than it, or depend on how it arrives.
pub fn stow_multipart(bytes: &[u8]) {
    let Some((size, rest)) = bytes.split_first() else { return };
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let Ok(kind) = std::str::from_utf8(&rest[..end]) else { return };
    let Some(related) = Related::parse(kind) else { return };
    let body = rest.get(end + 1..).unwrap_or_default();
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    let whole = runtime.block_on(contents(&related, body, body.len().max(1)));
    let pieces = runtime.block_on(contents(&related, body, usize::from(*size).max(1)));
    assert_eq!(whole, pieces);
    let length = whole.iter().flatten().map(Vec::len).sum::<usize>();
    assert!(length <= body.len(), "{length} of {}", body.len());
    for file in whole.iter().flatten() {
        let _ = lobar_imaging::attributes(file);
        assert!(data_set(file).len() <= file.len());
    }
}

/// The parts of a body that arrives in pieces; `None` where it is damaged.
async fn contents(related: &Related, body: &[u8], size: usize) -> Option<Vec<Vec<u8>>> {
    let pieces: Vec<_> = body.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let mut parts = related.parts(stream::iter(pieces));
    let mut contents = Vec::new();
    while let Some(part) = parts.next().await.ok()? {
        let content: Vec<Bytes> = part.content().try_collect().await.ok()?;
        contents.push(content.concat());
    }
    Some(contents)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn run_seeds(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
        let mut seeds = 0;
        for file in std::fs::read_dir(folder).expect("seeds") {
            run(&std::fs::read(file.expect("a seed").path()).expect("read"));
            seeds += 1;
        }
        assert!(seeds > 5, "{seeds} seeds");
    }

    #[test]
    fn every_seed_of_the_fuzz_target_is_a_position_or_refused() {
        run_seeds("sse_position", super::sse_position);
    }

    #[test]
    fn every_seed_of_the_fuzz_target_is_a_multipart_body_or_refused() {
        run_seeds("stow_multipart", super::stow_multipart);
    }

    #[test]
    fn every_seed_of_the_fuzz_target_is_a_body_or_refused() {
        run_seeds("api_bodies", super::api_bodies);
    }
}
