//! What a store could read of what it keeps, and how it tells of an image that it could not read in full.
//!
//! A row may be damaged, or a newer release may have written it. Neither is an error of the question: it is told
//! with the row, so that no other row suffers. An image that cannot be read needs a human, and never looks assessed.

use crate::finding::Finding;
use crate::image::{Reason, State};

/// How much of what a store keeps was read in vain.
pub trait UnreadableCounts: Send + Sync {
    /// How often a value that cannot be read was met since this process started, by the table that it stands in. Every
    /// table whose values are looked at is there, with 0 where none was met.
    fn unreadable(&self) -> Vec<(&'static str, u64)>;
}

/// One stored value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading<T> {
    /// Nothing is stored.
    Missing,
    /// It was read.
    Read(T),
    /// Something is stored that this release cannot read.
    Unreadable,
}

impl<T> Reading<T> {
    /// A value that was looked up in a closed set.
    pub fn known(value: Option<T>) -> Self {
        value.map_or(Self::Unreadable, Self::Read)
    }

    /// What was read.
    pub fn read(self) -> Option<T> {
        match self {
            Self::Read(value) => Some(value),
            Self::Missing | Self::Unreadable => None,
        }
    }
}

/// The state of an image, with what explains it.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Its state.
    pub state: State,
    /// Why it was not assessed, or what cannot be read of it.
    pub reason: Option<Reason>,
    /// What the network saw.
    pub finding: Option<Finding>,
}

impl Standing {
    /// What is told of an image whose row was read like this. `flagged` is what lists take it for; a finding that
    /// says otherwise is unreadable.
    pub fn of(
        state: Reading<State>,
        reason: Reading<Reason>,
        finding: Reading<Finding>,
        flagged: Option<bool>,
    ) -> Self {
        let told = |state, reason| Self { state, reason, finding: None };
        let finding = match finding {
            Reading::Read(finding) if flagged != Some(finding.flagged) => Reading::Unreadable,
            finding => finding,
        };
        let Reading::Read(state) = state else {
            return told(State::NeedsHuman, Some(Reason::RecordUnreadable));
        };
        match state {
            State::Queued | State::Analysing => told(state, None),
            State::Ready => match finding {
                Reading::Read(finding) => Self { state, reason: None, finding: Some(finding) },
                _ => told(State::NeedsHuman, Some(Reason::ResultUnreadable)),
            },
            State::NeedsHuman | State::Failed => {
                told(state, Some(reason.read().unwrap_or(Reason::RecordUnreadable)))
            }
            State::Superseded | State::Removed => {
                let reason = match (reason, &finding) {
                    (_, Reading::Unreadable) => Some(Reason::ResultUnreadable),
                    (Reading::Unreadable, _) => Some(Reason::RecordUnreadable),
                    (reason, _) => reason.read(),
                };
                Self { state, reason, finding: finding.read() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Label, ModelRef};

    fn finding(flagged: bool) -> Finding {
        Finding {
            model: ModelRef { version: "7".into(), sha256: "00".into(), preprocessing: "1".into() },
            probability: if flagged { 0.9 } else { 0.1 },
            threshold: 0.5,
            flagged,
            label: if flagged { Label::Pneumonia } else { Label::Normal },
            subtype: None,
            heatmap: None,
            warnings: Vec::new(),
            timings_ms: Default::default(),
        }
    }

    #[test]
    fn whatever_is_stored_only_a_finding_that_was_read_makes_an_image_look_assessed() {
        let states = State::ALL.map(Reading::Read).into_iter();
        for state in states.chain([Reading::Missing, Reading::Unreadable]) {
            for reason in [Reading::Missing, Reading::Unreadable, Reading::Read(Reason::Blank)] {
                for flagged in [None, Some(false), Some(true)] {
                    let findings =
                        [Reading::Missing, Reading::Unreadable, Reading::Read(finding(false))];
                    for finding in findings {
                        let readable =
                            matches!(finding, Reading::Read(_)) && flagged == Some(false);
                        let told = Standing::of(state, reason, finding.clone(), flagged);
                        let case =
                            format!("{state:?} {reason:?} {finding:?} {flagged:?}: {told:?}");
                        assert!(told.finding.is_none() || readable, "{case}");
                        assert!(told.state != State::Ready || readable, "{case}");
                        if matches!(told.state, State::NeedsHuman | State::Failed) {
                            assert!(told.reason.is_some(), "{case}");
                        }
                        if told.state == State::Ready {
                            assert!(told.finding.is_some() && told.reason.is_none(), "{case}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_by_a_reason_of_its_own() {
        let of = |state, reason, finding| {
            let told = Standing::of(state, reason, finding, Some(true));
            (told.state, told.reason)
        };
        let (ready, human) = (Reading::Read(State::Ready), Reading::Read(State::NeedsHuman));
        let result = (State::NeedsHuman, Some(Reason::ResultUnreadable));
        assert_eq!(of(ready, Reading::Missing, Reading::Unreadable), result);
        assert_eq!(of(ready, Reading::Missing, Reading::Missing), result);
        assert_eq!(of(ready, Reading::Missing, Reading::Read(finding(false))), result);
        let record = (State::NeedsHuman, Some(Reason::RecordUnreadable));
        assert_eq!(of(Reading::Unreadable, Reading::Missing, Reading::Missing), record);
        assert_eq!(of(human, Reading::Unreadable, Reading::Missing), record);
        assert_eq!(
            of(human, Reading::Read(Reason::Blank), Reading::Missing).1,
            Some(Reason::Blank)
        );
        let superseded = Reading::Read(State::Superseded);
        let kept = of(superseded, Reading::Missing, Reading::Unreadable);
        assert_eq!(kept, (State::Superseded, Some(Reason::ResultUnreadable)));
    }
}
