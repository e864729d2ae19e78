//! What must hold at every moment, by what clients see: pure, so that each rule is tried on what breaks it.

use std::collections::HashMap;

use serde_json::Value;

/// What must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// An event came again, or after a later one.
    Repeated { seq: i64, after: i64 },
    /// A stream says that history is gone.
    Reset { after: i64 },
    /// A change of state that there is none of.
    Impossible { image: String, from: String, to: String },
    /// An image ended twice.
    Twice { image: String, ends: [String; 2] },
    /// A result without the model that made it, or without its number.
    NoModel { image: String },
    /// A result where there must be none, or none where one is told.
    Incoherent { image: String, what: String },
    /// A list of one site shows what another uploaded, or an image says that it is another's.
    OtherSite { image: String, told: String, asked: String },
    /// An image on two pages of one reading.
    ListedTwice { image: String },
    /// Acknowledged, and no end.
    Lost { image: String, status: Option<String> },
    /// It ended otherwise than it must.
    Ended { image: String, status: String, reason: Option<String>, expected: String },
    /// An image that nobody uploaded.
    Unknown { image: String },
    /// Older than what the same client was told.
    Stale { image: String, status: String, since: i64 },
    /// A subscriber misses an event, or has another one.
    Missed { subscriber: String, seq: i64 },
    /// The list and the last event disagree.
    Disagree { image: String, list: String, event: String },
    /// A result of a model that is not registered.
    UnknownModel { image: String },
    /// A process ended by itself, did not stop, or panicked.
    Process { name: String, what: String },
    /// A log names a patient.
    Personal { name: String },
    /// Work does not come to an end.
    NotQuiet { why: String },
}

/// The class of the counters that a violation falls in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Lost,
    Duplicated,
    Unexpected,
}

impl Violation {
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Lost { .. } | Self::Missed { .. } | Self::NotQuiet { .. } => Class::Lost,
            Self::Repeated { .. } | Self::Twice { .. } | Self::ListedTwice { .. } => {
                Class::Duplicated
            }
            _ => Class::Unexpected,
        }
    }
}

/// One event as a subscriber was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) seq: i64,
    pub(crate) image: String,
    pub(crate) status: String,
}

/// What one stream from the beginning has told so far.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    last: i64,
    states: HashMap<String, String>,
}

fn is_result(status: &str) -> bool {
    ["ready", "needs_human", "failed"].contains(&status)
}

impl Stream {
    /// The number of the last event.
    pub(crate) fn last(&self) -> i64 {
        self.last
    }

    /// Takes the next event.
    pub(crate) fn take(&mut self, told: &Told) -> Result<(), Violation> {
        if told.seq <= self.last {
            return Err(Violation::Repeated { seq: told.seq, after: self.last });
        }
        self.last = told.seq;
        let before = self.states.insert(told.image.clone(), told.status.clone());
        let (from, to) = (before.as_deref().unwrap_or("nothing"), told.status.as_str());
        let open = ["queued", "analysing"].contains(&from);
        let possible = match to {
            "queued" => ["nothing", "analysing", "superseded", "removed"].contains(&from),
            // A claim takes over what another worker holds.
            "analysing" => open,
            "ready" | "needs_human" => from == "analysing",
            "failed" => open,
            "superseded" => from != "superseded" && from != "removed",
            "removed" => from != "removed",
            _ => false,
        };
        if is_result(from) && is_result(to) {
            let ends = [from.to_owned(), to.to_owned()];
            return Err(Violation::Twice { image: told.image.clone(), ends });
        }
        if possible {
            return Ok(());
        }
        let (from, to) = (from.to_owned(), to.to_owned());
        Err(Violation::Impossible { image: told.image.clone(), from, to })
    }
}

/// An image as a list or its own page shows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) image: String,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) site: Option<String>,
    pub(crate) result: Value,
}

impl Item {
    /// Reads one out of JSON.
    pub(crate) fn read(json: &Value) -> Self {
        let word = |name: &str| json[name].as_str().map(str::to_owned);
        Self {
            image: word("id").unwrap_or_default(),
            status: word("status").unwrap_or_default(),
            reason: word("reason"),
            site: word("site"),
            result: json["result"].clone(),
        }
    }

    /// The SHA-256 of the model that made its result.
    pub(crate) fn model(&self) -> Option<&str> {
        self.result["model"]["sha256"].as_str()
    }

    /// What holds of an image by itself, when only those of `site` were asked for.
    pub(crate) fn check(&self, site: &str) -> Result<(), Violation> {
        let (image, told) = (self.image.clone(), self.site.clone().unwrap_or_default());
        if told != site {
            return Err(Violation::OtherSite { image, told, asked: site.to_owned() });
        }
        let incoherent = |what: &str| {
            let what = format!("{} {what}", self.status);
            Err(Violation::Incoherent { image: self.image.clone(), what })
        };
        match (self.status.as_str(), self.result.is_null(), self.reason.is_some()) {
            ("ready", true, _) => return incoherent("without a result"),
            ("ready", _, true) => return incoherent("with a reason for none"),
            ("queued" | "analysing" | "needs_human" | "failed", false, _) => {
                return incoherent("with a result");
            }
            ("needs_human" | "failed", _, false) => return incoherent("without a reason"),
            _ => {}
        }
        if !self.result.is_null() && !self.names_its_model() {
            return Err(Violation::NoModel { image });
        }
        Ok(())
    }

    fn names_its_model(&self) -> bool {
        let model = &self.result["model"];
        let word = |name: &str| model[name].as_str().unwrap_or_default();
        let number = |name: &str| {
            self.result[name].as_f64().is_some_and(|number| (0.0..=1.0).contains(&number))
        };
        let sha256 = word("sha256");
        let whole = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        let named = !word("version").is_empty() && !word("preprocessing").is_empty();
        whole && named && number("probability") && number("threshold")
    }
}

/// What a client read of an image, when it had been told of everything up to `since`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) image: String,
    pub(crate) status: String,
    pub(crate) since: i64,
}

impl Reading {
    /// Whether the image was in that state at `since` or later. `states` are all that it passed through, in order.
    pub(crate) fn is_fresh(&self, states: &[(i64, &str)]) -> bool {
        let at = states.iter().rposition(|(seq, _)| *seq <= self.since).unwrap_or(0);
        states[at..].iter().any(|(_, status)| *status == self.status)
    }
}
