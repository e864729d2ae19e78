//! Bytes to a [`Radiograph`]: sniffing, limits, the codec behind a wall, orientation, depth.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::memory::Reserved;
use crate::radiograph::Decoded;
use crate::{
    Format, Limits, Radiograph, Rejection, Warning, dicom, format, jpeg, orientation, png_file,
};

/// Decodes a file of one of [`Format::READ`] whole, or refuses it: `empty`, `too_large`, `not_an_image`,
/// `unsupported_format`, `too_many_pixels` (from the header, before any allocation) or `undecodable`.
/// What takes more memory than this process may use is refused as `too_many_pixels`; what has to wait for
/// memory blocks. Whether it is an X-ray is not asked here.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Radiograph, Rejection> {
    decode_reserved(bytes, limits).map(|(radiograph, _)| radiograph)
}

/// The same, with the memory that it was given, to be held for as long as the picture.
pub(crate) fn decode_reserved(
    bytes: &[u8],
    limits: &Limits,
) -> Result<(Radiograph, Reserved), Rejection> {
    limits.admit_bytes(bytes.len())?;
    let codec: Codec = match format::sniff(bytes) {
        Some(Format::Jpeg) => jpeg::decode,
        Some(Format::Png) => png_file::decode,
        Some(Format::Dicom) => return dicom::decode(bytes, limits),
        other @ (None | Some(Format::OtherImage(_) | Format::NotImage(_))) => {
            return Err(format::refuse(other));
        }
    };
    contained(codec, bytes, limits).map(|(decoded, reserved)| (upright_grey(decoded), reserved))
}

type Codec = fn(&[u8], &Limits) -> Result<(Decoded, Reserved), Rejection>;

/// Runs a codec so that a panic in it costs this one file. A codec has no state that outlives the call,
/// so nothing is left half done.
fn contained(
    codec: Codec,
    bytes: &[u8],
    limits: &Limits,
) -> Result<(Decoded, Reserved), Rejection> {
    catch_unwind(AssertUnwindSafe(|| codec(bytes, limits)))
        .unwrap_or_else(|_| Err(Rejection::undecodable("The decoder broke on this file.")))
}

fn upright_grey(decoded: Decoded) -> Radiograph {
    let mut warnings = Vec::new();
    if decoded.reduced {
        warnings.push(Warning::ReducedDepth);
    }
    if decoded.orientation != 1 {
        warnings.push(Warning::Oriented);
    }
    if decoded.transparent {
        warnings.push(Warning::Transparent);
    }
    let (width, height, pixels) =
        orientation::apply(decoded.orientation, decoded.width, decoded.height, decoded.pixels);
    Radiograph { width, height, pixels, chroma: decoded.chroma, format: decoded.format, warnings }
}

#[cfg(test)]
mod tests {
    use lobar_core::image::Reason;

    use super::*;

    #[test]
    fn a_panic_in_a_codec_is_an_undecodable_file() {
        let result =
            contained(|bytes, _| panic!("{} bytes", bytes.len()), b"x", &Limits::default());
        assert_eq!(result.err().map(|r| r.reason), Some(Reason::Undecodable));
    }
}
