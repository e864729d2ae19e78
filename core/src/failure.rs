//! Errors of ports, and whether a retry may help.

/// What the caller of a port should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The service is away or busy: try again later; the image is not to blame.
    Transient,
    /// It will fail again in the same way: a fault of configuration or of this program.
    Permanent,
}

/// An error of a port: what failed, in words, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct PortError {
    /// The operation that failed, with its adapter: `sqlite store: admit`.
    pub what: &'static str,
    /// What to do about it.
    pub disposition: Disposition,
    /// The adapter's own error. Its text must hold nothing personal.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl PortError {
    /// The service is away or busy.
    pub fn transient(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { what, disposition: Disposition::Transient, source: source.into() }
    }

    /// It would fail again in the same way.
    pub fn permanent(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { what, disposition: Disposition::Permanent, source: source.into() }
    }

    /// Whether trying again may help.
    pub fn is_transient(&self) -> bool {
        self.disposition == Disposition::Transient
    }
}

/// An error with all its causes on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
