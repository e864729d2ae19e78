//! Names that nobody has.

use lobar_core::accounts::STRANGERS;
use sha2::{Digest, Sha256};

/// The bucket that failures of a name are counted in. It keeps no more of the name than that: somebody may have typed a
/// password there.
pub(super) fn bucket(name: &str) -> u32 {
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(name.to_lowercase()).into();
    u32::from_be_bytes([a, b, c, d]) % STRANGERS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_bucket_whatever_its_case() {
        assert_eq!(bucket("Nobody"), bucket("NOBODY"));
        assert_ne!(bucket("nobody"), bucket("somebody"));
        assert!((0..1_000).all(|n| bucket(&n.to_string()) < STRANGERS));
    }
}
