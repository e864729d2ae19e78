//! Where instances that come by DICOM lie in the bucket.

use sha2::{Digest, Sha256};

use super::Uid;
use crate::access::SiteName;

/// SHA-256 over the transfer syntax, a zero byte, and a data set as it came, without preamble and file meta information. It
/// takes the data set in pieces, so that one that is still coming is hashed by the time it has come.
#[derive(Clone)]
pub struct DataSetHash(Sha256);

impl DataSetHash {
    /// Of a data set of which nothing has come yet.
    pub fn begin(transfer_syntax: &str) -> Self {
        Self(Sha256::new().chain_update(transfer_syntax).chain_update([0]))
    }

    /// Of a whole data set.
    pub fn of(transfer_syntax: &str, data_set: &[u8]) -> Self {
        let mut hash = Self::begin(transfer_syntax);
        hash.add(data_set);
        hash
    }

    /// Adds the next piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// Its first 128 bits, in hexadecimal digits.
    fn name(self) -> String {
        hex::encode(&self.0.finalize()[..16])
    }
}

/// The key of an instance: `incoming/{site}/dicom/{SOP instance UID}/{SOP class UID}/{hash}.dcm`.
///
/// The same instance sent again has the same key, whoever sent it and however urgent it is to them, and other bytes under the
/// same UID have another, as the same bytes have that are said to be encoded otherwise.
pub fn instance_key(site: &SiteName, instance: &Uid, class: &Uid, hash: DataSetHash) -> String {
    let folder = instance_folder(site, instance);
    format!("{folder}{}/{}.dcm", class.as_str(), hash.name())
}

/// What the keys of an instance begin with, whatever its class and bytes are.
pub fn instance_folder(site: &SiteName, instance: &Uid) -> String {
    format!("incoming/{site}/dicom/{}/", instance.as_str())
}

/// The site and the SOP instance that a key of [`instance_key`] names; `None` for any other key.
pub fn instance_of_key(key: &str) -> Option<(SiteName, Uid)> {
    let (site, rest) = key.strip_prefix("incoming/")?.split_once("/dicom/")?;
    let (instance, _) = rest.split_once('/')?;
    Some((SiteName::parse(site)?, Uid::parse(instance)?))
}

/// The key of a data set that cannot be read, so that nobody knows which instance it is.
pub fn unreadable_key(site: &SiteName, hash: DataSetHash) -> String {
    format!("incoming/{site}/dicom/unreadable/{}.dcm", hash.name())
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
            instance_key(&site(), &uid("1.2.3"), &uid(class), DataSetHash::of(syntax, bytes))
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
    fn a_key_names_its_instance_and_other_keys_name_none() {
        let key = instance_key(&site(), &uid("1.2.3"), &uid("1.5"), DataSetHash::of("1.2", b"abc"));
        assert_eq!(instance_of_key(&key), Some((site(), uid("1.2.3"))));
        let unreadable = unreadable_key(&site(), DataSetHash::of("1.2", b"abc"));
        for other in [unreadable.as_str(), "incoming/north/a.dcm", "incoming/north/dicom/1.2.3", ""]
        {
            assert_eq!(instance_of_key(other), None, "{other}");
        }
    }

    #[test]
    fn a_data_set_in_pieces_has_the_key_of_the_whole() {
        let mut pieces = DataSetHash::begin("1.2");
        [&b"a"[..], b"", b"bc"].into_iter().for_each(|piece| pieces.add(piece));
        let key = |hash| unreadable_key(&site(), hash);
        assert_eq!(key(pieces), key(DataSetHash::of("1.2", b"abc")));
    }

    #[test]
    fn what_cannot_be_read_has_a_key_too() {
        let key = unreadable_key(&site(), DataSetHash::of("1.2", b"abc"));
        assert!(key.starts_with("incoming/north/dicom/unreadable/"), "{key}");
        assert_ne!(key, unreadable_key(&site(), DataSetHash::of("1.3", b"abc")));
    }
}
