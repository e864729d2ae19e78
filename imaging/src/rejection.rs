//! Why an image is refused.

use lobar_core::image::Reason;

/// The most characters of a detail.
const MAX_DETAIL: usize = 400;

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
    /// A refusal for `reason`. Whatever came into the detail, it has no control characters, which not every store takes,
    /// and 400 characters at most.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        let detail: String = detail.into();
        let shown = detail.chars().filter(|c| !c.is_control()).take(MAX_DETAIL);
        Self { reason, detail: shown.collect() }
    }

    pub(crate) fn undecodable(detail: impl Into<String>) -> Self {
        Self::new(Reason::Undecodable, detail)
    }

    pub(crate) fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(Reason::UnsupportedFormat, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_one_short_line_of_text() {
        let refused = Rejection::new(Reason::Undecodable, "a\0b\nc".repeat(1 << 20));
        assert_eq!(refused.detail.chars().count(), MAX_DETAIL);
        assert!(refused.detail.starts_with("abcabc"));
    }
}
