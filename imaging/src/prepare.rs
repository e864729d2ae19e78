//! The whole way from a file's bytes to the network's input.

use lobar_core::engine::NetworkInput;
use lobar_core::study::Attributes;

use crate::decode::decode_reserved;
use crate::{
    Format, Limits, Radiograph, Rejection, Warning, check_contrast, check_shape_and_colour, dicom,
    network_input, polarity, sniff,
};

/// Mean chroma above which a picture counts as tinted, 0..=255. Compression of a grey picture stored in
/// colour stays below it.
const TINT: f64 = 4.0;

/// An image that the network can be asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// What the network reads.
    pub input: NetworkInput,
    /// Pixels a row of the upright original.
    pub width: u32,
    /// Rows of the upright original.
    pub height: u32,
    /// What a reader should know, each once.
    pub warnings: Vec<Warning>,
}

/// What a file says and shows.
pub struct Read {
    /// Whose it is, as it says itself; `None` where its format has no such thing, or it cannot be made out.
    pub attributes: Option<Attributes>,
    /// The network's input, or why there is none.
    pub prepared: Result<Prepared, Rejection>,
}

/// Reads a file whole: [`prepare()`], and whose image it is. That is told of a file that is refused, too.
pub fn read(bytes: &[u8], limits: &Limits) -> Read {
    Read { attributes: crate::attributes(bytes), prepared: prepare(bytes, limits) }
}

/// Decodes, checks and resizes, or says why not.
pub fn prepare(bytes: &[u8], limits: &Limits) -> Result<Prepared, Rejection> {
    limits.admit_bytes(bytes.len())?;
    if sniff(bytes) == Some(Format::Dicom) {
        dicom::check(bytes, limits)?;
    }
    let (radiograph, _reserved) = decode_reserved(bytes, limits, None)?;
    check_shape_and_colour(&radiograph)?;
    let input = network_input(&radiograph)?;
    check_contrast(&input)?;
    if radiograph.format == Format::Dicom {
        polarity::check(&input)?;
    }
    let Radiograph { width, height, chroma, mut warnings, .. } = radiograph;
    if chroma.mean > TINT {
        warnings.push(Warning::Tinted);
    }
    if width.min(height) < NetworkInput::SIDE as u32 {
        warnings.push(Warning::LowResolution);
    }
    Ok(Prepared { input, width, height, warnings })
}
