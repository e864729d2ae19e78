//! What a client says of an object and gets back with it: HTTP headers and its own metadata.

use std::collections::BTreeMap;

use s3s::S3ErrorCode;
use serde::{Deserialize, Serialize};

use super::fault::EndpointFault;

/// S3's bound on the names and values of user metadata together, in bytes.
const METADATA_LIMIT: usize = 2048;

/// Kept as JSON beside each version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Attributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_control: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) metadata: BTreeMap<String, String>,
}

impl Attributes {
    /// Refuses what S3 refuses.
    pub(super) fn check(self) -> Result<Self, EndpointFault> {
        let size: usize = self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > METADATA_LIMIT {
            return Err(S3ErrorCode::MetadataTooLarge.into());
        }
        Ok(self)
    }
}

/// The attributes in an operation's input: they have the same names in all of them.
macro_rules! attributes_of {
    ($input:expr) => {
        $crate::attributes::Attributes {
            content_type: $input.content_type.take(),
            // Signed streaming uploads announce their framing here; it is not the object's.
            content_encoding: $input
                .content_encoding
                .take()
                .map(|encoding| {
                    let kept = encoding.split(',').map(str::trim).filter(|e| *e != "aws-chunked");
                    kept.collect::<Vec<_>>().join(",")
                })
                .filter(|encoding| !encoding.is_empty()),
            content_language: $input.content_language.take(),
            content_disposition: $input.content_disposition.take(),
            cache_control: $input.cache_control.take(),
            metadata: $input.metadata.take().unwrap_or_default().into_iter().collect(),
        }
        .check()
    };
}

/// The checksum that an input states, at most one.
macro_rules! stated_sum {
    ($input:expr) => {{
        use $crate::digest::{Algorithm, Sum};
        let stated = [
            (Algorithm::Crc32, $input.checksum_crc32.take()),
            (Algorithm::Crc32c, $input.checksum_crc32c.take()),
            (Algorithm::Crc64Nvme, $input.checksum_crc64nvme.take()),
            (Algorithm::Sha1, $input.checksum_sha1.take()),
            (Algorithm::Sha256, $input.checksum_sha256.take()),
        ];
        let mut stated = stated.into_iter().filter_map(|(algorithm, value)| {
            value.map(|value| Sum { algorithm, composite: value.contains('-'), value })
        });
        match (stated.next(), stated.next()) {
            (one, None) => Ok(one),
            (_, Some(_)) => Err($crate::fault::EndpointFault::refused(
                s3s::S3ErrorCode::InvalidRequest,
                "Expecting a single x-amz-checksum- header.",
            )),
        }
    }};
}

/// Puts a checksum into an output's field for it.
macro_rules! show_sum {
    ($output:expr, $sum:expr) => {
        if let Some(sum) = $sum {
            use $crate::digest::Algorithm;
            let field = match sum.algorithm {
                Algorithm::Crc32 => &mut $output.checksum_crc32,
                Algorithm::Crc32c => &mut $output.checksum_crc32c,
                Algorithm::Crc64Nvme => &mut $output.checksum_crc64nvme,
                Algorithm::Sha1 => &mut $output.checksum_sha1,
                Algorithm::Sha256 => &mut $output.checksum_sha256,
            };
            *field = Some(sum.value.clone());
        }
    };
}

pub(super) use {attributes_of, show_sum, stated_sum};
