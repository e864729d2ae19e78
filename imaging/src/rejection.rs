//! Why an image is refused.

use lobar_core::image::Reason;

/// A refusal: the image needs a human. The detail holds sizes, formats and the decoder's own words,
/// never a name or anything from inside the file that could be personal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", reason.code())]
pub struct Rejection {
    /// One of the closed set.
    pub reason: Reason,
    /// A sentence with the measured figures and the bound they broke.
    pub detail: String,
}

impl Rejection {
    /// A refusal for `reason`.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    pub(crate) fn undecodable(detail: impl Into<String>) -> Self {
        Self::new(Reason::Undecodable, detail)
    }

    pub(crate) fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(Reason::UnsupportedFormat, detail)
    }
}
