//! Why something is erased.

use std::fmt;
use std::str::FromStr;

/// A closed set: a free text would hold what it was written to erase. Words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErasureReason {
    /// The patient asked for it, or who acts for them (GDPR, article 17).
    Request,
    /// Consent was withdrawn.
    Consent,
    /// It should not have been uploaded, or not under this name.
    Mistake,
    /// A law, a court or an authority demands it.
    Obligation,
    /// The time for which it is kept is over.
    Retention,
}

impl ErasureReason {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Request, Self::Consent, Self::Mistake, Self::Obligation, Self::Retention];

    /// The word used in storage, HTTP, commands and the audit record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Consent => "consent",
            Self::Mistake => "mistake",
            Self::Obligation => "obligation",
            Self::Retention => "retention",
        }
    }
}

impl fmt::Display for ErasureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ErasureReason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|reason| reason.as_str() == text);
        found.ok_or_else(|| {
            format!("no such reason; there are {}", Self::ALL.map(Self::as_str).join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_read_from_its_own_word() {
        for reason in ErasureReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
        assert!("because".parse::<ErasureReason>().is_err());
    }
}
