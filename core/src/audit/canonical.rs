//! What the hash of an entry is of.
//!
//! SHA-256 over these fields in this order, each the text that an export has: the word `lobar-audit-1`, `previous`,
//! `number`, `at`, `action`, `actor_kind`, `actor_id`, `actor`, `role`, `image`, `site`, `subject`, `detail`, `request`.
//! Numbers are decimal, ids as RFC 9562 writes them, hashes hexadecimal, all in lower case. A field is its length in
//! bytes, as four bytes with the highest first, and its UTF-8; one that is not there is four bytes 0xFF. So no two
//! entries come to the same bytes, and a program of a few lines can follow the chain (docs/audit.md has one).

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Digest, Entry};

/// The version of this form.
pub(super) const VERSION: u32 = 1;
/// What the first field says.
const FORM: &str = "lobar-audit-1";
/// The length of what is not there.
const ABSENT: [u8; 4] = [0xff; 4];

/// The hash of an entry, whatever hash it says it has.
pub fn hash(entry: &Entry) -> Digest {
    let mut hash = Sha256::new();
    let mut put = |field: Option<&str>| match field {
        None => hash.update(ABSENT),
        Some(text) => {
            // A text of four gigabytes is refused by every database long before.
            hash.update(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            hash.update(text);
        }
    };
    let id = |id: Option<Uuid>| id.map(|id| id.to_string());
    put(Some(FORM));
    put(Some(&entry.previous.to_string()));
    put(Some(&entry.number.to_string()));
    put(Some(&entry.at.0.to_string()));
    put(Some(&entry.action));
    put(Some(&entry.actor_kind));
    put(id(entry.actor_id).as_deref());
    put(Some(&entry.actor));
    put(entry.role.as_deref());
    put(id(entry.image).as_deref());
    put(entry.site.as_deref());
    put(id(entry.subject).as_deref());
    put(Some(&entry.detail));
    put(entry.request.as_deref());
    Digest(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Action, Actor, Checkpoint, NewEntry};
    use crate::time::Stamp;

    /// Written by docs/audit.md's program, not by this one.
    #[test]
    fn the_form_is_the_documented_one() {
        let mut new = NewEntry::new(Action::Viewed, Actor::local("local"));
        new.image = Some(crate::object::ImageId(Uuid::from_u128(0xab)));
        new.request = Some("r-1".into());
        let entry = new.seal(Checkpoint::START, Stamp(1_700_000_000_000_000));
        let known = "5ceeb15e2834c60aff2b842748b58d2830ac6f4864696046460ed66a683821d5";
        assert_eq!(entry.hash.to_string(), known);
    }

    #[test]
    fn every_field_counts() {
        let entry =
            NewEntry::new(Action::Viewed, Actor::local("local")).seal(Checkpoint::START, Stamp(1));
        let id = Some(Uuid::from_u128(1));
        let text = || Some(String::new());
        let changed = [
            Entry { number: 2, ..entry.clone() },
            Entry { at: Stamp(2), ..entry.clone() },
            Entry { action: "listed".into(), ..entry.clone() },
            Entry { actor_kind: "person".into(), ..entry.clone() },
            Entry { actor_id: id, ..entry.clone() },
            Entry { actor: "locals".into(), ..entry.clone() },
            Entry { role: text(), ..entry.clone() },
            Entry { image: id, ..entry.clone() },
            Entry { site: text(), ..entry.clone() },
            Entry { subject: id, ..entry.clone() },
            Entry { detail: "{ }".into(), ..entry.clone() },
            Entry { request: text(), ..entry.clone() },
            Entry { previous: Digest::of(b""), ..entry.clone() },
        ];
        let hashes: std::collections::BTreeSet<_> = changed.iter().map(hash).collect();
        assert_eq!(hashes.len(), changed.len());
        assert!(!hashes.contains(&entry.hash));
    }
}
