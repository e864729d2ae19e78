//! Names that nobody has.

use hmac::{Hmac, Mac as _};
use lobar_core::accounts::{STRANGERS, StrangerKey};
use sha2::Sha256;

/// The bucket that failures of a name are counted in. It keeps no more of the name than that: somebody may have typed a
/// password there. Without the store's key nobody can compute which names share one: whose name has an account would show
/// by its not being paused with them.
pub(super) fn bucket(key: &StrangerKey, name: &str) -> u32 {
    let keyed = Hmac::<Sha256>::new_from_slice(&key.0);
    let mut mac = keyed.expect("HMAC takes keys of any length");
    mac.update(name.to_lowercase().as_bytes());
    let [a, b, c, d, ..]: [u8; 32] = mac.finalize().into_bytes().into();
    u32::from_be_bytes([a, b, c, d]) % STRANGERS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_bucket_whatever_its_case() {
        let key = StrangerKey([7; 32]);
        assert_eq!(bucket(&key, "Nobody"), bucket(&key, "NOBODY"));
        assert_ne!(bucket(&key, "nobody"), bucket(&key, "somebody"));
        assert!((0..1_000).all(|n| bucket(&key, &n.to_string()) < STRANGERS));
    }

    #[test]
    fn which_names_share_a_bucket_is_told_by_the_store_s_key_alone() {
        let (here, there) = (StrangerKey([7; 32]), StrangerKey([8; 32]));
        let names: Vec<_> = (0..100).map(|n| format!("name {n}")).collect();
        let same = names.iter().filter(|name| bucket(&here, name) == bucket(&there, name));
        assert!(same.count() < 3);
    }
}
