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
    /// A DICOM file that says that its rows run towards the patient's right: a frontal film that is stored mirrored. It is
    /// shown and assessed as it is stored.
    Mirrored,
}

impl Warning {
    /// Every warning.
    pub const ALL: [Warning; 7] = [
        Warning::Oriented,
        Warning::ReducedDepth,
        Warning::Transparent,
        Warning::Tinted,
        Warning::LowResolution,
        Warning::Mislabelled,
        Warning::Mirrored,
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
            Warning::Mirrored => "mirrored",
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
            Warning::Mirrored => {
                "The file says that the image is stored mirrored, with left and right exchanged; it was left as it is."
            }
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
