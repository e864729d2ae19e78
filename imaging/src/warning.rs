//! What a reader should know about an image that was assessed.

use std::fmt;

/// A remark that goes with the result. A closed set: codes are stable, texts are for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Warning {
    /// Turned or mirrored as its EXIF orientation says.
    Oriented,
    /// More than 8 bits a sample, reduced to 8.
    ReducedDepth,
    /// Transparent parts, laid on black.
    Transparent,
    /// Slightly coloured; read as grey.
    Tinted,
    /// Smaller than the network's input in one direction, so enlarged.
    LowResolution,
    /// A DICOM file whose transfer syntax is another than that of its pixels, which were read by what they are.
    Mislabelled,
}

impl Warning {
    /// Every warning.
    pub const ALL: [Warning; 6] = [
        Warning::Oriented,
        Warning::ReducedDepth,
        Warning::Transparent,
        Warning::Tinted,
        Warning::LowResolution,
        Warning::Mislabelled,
    ];

    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Warning::Oriented => "oriented",
            Warning::ReducedDepth => "reduced_depth",
            Warning::Transparent => "transparent",
            Warning::Tinted => "tinted",
            Warning::LowResolution => "low_resolution",
            Warning::Mislabelled => "mislabelled",
        }
    }

    /// One plain sentence for a doctor.
    pub fn text(self) -> &'static str {
        match self {
            Warning::Oriented => "The image was turned as its file says.",
            Warning::ReducedDepth => "The image was reduced to 8 bits per pixel.",
            Warning::Transparent => "Transparent parts of the image were laid on black.",
            Warning::Tinted => "The image is slightly coloured and was read as grey.",
            Warning::LowResolution => "The image has fewer pixels than the network reads.",
            Warning::Mislabelled => {
                "The file names another compression than its image has; it was read by what it has."
            }
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
