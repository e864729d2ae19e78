//! What `lobar doctor` finds out about one dependency, and how to fix it.

/// Severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Works as it should.
    Good,
    /// Works, but should be configured otherwise.
    Advice,
    /// Images would wait, be lost or not be seen.
    Fault,
}

/// What was found out about one thing, with what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What: `uploads queue: dead-letter queue`. No personal data, no secrets.
    pub what: String,
    /// How bad it is.
    pub verdict: Severity,
    /// What was found, in a few words.
    pub found: String,
    /// What to do: a sentence, with the command or the setting where there is one. Empty when good.
    pub fix: String,
}

impl Diagnostic {
    /// It is as it should be.
    pub fn good(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Severity::Good, found: found.into(), fix: String::new() }
    }

    /// It works, but `fix` would be better.
    pub fn advice(
        what: impl Into<String>,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let (what, found, fix) = (what.into(), found.into(), fix.into());
        Self { what, verdict: Severity::Advice, found, fix }
    }

    /// It does not work until `fix` is done.
    pub fn fault(
        what: impl Into<String>,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let (what, found, fix) = (what.into(), found.into(), fix.into());
        Self { what, verdict: Severity::Fault, found, fix }
    }
}
