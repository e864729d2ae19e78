//! Why a file is not de-identified.

/// Why a file is not de-identified. The words name nobody: no value of the file is in them but UIDs that the standard
/// itself defines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no DICOM file, or a damaged one.
    #[error("it is not a readable DICOM file")]
    Unreadable,
    /// It is of another kind than the table is made for.
    #[error(
        "its SOP class{0} is none of those that the table is made for: Computed Radiography, Digital X-Ray, Secondary Capture of a single frame"
    )]
    Class(String),
    /// An identifier that an image has to have.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// Burned In Annotation (0028,0301) is YES.
    #[error(
        "it says that a person can be read from its pixels (Burned In Annotation is YES); name the places with --mask"
    )]
    BurnedIn,
    /// Burned In Annotation (0028,0301) has a value that is neither YES nor NO, or cannot be read as text (VR UN).
    #[error(
        "what it says of persons in its pixels is neither YES nor NO (Burned In Annotation); look at it, and name the places with --mask"
    )]
    BurnedInUnclear,
    /// A secondary capture that does not say that its pixels name nobody.
    #[error(
        "it is a secondary capture that does not say that nobody can be read from its pixels (Burned In Annotation is not NO); look at it, and name the places with --mask"
    )]
    SecondaryCapture,
    /// More than one frame.
    #[error("it has several frames")]
    Frames,
    /// Pixels in a coding that cannot be looked through for text.
    #[error("its transfer syntax{0} is not one whose pixel data can be checked here")]
    TransferSyntax(String),
    /// The pixels cannot be cleaned.
    #[error("its pixel data cannot be cleaned: {0}")]
    Pixels(&'static str),
    /// A mask was asked for that cannot be applied.
    #[error("the mask cannot be applied: {0}")]
    Mask(&'static str),
    /// What was made has something in it that may not be there.
    #[error(
        "what came out was not clean at {0}, and was thrown away; this is a fault of the program"
    )]
    NotClean(String),
}
