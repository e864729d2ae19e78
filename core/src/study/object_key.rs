//! Where instances that come by DICOM lie in the bucket.

use sha2::{Digest, Sha256};

use super::Uid;
use crate::access::SiteName;
use crate::image::Lane;

/// The key of an instance: `incoming/{site}/[stat/]dicom/{SOP instance UID}/{hash}.dcm`.
///
/// The hash is the first 128 bits of SHA-256 over the data set as it came, without preamble and file meta information, so
/// that the same instance sent again has the same key, whoever sent it, and other bytes under the same UID have another.
pub fn instance_key(site: &SiteName, lane: Lane, uid: &Uid, data_set: &[u8]) -> String {
    let hash = hex::encode(&Sha256::digest(data_set)[..16]);
    let lane = if lane == Lane::Stat { "stat/" } else { "" };
    format!("incoming/{site}/{lane}dicom/{}/{hash}.dcm", uid.as_str())
}

/// The key of a data set that cannot be read, so that nobody knows which instance it is.
pub fn unreadable_key(site: &SiteName, data_set: &[u8]) -> String {
    let hash = hex::encode(&Sha256::digest(data_set)[..16]);
    format!("incoming/{site}/dicom/unreadable/{hash}.dcm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_instance_has_the_same_key_and_other_bytes_have_another() {
        let (site, uid) =
            (SiteName::parse("north").expect("a name"), Uid::parse("1.2.3").expect("a UID"));
        let key = instance_key(&site, Lane::Routine, &uid, b"abc");
        assert_eq!(key, "incoming/north/dicom/1.2.3/ba7816bf8f01cfea414140de5dae2223.dcm");
        assert_ne!(key, instance_key(&site, Lane::Routine, &uid, b"abd"));
        assert!(
            instance_key(&site, Lane::Stat, &uid, b"abc").starts_with("incoming/north/stat/dicom/")
        );
    }

    #[test]
    fn what_cannot_be_read_has_a_key_too() {
        let site = SiteName::parse("north").expect("a name");
        let key = unreadable_key(&site, b"abc");
        assert_eq!(key, "incoming/north/dicom/unreadable/ba7816bf8f01cfea414140de5dae2223.dcm");
    }
}
