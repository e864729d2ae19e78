//! Bytes to a [`Radiograph`]: sniffing, limits, the codec behind a wall, orientation, depth.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::full_depth::Samples;
use crate::memory::Reserved;
use crate::radiograph::Decoded;
use crate::{
    Format, FullDepth, Limits, Radiograph, Rejection, Voi, Warning, dicom, format, jpeg,
    orientation, png_file,
};

/// Decodes a file of one of [`Format::READ`] whole, or refuses it: `empty`, `too_large`, `not_an_image`,
/// `unsupported_format`, `too_many_pixels` (from the header, before any allocation) or `undecodable`.
/// What takes more memory than this process may use is refused as `too_many_pixels`; what has to wait for
/// memory blocks. Whether it is an X-ray is not asked here.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Radiograph, Rejection> {
    decode_reserved(bytes, limits, None).map(|(radiograph, _)| radiograph)
}

/// The same with a window in place of the file's own, and with the memory that it was given, to be held for as long as the
/// picture.
pub(crate) fn decode_reserved(
    bytes: &[u8],
    limits: &Limits,
    voi: Option<&Voi>,
) -> Result<(Radiograph, Reserved), Rejection> {
    limits.admit_bytes(bytes.len())?;
    let codec: Codec<Decoded> = match format::sniff(bytes) {
        Some(Format::Jpeg) => jpeg::decode,
        Some(Format::Png) => png_file::decode,
        Some(Format::Dicom) => return dicom::decode(bytes, limits, voi),
        other @ (None | Some(Format::OtherImage(_) | Format::NotImage(_))) => {
            return Err(format::refuse(other));
        }
    };
    let (decoded, reserved) = contained(codec, bytes, limits)?;
    let mut radiograph = upright_grey(decoded);
    if let Some(voi) = voi {
        voi.apply(&mut radiograph.pixels);
    }
    Ok((radiograph, reserved))
}

/// Decodes a file at its full resolution and depth, or refuses it as [`decode`] does.
pub fn decode_full_depth(bytes: &[u8], limits: &Limits) -> Result<FullDepth, Rejection> {
    full_depth_reserved(bytes, limits).map(|(full, _)| full)
}

/// The same, with the memory that it was given.
pub(crate) fn full_depth_reserved(
    bytes: &[u8],
    limits: &Limits,
) -> Result<(FullDepth, Reserved), Rejection> {
    limits.admit_bytes(bytes.len())?;
    match format::sniff(bytes) {
        Some(Format::Jpeg) => {
            let (decoded, reserved) = contained(jpeg::decode, bytes, limits)?;
            let Radiograph { width, height, pixels, .. } = upright_grey(decoded);
            Ok((FullDepth::of_grey(width, height, Samples::Eight(pixels), 8), reserved))
        }
        Some(Format::Png) => contained(png_file::full_depth, bytes, limits),
        Some(Format::Dicom) => dicom::full_depth(bytes, limits),
        other @ (None | Some(Format::OtherImage(_) | Format::NotImage(_))) => {
            Err(format::refuse(other))
        }
    }
}

pub(crate) type Codec<T> = fn(&[u8], &Limits) -> Result<(T, Reserved), Rejection>;

/// Runs a codec so that a panic in it costs this one file. A codec has no state that outlives the call,
/// so nothing is left half done.
pub(crate) fn contained<T>(
    codec: Codec<T>,
    bytes: &[u8],
    limits: &Limits,
) -> Result<(T, Reserved), Rejection> {
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
            contained::<()>(|bytes, _| panic!("{} bytes", bytes.len()), b"x", &Limits::default());
        assert_eq!(result.err().map(|r| r.reason), Some(Reason::Undecodable));
    }
}
