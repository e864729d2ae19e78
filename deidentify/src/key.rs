//! What takes the place of identifiers: keyed, so that only who has the key can tell which stands for which.

use std::fmt;

use dicom_core::chrono::Days;
use hmac::{Hmac, Mac as _};
use lobar_core::study::Uid;
use sha2::{Digest as _, Sha256};
use uuid::Builder;

/// The fewest bytes that a secret has.
const SECRET_MIN: usize = 32;
/// Ten years: the most that dates are moved by, in days.
const SHIFT_MAX: u64 = 3652;

/// The secret of one export. With the same key the same patient has the same pseudonym and the same UID the same
/// replacement, over any number of runs; without it neither can be computed or tried out.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of a secret; `None` where it has fewer than 32 bytes.
    pub fn of(secret: &[u8]) -> Option<Self> {
        (secret.len() >= SECRET_MIN).then(|| Self(Sha256::digest(secret).into()))
    }

    fn digest(&self, what: &[u8], parts: &[&str]) -> [u8; 32] {
        // HMAC takes a key of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).unwrap_or_else(|_| unreachable!());
        mac.update(what);
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    /// The UID that stands for another: `2.25.` and a UUID of version 8 (RFC 9562, 5.8).
    pub(crate) fn uid(&self, old: &str) -> Uid {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.digest(b"uid", &[old])[..16]);
        Uid::of(Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// What stands for a patient's id and name: 24 letters and digits.
    pub(crate) fn pseudonym(&self, patient: &[&str]) -> String {
        hex::encode_upper(&self.digest(b"patient", patient)[..12])
    }

    /// By how much a patient's dates are moved back: at least a day.
    pub(crate) fn shift(&self, patient: &[&str]) -> Days {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.digest(b"shift", patient)[..8]);
        Days::new(1 + u64::from_le_bytes(bytes) % SHIFT_MAX)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_gives_the_same_and_another_key_another() {
        let (one, other) = (Key::of(&[1; 32]).expect("long"), Key::of(&[2; 32]).expect("long"));
        assert_eq!(one.uid("1.2.3"), one.uid("1.2.3"));
        assert_ne!(one.uid("1.2.3"), one.uid("1.2.4"));
        assert_ne!(one.uid("1.2.3"), other.uid("1.2.3"));
        assert_ne!(one.pseudonym(&["", "7"]), other.pseudonym(&["", "7"]));
        assert_ne!(one.pseudonym(&["a", "b"]), one.pseudonym(&["ab", ""]));
        assert!(Uid::parse(one.uid("1.2.3").as_str()).is_some());
    }

    #[test]
    fn a_short_secret_is_none_and_debug_shows_no_key() {
        assert!(Key::of(&[7; 31]).is_none());
        assert_eq!(format!("{:?}", Key::of(&[7; 32])), "Some(Key(…))");
    }

    #[test]
    fn a_shift_is_between_a_day_and_ten_years() {
        let key = Key::of(&[1; 32]).expect("long");
        for patient in 0..1000 {
            let days = key.shift(&[&patient.to_string()]);
            assert!(days >= Days::new(1) && days <= Days::new(SHIFT_MAX));
        }
    }
}
