//! Why something could not be done, in words for the person at the terminal.

use std::fmt;

/// What could not be uploaded, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// Wrong usage: other arguments are needed.
    #[error("{0}")]
    Usage(String),
    /// It was attempted and failed.
    #[error("{0}")]
    Failed(String),
}

impl UploadError {
    /// It was attempted and failed.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::Failed(message.to_string())
    }

    /// Wrong usage.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::Usage(message.to_string())
    }
}
