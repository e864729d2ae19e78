//! What the audit record says of an image that was worked on.

use std::collections::BTreeSet;

use lobar_core::access::SiteName;
use lobar_core::audit::{Action, Actor, NewEntry};
use lobar_core::finding::ModelRef;
use lobar_core::image::{Reason, State};
use lobar_core::object::ImageId;
use lobar_core::population::AGE_UNKNOWN;
use lobar_core::store::{Completion, Outcome};
use lobar_core::study::{ANOTHER_PERSON, ANOTHER_VERSION, OTHER_PATIENT_SAID, UID_SHARED};
use serde_json::{Map, Value, json};

/// What of a result's warnings is on record: codes that say whose image it is, and for whom the model was trained.
const RECORDED: [&str; 5] =
    [ANOTHER_PERSON, ANOTHER_VERSION, UID_SHARED, OTHER_PATIENT_SAID, AGE_UNKNOWN];

/// The entry of a completion; `None` where nothing was found out of an image. `of_person`: the warnings of whose it is.
pub(super) fn entry(
    done: &Completion,
    site: &str,
    of_person: Option<&BTreeSet<String>>,
) -> Option<NewEntry> {
    let found = match &done.outcome {
        Outcome::Ready(finding) => &finding.warnings[..],
        _ => &[],
    };
    let mut warnings: BTreeSet<&str> =
        of_person.into_iter().flatten().chain(found).map(String::as_str).collect();
    warnings.retain(|code| RECORDED.contains(code));
    let mut detail = Map::new();
    let mut put = |name: &str, value: Value| detail.insert(name.to_owned(), value);
    if let Some(input) = done.basis.input {
        put("input_sha256", json!(input));
    }
    if !warnings.is_empty() {
        put("warnings", json!(warnings));
    }
    let (action, model) = match &done.outcome {
        Outcome::Ready(finding) => {
            put("score", json!(finding.probability));
            put("threshold", json!(finding.threshold));
            put("flagged", json!(finding.flagged));
            (Action::Inferred, Some(&finding.model))
        }
        Outcome::NeedsHuman { reason, .. } | Outcome::Failed { reason, .. } => {
            let state = match done.outcome {
                Outcome::Failed { .. } => State::Failed,
                _ => State::NeedsHuman,
            };
            put("state", json!(state.as_str()));
            put("reason", json!(reason.code()));
            (Action::NotAssessed, done.basis.model.as_ref())
        }
        Outcome::Superseded => return None,
    };
    if let Some(ModelRef { version, sha256, preprocessing }) = model {
        put("model", json!(version));
        put("model_sha256", json!(sha256));
        put("preprocessing", json!(preprocessing));
    }
    Some(of_image(action, done.id, site, Value::Object(detail)))
}

/// The entry of an image that was tried too often.
pub(super) fn given_up(image: ImageId, site: Option<&str>) -> NewEntry {
    let (state, reason) = (State::Failed.as_str(), Reason::RepeatedFailure.code());
    let detail = json!({ "state": state, "reason": reason });
    of_image(Action::NotAssessed, image, site.unwrap_or_default(), detail)
}

fn of_image(action: Action, image: ImageId, site: &str, detail: Value) -> NewEntry {
    let (image, site) = (Some(image), SiteName::parse(site));
    NewEntry { image, site, detail, ..NewEntry::new(action, Actor::system()) }
}
