//! What is computed over a body while it arrives: MD5, for the eTag, and one checksum of S3's five.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crc_fast::{CrcAlgorithm, checksum_combine};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use serde::{Deserialize, Serialize};

/// S3's checksum algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Algorithm {
    #[serde(rename = "CRC32")]
    Crc32,
    #[serde(rename = "CRC32C")]
    Crc32c,
    #[serde(rename = "CRC64NVME")]
    Crc64Nvme,
    #[serde(rename = "SHA1")]
    Sha1,
    #[serde(rename = "SHA256")]
    Sha256,
}

impl Algorithm {
    pub(super) const ALL: [Self; 5] =
        [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The word of `x-amz-checksum-algorithm`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str().eq_ignore_ascii_case(text))
    }

    /// The header that carries its value.
    pub(super) fn header(self) -> String {
        format!("x-amz-checksum-{}", self.as_str().to_ascii_lowercase())
    }

    /// Whether a multipart upload's checksum is by default one over the parts' checksums.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>
    pub(super) fn composite_by_default(self) -> bool {
        self != Self::Crc64Nvme
    }

    fn crc(self) -> Option<(CrcAlgorithm, usize)> {
        match self {
            Self::Crc32 => Some((CrcAlgorithm::Crc32IsoHdlc, 4)),
            Self::Crc32c => Some((CrcAlgorithm::Crc32Iscsi, 4)),
            Self::Crc64Nvme => Some((CrcAlgorithm::Crc64Nvme, 8)),
            Self::Sha1 | Self::Sha256 => None,
        }
    }
}

/// A checksum in base64; a composite one ends in `-` and the number of parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sum {
    pub(super) algorithm: Algorithm,
    pub(super) value: String,
    #[serde(default)]
    pub(super) composite: bool,
}

impl Sum {
    /// A multipart object's checksum from those of its parts and their sizes in bytes.
    /// `None` when a part has none of this algorithm.
    pub(super) fn of_parts(
        algorithm: Algorithm,
        composite: bool,
        parts: &[(Option<Sum>, u64)],
    ) -> Option<Self> {
        let mut raw = Vec::with_capacity(parts.len());
        for (sum, size) in parts {
            let sum = sum.as_ref().filter(|sum| sum.algorithm == algorithm)?;
            raw.push((BASE64_STANDARD.decode(&sum.value).ok()?, *size));
        }
        if composite {
            let mut hasher = Hasher::new(algorithm);
            raw.iter().for_each(|(bytes, _)| hasher.update(bytes));
            let value = format!("{}-{}", hasher.finish().value, parts.len());
            return Some(Self { algorithm, value, composite: true });
        }
        let (crc, width) = algorithm.crc()?;
        let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        let total = raw
            .iter()
            .map(|(bytes, size)| (number(bytes), *size))
            .reduce(|(a, a_size), (b, b_size)| {
                (checksum_combine(crc, a, b, b_size), a_size + b_size)
            })?
            .0;
        let value = BASE64_STANDARD.encode(&total.to_be_bytes()[8 - width..]);
        Some(Self { algorithm, value, composite: false })
    }
}

struct Hasher {
    algorithm: Algorithm,
    inner: ChecksumHasher,
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        let mut inner = ChecksumHasher::default();
        match algorithm {
            Algorithm::Crc32 => inner.crc32 = Some(Crc32::new()),
            Algorithm::Crc32c => inner.crc32c = Some(Crc32c::new()),
            Algorithm::Crc64Nvme => inner.crc64nvme = Some(Crc64Nvme::new()),
            Algorithm::Sha1 => inner.sha1 = Some(Sha1::new()),
            Algorithm::Sha256 => inner.sha256 = Some(Sha256::new()),
        }
        Self { algorithm, inner }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
    }

    fn finish(self) -> Sum {
        let all = self.inner.finalize();
        let value = match self.algorithm {
            Algorithm::Crc32 => all.checksum_crc32,
            Algorithm::Crc32c => all.checksum_crc32c,
            Algorithm::Crc64Nvme => all.checksum_crc64nvme,
            Algorithm::Sha1 => all.checksum_sha1,
            Algorithm::Sha256 => all.checksum_sha256,
        };
        // The hasher was made with exactly this algorithm switched on.
        Sum { algorithm: self.algorithm, value: value.unwrap_or_default(), composite: false }
    }
}

/// MD5 and, when wanted, a checksum over the same bytes.
pub(super) struct Digester {
    md5: Md5,
    sum: Option<Hasher>,
}

impl Digester {
    pub(super) fn new(algorithm: Option<Algorithm>) -> Self {
        Self { md5: Md5::new(), sum: algorithm.map(Hasher::new) }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        if let Some(sum) = &mut self.sum {
            sum.update(bytes);
        }
    }

    pub(super) fn finish(self) -> ([u8; 16], Option<Sum>) {
        (self.md5.finalize(), self.sum.map(Hasher::finish))
    }
}

/// A multipart object's eTag: the MD5 of the parts' MD5s, `-`, and their number.
/// `None` when a part's eTag is not an MD5.
pub(super) fn multipart_etag<'a>(parts: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut md5 = Md5::new();
    let mut count = 0_usize;
    for etag in parts {
        md5.update(&hex::decode(etag).ok()?);
        count += 1;
    }
    Some(format!("{}-{count}", hex::encode(md5.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(algorithm: Algorithm, bytes: &[u8]) -> Option<Sum> {
        let mut digester = Digester::new(Some(algorithm));
        digester.update(bytes);
        digester.finish().1
    }

    #[test]
    fn checksums_of_parts_combine_to_that_of_the_whole() {
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let parts = [
                (sum(algorithm, b"The quick brown "), 16),
                (sum(algorithm, b"fox jumps over "), 15),
                (sum(algorithm, b"the lazy dog"), 12),
            ];
            let whole = sum(algorithm, b"The quick brown fox jumps over the lazy dog");
            assert_eq!(Sum::of_parts(algorithm, false, &parts), whole);
        }
    }

    #[test]
    fn a_hash_has_no_combined_form() {
        let parts = [(sum(Algorithm::Sha256, b"a"), 1), (sum(Algorithm::Sha256, b"b"), 1)];
        assert_eq!(Sum::of_parts(Algorithm::Sha256, false, &parts), None);
        let composite = Sum::of_parts(Algorithm::Sha256, true, &parts).expect("composite");
        assert!(composite.value.ends_with("-2"));
    }

    #[test]
    fn a_multipart_etag_is_the_md5_of_md5s_and_their_number() {
        let one = "900150983cd24fb0d6963f7d28e17f72"; // MD5 of "abc"
        let etag = multipart_etag([one].into_iter()).expect("hexadecimal");
        assert_eq!(etag, "af5da9f45af7a300e3aded972f8ff687-1");
        assert_eq!(multipart_etag(["zz"].into_iter()), None);
    }

    #[test]
    fn the_known_value_of_crc32_is_found() {
        assert_eq!(sum(Algorithm::Crc32, b"123456789").expect("wanted").value, "y/Q5Jg==");
    }
}
