//! One figure that stands for a set of pictures.

use sha2::{Digest, Sha256};

use super::Sample;

/// SHA-256, in lower-case hex, over one line `class/name sha256` per picture, sorted: equal exactly
/// when the same files carry the same labels, wherever they lie.
#[must_use]
pub fn digest<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> String {
    let mut lines: Vec<String> = samples
        .into_iter()
        .map(|sample| format!("{}/{} {}\n", sample.class.folder(), sample.name, sample.sha256))
        .collect();
    lines.sort();
    let mut hasher = Sha256::new();
    for line in lines {
        hasher.update(line);
    }
    hex::encode(hasher.finalize())
}
