//! SOP classes, transfer syntaxes and statuses: what `docs/conformance.md` says, and what the code does.

use dicom_dictionary_std::uids;

/// A UID and what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The UID.
    pub uid: &'static str,
    /// Its name in PS3.6.
    pub name: &'static str,
}

/// Storage SOP classes that are accepted, beside those that the operator names.
pub const STORAGE_CLASSES: [Named; 8] = [
    Named { uid: "1.2.840.10008.5.1.4.1.1.1", name: "Computed Radiography Image Storage" },
    Named {
        uid: "1.2.840.10008.5.1.4.1.1.1.1",
        name: "Digital X-Ray Image Storage - For Presentation",
    },
    Named {
        uid: "1.2.840.10008.5.1.4.1.1.1.1.1",
        name: "Digital X-Ray Image Storage - For Processing",
    },
    Named { uid: "1.2.840.10008.5.1.4.1.1.7", name: "Secondary Capture Image Storage" },
    Named {
        uid: "1.2.840.10008.5.1.4.1.1.7.1",
        name: "Multi-frame Single Bit Secondary Capture Image Storage",
    },
    Named {
        uid: "1.2.840.10008.5.1.4.1.1.7.2",
        name: "Multi-frame Grayscale Byte Secondary Capture Image Storage",
    },
    Named {
        uid: "1.2.840.10008.5.1.4.1.1.7.3",
        name: "Multi-frame Grayscale Word Secondary Capture Image Storage",
    },
    Named {
        uid: "1.2.840.10008.5.1.4.1.1.7.4",
        name: "Multi-frame True Color Secondary Capture Image Storage",
    },
];

/// Verification SOP Class.
pub const VERIFICATION: Named = Named { uid: "1.2.840.10008.1.1", name: "Verification SOP Class" };

/// Storage Commitment Push Model SOP Class.
pub const COMMITMENT: Named =
    Named { uid: "1.2.840.10008.1.20.1", name: "Storage Commitment Push Model SOP Class" };

/// The one instance of the Storage Commitment Push Model SOP Class (PS3.4, J.3.5).
pub const COMMITMENT_INSTANCE: &str = "1.2.840.10008.1.20.1.1";

/// DICOM's application context (PS3.7, A.2.1).
pub const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// Implementation Class UID of this program.
pub const IMPLEMENTATION_CLASS: &str = "2.25.215563198146470537170963290468923316241";

/// Implementation Version Name of this program.
pub const IMPLEMENTATION_VERSION: &str = concat!("LOBAR_", env!("CARGO_PKG_VERSION"));

/// How the data set of a transfer syntax is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Implicit VR, little endian.
    Implicit,
    /// Explicit VR, little endian; pixels may be compressed.
    Explicit,
    /// Explicit VR, big endian.
    BigEndian,
    /// Explicit VR, little endian, deflated as a whole (PS3.5, A.5).
    Deflated,
}

/// A transfer syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferSyntax {
    /// The UID.
    pub uid: &'static str,
    /// Its name in PS3.6.
    pub name: &'static str,
    /// How the data set is encoded.
    pub encoding: Encoding,
}

macro_rules! syntaxes {
    ($($uid:ident $encoding:ident $name:literal,)+) => {
        [$(TransferSyntax { uid: uids::$uid, name: $name, encoding: Encoding::$encoding }),+]
    };
}

/// Transfer syntaxes in which instances are taken: the first of them that a peer proposes for a presentation context is
/// chosen, whatever order it proposes them in.
#[expect(
    deprecated,
    reason = "big endian is retired, and there are modalities that know nothing else"
)]
pub const TRANSFER_SYNTAXES: [TransferSyntax; 17] = syntaxes![
    EXPLICIT_VR_LITTLE_ENDIAN Explicit "Explicit VR Little Endian",
    JPEG_LOSSLESS_SV1 Explicit "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])",
    JPEG_LOSSLESS Explicit "JPEG Lossless, Non-Hierarchical (Process 14)",
    JPEGLS_LOSSLESS Explicit "JPEG-LS Lossless Image Compression",
    JPEG2000_LOSSLESS Explicit "JPEG 2000 Image Compression (Lossless Only)",
    HTJ2K_LOSSLESS Explicit "High-Throughput JPEG 2000 Image Compression (Lossless Only)",
    HTJ2K_LOSSLESS_RPCL Explicit "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)",
    RLE_LOSSLESS Explicit "RLE Lossless",
    ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN Explicit "Encapsulated Uncompressed Explicit VR Little Endian",
    IMPLICIT_VR_LITTLE_ENDIAN Implicit "Implicit VR Little Endian",
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN Deflated "Deflated Explicit VR Little Endian",
    EXPLICIT_VR_BIG_ENDIAN BigEndian "Explicit VR Big Endian (retired)",
    JPEG_EXTENDED12_BIT Explicit "JPEG Extended (Process 2 & 4)",
    JPEGLS_NEAR_LOSSLESS Explicit "JPEG-LS Lossy (Near-Lossless) Image Compression",
    JPEG2000 Explicit "JPEG 2000 Image Compression",
    HTJ2K Explicit "High-Throughput JPEG 2000 Image Compression",
    JPEG_BASELINE8_BIT Explicit "JPEG Baseline (Process 1)",
];

/// Whether messages without an image are read in it: none of the compressed ones.
pub(crate) fn is_plain(syntax: &TransferSyntax) -> bool {
    syntax.uid == uids::EXPLICIT_VR_LITTLE_ENDIAN || syntax.uid == uids::IMPLICIT_VR_LITTLE_ENDIAN
}

/// A status (PS3.7, annex C; PS3.4, table B.2-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its code.
    pub code: u16,
    /// Its word in the metrics.
    pub word: &'static str,
    /// The requests that are answered with it.
    pub given_to: &'static str,
    /// When it is given.
    pub meaning: &'static str,
}

macro_rules! statuses {
    ($($name:ident $code:literal $word:literal $to:literal $meaning:literal,)+) => {
        impl Status {
            $(#[doc = $meaning] pub const $name: Self = Self { code: $code, word: $word, given_to: $to, meaning: $meaning };)+

            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            #[cfg(test)]
            const NAMES: &[&'static str] = &[$(stringify!($name)),+];
        }
    };
}

statuses! {
    SUCCESS 0x0000 "success" "C-ECHO, C-STORE, N-ACTION" "Success: of C-STORE, that the instance is durable in the bucket",
    UNREADABLE_KEPT 0xB007 "unreadable_kept" "C-STORE" "Warning, data set does not match SOP class: the data set cannot be read; it is kept, and a person must look",
    NO_SUCH_INSTANCE 0x0112 "no_such_instance" "N-ACTION" "No such SOP instance: another than the well-known one",
    NO_SUCH_ACTION 0x0123 "no_such_action" "N-ACTION" "No such action type",
    INVALID_INSTANCE 0x0117 "invalid_instance" "C-STORE" "Invalid SOP instance: the command names none, or what is no UID, or comes without a data set",
    PROCESSING_FAILURE 0x0110 "processing_failure" "N-ACTION" "Processing failure: the store is away or slow, so that the request cannot be kept; ask again later",
    WRONG_CLASS 0x0122 "wrong_class" "C-STORE, N-ACTION" "SOP class not supported: the command names another than its presentation context",
    UNRECOGNISED 0x0211 "unrecognised" "others" "Unrecognised operation",
    INVALID_ARGUMENT 0x0115 "invalid_argument" "N-ACTION" "Invalid argument value: the request cannot be read",
    RESOURCE_LIMITATION 0x0213 "resource_limitation" "N-ACTION" "Resource limitation: the request names too many instances, or too many reports wait to be taken; ask in parts, or again later",
    OUT_OF_RESOURCES 0xA700 "out_of_resources" "C-STORE" "Refused, out of resources: the bucket or the database is away or slow, or memory is short; send it again later",
    MISMATCH 0xA900 "mismatch" "C-STORE" "Error, data set does not match SOP class: the data set has another SOP instance or class than the command",
    NOT_UNDERSTOOD 0xC000 "not_understood" "C-STORE" "Error, cannot understand: the data set cannot be read; it is kept, and a person must look",
    TOO_LONG 0xC001 "too_long" "C-STORE" "Error, cannot understand: the data set is longer than is taken; it is not kept",
}

impl Status {
    /// Whether a C-STORE may be answered with it.
    pub fn is_of_store(&self) -> bool {
        self.given_to.contains("C-STORE")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_one_that_is_given() {
        let sources = [
            include_str!("association.rs"),
            include_str!("commitment.rs"),
            include_str!("reports.rs"),
            include_str!("storing.rs"),
        ]
        .concat();
        for name in Status::NAMES {
            assert!(sources.contains(&format!("Status::{name}")), "{name}");
        }
    }
}
