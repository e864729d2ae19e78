//! Passwords: which are taken, and how they are kept.

mod hashing;
mod policy;

pub use hashing::{Busy, LANES, MEMORY, PASSES, Passwords, Turn, needs_rehash};
pub use policy::{LONGEST, SHORTEST, Weakness, accept};

use unicode_normalization::UnicodeNormalization as _;

/// Longest text that is looked at, in bytes: four for each character of the longest password.
const BYTES_MAX: usize = 4 * policy::LONGEST;

/// A password in the form that is hashed: Unicode NFKC, so that `ü` is the same however a keyboard makes it
/// (NIST SP 800-63B, section 3.1.1.2). `None` for what is longer than any password.
fn normalized(text: &str) -> Option<String> {
    (text.len() <= BYTES_MAX).then(|| text.nfkc().collect())
}
