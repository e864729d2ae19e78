//! The transfer syntaxes (PS3.6, A): which are read, and the names of those that are not.

use super::element::Encoding;

/// How the pixels of a transfer syntax are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    /// As they are, in the order of bytes of the data set.
    Native,
    /// As they are, in fragments (PS3.5, A.4.11).
    Encapsulated,
    /// Deflated, in fragments (PS3.5, A.4.12).
    Deflated,
    /// PackBits by bytes of a sample (PS3.5, G).
    Rle,
    /// One of the ISO 10918-1 processes: which, its own markers say.
    Jpeg,
    /// ISO 14495-1.
    JpegLs,
    /// ISO 15444-1 and -15.
    Jpeg2000,
}

/// A transfer syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TransferSyntax {
    pub(super) uid: &'static str,
    pub(super) name: &'static str,
    /// `None`: not read.
    pub(super) codec: Option<Codec>,
}

const fn read(uid: &'static str, name: &'static str, codec: Codec) -> TransferSyntax {
    TransferSyntax { uid, name, codec: Some(codec) }
}

const fn refused(uid: &'static str, name: &'static str) -> TransferSyntax {
    TransferSyntax { uid, name, codec: None }
}

pub(super) const DEFLATED_DATA_SET: &str = "1.2.840.10008.1.2.1.99";

/// Every transfer syntax of images that has a name here. `docs/dicom.md` has the same table.
pub(super) const ALL: [TransferSyntax; 29] = [
    read("1.2.840.10008.1.2", "Implicit VR Little Endian", Codec::Native),
    read("1.2.840.10008.1.2.1", "Explicit VR Little Endian", Codec::Native),
    read("1.2.840.10008.1.2.1.98", "Encapsulated Uncompressed", Codec::Encapsulated),
    read(DEFLATED_DATA_SET, "Deflated Explicit VR Little Endian", Codec::Native),
    read("1.2.840.10008.1.2.2", "Explicit VR Big Endian", Codec::Native),
    read("1.2.840.10008.1.2.4.50", "JPEG Baseline", Codec::Jpeg),
    // Of 8 bits; those of 12 are refused by name.
    read("1.2.840.10008.1.2.4.51", "JPEG Extended", Codec::Jpeg),
    read("1.2.840.10008.1.2.4.57", "JPEG Lossless", Codec::Jpeg),
    read("1.2.840.10008.1.2.4.70", "JPEG Lossless SV1", Codec::Jpeg),
    read("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", Codec::JpegLs),
    read("1.2.840.10008.1.2.4.81", "JPEG-LS Near-lossless", Codec::JpegLs),
    read("1.2.840.10008.1.2.4.90", "JPEG 2000 Lossless", Codec::Jpeg2000),
    read("1.2.840.10008.1.2.4.91", "JPEG 2000", Codec::Jpeg2000),
    refused("1.2.840.10008.1.2.4.92", "JPEG 2000 Part 2 Lossless"),
    refused("1.2.840.10008.1.2.4.93", "JPEG 2000 Part 2"),
    refused("1.2.840.10008.1.2.4.94", "JPIP Referenced"),
    refused("1.2.840.10008.1.2.4.95", "JPIP Referenced Deflate"),
    refused("1.2.840.10008.1.2.4.100", "MPEG2 Main Profile"),
    refused("1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264"),
    refused("1.2.840.10008.1.2.4.107", "HEVC/H.265"),
    refused("1.2.840.10008.1.2.4.110", "JPEG XL Lossless"),
    refused("1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression"),
    refused("1.2.840.10008.1.2.4.112", "JPEG XL"),
    read("1.2.840.10008.1.2.4.201", "HTJ2K Lossless", Codec::Jpeg2000),
    read("1.2.840.10008.1.2.4.202", "HTJ2K Lossless RPCL", Codec::Jpeg2000),
    read("1.2.840.10008.1.2.4.203", "HTJ2K", Codec::Jpeg2000),
    read("1.2.840.10008.1.2.5", "RLE Lossless", Codec::Rle),
    read("1.2.840.10008.1.2.8.1", "Deflated Image Frame", Codec::Deflated),
    refused("1.2.840.10008.1.2.7.1", "SMPTE ST 2110-20"),
];

/// The transfer syntax of a UID, where it has a name here.
pub(super) fn of(uid: &str) -> Option<&'static TransferSyntax> {
    ALL.iter().find(|syntax| syntax.uid == uid)
}

/// How a data set in this transfer syntax writes its elements.
pub(super) fn encoding(uid: &str) -> Encoding {
    match uid {
        "1.2.840.10008.1.2" => Encoding::IMPLICIT,
        "1.2.840.10008.1.2.2" => Encoding::BIG_ENDIAN,
        _ => Encoding::EXPLICIT,
    }
}
