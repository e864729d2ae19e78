//! What the fuzz target `notification` runs, and what every one of its seeds must hold
//! (`docs/fuzzing.md`). Built for tests and for fuzzing only.

use crate::key;
use crate::notification::{Item, parse};

/// Reads `bytes` as a message on the uploads queue. Panics when what was read breaks a promise.
pub fn notification(bytes: &[u8]) {
    let buckets = ["xrays".to_owned(), "example-bucket".to_owned()];
    let notification = parse(bytes, &buckets);
    assert!(!notification.items.is_empty(), "a message that says nothing would be lost");
    for item in &notification.items {
        match item {
            Item::Created(object)
            | Item::Seen(object)
            | Item::Removed(object)
            | Item::NullRemoved(object) => {
                assert!(key::is_valid(&object.key), "a key that no object can have");
                assert!(buckets.contains(&object.bucket), "an object of another bucket");
                assert_eq!(object.id(), object.clone().id());
                let _ = (object.site(), object.asks_for_stat());
            }
            Item::Refused(refusal, body) => {
                // What lies in quarantine is replayed: it must come to the same end.
                let again = parse(body, &buckets).items;
                assert!(matches!(&again[..], [Item::Refused(same, _)] if same == refusal));
            }
            Item::Probe(_) | Item::Ignored(_) => {}
        }
    }
    // The same bytes as a key: encoded as S3 encodes, it is read back.
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = key::decode(text);
        assert_eq!(key::decode(&form_encoded(text)).as_deref(), Some(text));
    }
}

/// Every byte but letters and digits as `%XX`, and a space as `+`.
fn form_encoded(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b' ' => "+".to_owned(),
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn every_seed_of_the_fuzz_target_is_read() {
        let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut seeds = 0;
        for folder in ["tests/fixtures", "../fuzz/seeds/notification"] {
            for file in std::fs::read_dir(crate_folder.join(folder)).expect("seeds") {
                super::notification(&std::fs::read(file.expect("a seed").path()).expect("read"));
                seeds += 1;
            }
        }
        assert!(seeds > 20, "{seeds} seeds");
    }
}
