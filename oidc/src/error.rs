//! Why somebody was not signed in. Words of this crate alone: nothing that the provider sent is repeated.

/// Why the provider's answer brought nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// It could not be asked, or gave no answer that can be used: it may tomorrow.
    #[error("the provider cannot be used: {0}")]
    Away(&'static str),
    /// What it, or somebody in its name, sent is refused.
    #[error("refused: {0}")]
    Refused(&'static str),
}
