//! Asking the record for a report.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Case, CaseKey, Exposures, Report, Scope, report};
use crate::failure::PortError;
use crate::finding::Label;
use crate::object::ImageId;
use crate::time::Stamp;

/// Cases read at once.
const PAGE: usize = 500;

/// What first opinions and verdicts are compared with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Truth {
    /// Nothing: only changes are counted.
    #[default]
    Unknown,
    /// These labels.
    Labels(BTreeMap<ImageId, Label>),
    /// The newest labels of the reader of this name, whose own cases are left out.
    Reader(String),
}

/// Which cases, compared with what, told how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Only this site.
    pub site: Option<String>,
    /// Only first opinions from then on.
    pub since: Option<Stamp>,
    /// Only first opinions before then.
    pub until: Option<Stamp>,
    /// What is right.
    pub truth: Truth,
    /// Whom it names, and how exactly.
    pub scope: Scope,
}

impl Question {
    /// What the audit record says of it: what it narrows to can single somebody out. Times are in
    /// microseconds since 1970.
    pub fn detail(&self) -> Value {
        let truth = match &self.truth {
            Truth::Unknown => json!({}),
            Truth::Labels(_) => json!({ "truth": "labels" }),
            Truth::Reader(name) => json!({ "adjudicator": name }),
        };
        let mut detail = json!({ "small": self.scope.small, "by_person": self.scope.by_person });
        for (name, value) in [("since", self.since), ("until", self.until)] {
            if let Some(at) = value {
                detail[name] = at.0.into();
            }
        }
        if let (Some(detail), Value::Object(truth)) = (detail.as_object_mut(), truth) {
            detail.extend(truth);
        }
        detail
    }

    /// Reads all cases and counts them.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub async fn ask(&self, exposures: &dyn Exposures) -> Result<Report, PortError> {
        let before =
            |since: Stamp| CaseKey { at: Stamp(since.0.saturating_sub(1)), id: Uuid::max() };
        let (mut after, mut cases) = (self.since.map(before), Vec::<Case>::new());
        loop {
            let page = exposures.cases(after, self.until, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key());
            cases.extend(page.into_iter().filter(|case| self.asks_for(case)));
        }
        let truth = match &self.truth {
            Truth::Unknown => None,
            Truth::Labels(labels) => Some(labels.clone()),
            Truth::Reader(name) => {
                let images: Vec<_> = cases.iter().map(|case| case.first.opinion.image).collect();
                Some(exposures.labels_by(name, &images).await?)
            }
        };
        Ok(report(&cases, truth.as_ref(), self.scope))
    }

    fn asks_for(&self, case: &Case) -> bool {
        let own =
            matches!(&self.truth, Truth::Reader(name) if *name == case.first.opinion.reader.name);
        !own && (self.site.is_none() || self.site == case.site)
    }
}
