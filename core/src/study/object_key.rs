//! Where instances that come by DICOM lie in the bucket.

use sha2::{Digest, Sha256};

use super::Uid;
use crate::access::SiteName;

/// The key of an instance: `incoming/{site}/dicom/{SOP instance UID}/{SOP class UID}/{hash}.dcm`.
///
/// The hash is the first 128 bits of SHA-256 over the transfer syntax, a zero byte, and the data set as it came, without
/// preamble and file meta information: the same instance sent again has the same key, whoever sent it and however urgent it
/// is to them, and other bytes under the same UID have another, as the same bytes have that are said to be encoded otherwise.
pub fn instance_key(
    site: &SiteName,
    instance: &Uid,
    class: &Uid,
    transfer_syntax: &str,
    data_set: &[u8],
) -> String {
    let folder = instance_folder(site, instance);
    format!("{folder}{}/{}.dcm", class.as_str(), hash(transfer_syntax, data_set))
}

/// What the keys of an instance begin with, whatever its class and bytes are.
pub fn instance_folder(site: &SiteName, instance: &Uid) -> String {
    format!("incoming/{site}/dicom/{}/", instance.as_str())
}

/// The key of a data set that cannot be read, so that nobody knows which instance it is.
pub fn unreadable_key(site: &SiteName, transfer_syntax: &str, data_set: &[u8]) -> String {
    format!("incoming/{site}/dicom/unreadable/{}.dcm", hash(transfer_syntax, data_set))
}

fn hash(transfer_syntax: &str, data_set: &[u8]) -> String {
    let hash = Sha256::new().chain_update(transfer_syntax).chain_update([0]).chain_update(data_set);
    hex::encode(&hash.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> SiteName {
        SiteName::parse("north").expect("a name")
    }

    fn uid(text: &str) -> Uid {
        Uid::parse(text).expect("a UID")
    }

    #[test]
    fn the_same_instance_has_the_same_key_and_other_bytes_have_another() {
        let key = |class: &str, syntax: &str, bytes: &[u8]| {
            instance_key(&site(), &uid("1.2.3"), &uid(class), syntax, bytes)
        };
        let one = key("1.5", "1.2", b"abc");
        assert_eq!(one, key("1.5", "1.2", b"abc"));
        assert!(one.starts_with("incoming/north/dicom/1.2.3/1.5/"), "{one}");
        assert!(one.starts_with(&instance_folder(&site(), &uid("1.2.3"))));
        for other in [
            key("1.5", "1.2", b"abd"),
            key("1.5", "1.3", b"abc"),
            key("1.6", "1.2", b"abc"),
            key("1.5", "1.2a", b"bc"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn what_cannot_be_read_has_a_key_too() {
        let key = unreadable_key(&site(), "1.2", b"abc");
        assert!(key.starts_with("incoming/north/dicom/unreadable/"), "{key}");
        assert_ne!(key, unreadable_key(&site(), "1.3", b"abc"));
    }
}
