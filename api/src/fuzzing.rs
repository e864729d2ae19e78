//! What the fuzz targets `sse_position` and `api_bodies` run, and what every one of their seeds must
//! hold (`docs/fuzzing.md`). Built for tests and for fuzzing only.

use lobar_core::object::{ImageId, is_site_name};
use lobar_core::position::Position;
use uuid::Uuid;

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
    fn every_seed_of_the_fuzz_target_is_a_body_or_refused() {
        run_seeds("api_bodies", super::api_bodies);
    }
}
