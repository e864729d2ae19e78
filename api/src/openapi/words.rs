//! Closed sets of words as enums, from the types that have them.

use lobar_core::audit::Action;
use lobar_core::erasure::ErasureReason;
use lobar_core::exposure::Visible;
use lobar_core::finding::{Label, SubtypeLabel};
use lobar_core::image::{Lane, Reason, State};
use lobar_core::model_registry::Stage;
use lobar_core::quarantine::EntryState;
use lobar_core::scaling::ScalingReason;
use lobar_core::verdict::{Cause, Opinion};
use lobar_core::worklist::ReadState;
use serde_json::{Map, Value, json};

use crate::exposure::Withheld;
use crate::page_token::ListOrder;
use crate::readership::OWN_VERDICT_FIRST;

/// A set of words with the members whose values are of it.
struct Words {
    name: &'static str,
    about: &'static str,
    words: Vec<&'static str>,
    /// `Schema.member`.
    members: &'static [&'static str],
    /// `METHOD /address?parameter`.
    parameters: &'static [&'static str],
}

fn all() -> Vec<Words> {
    let opinions = [
        Opinion::Agree,
        Opinion::Disagree { label: Label::Normal },
        Opinion::NotAssessable { causes: Vec::new() },
        Opinion::Unreadable,
    ];
    let given: Vec<_> = opinions.iter().map(Opinion::word).collect();
    vec![
        Words {
            name: "ImageState",
            about: "Where an image is on its way.",
            words: State::ALL.map(State::as_str).to_vec(),
            members: &["ImageItem.status", "Receipt.status", "BatchReason.status"],
            parameters: &[],
        },
        Words {
            name: "Reason",
            about: "Why an image was not assessed.",
            words: Reason::ALL.iter().map(|reason| reason.code()).collect(),
            members: &["ImageItem.reason", "BatchReason.reason"],
            parameters: &[],
        },
        Words {
            name: "Lane",
            about: "How urgent an image is.",
            words: Lane::ALL.map(Lane::as_str).to_vec(),
            members: &["ImageItem.priority", "PresignBody.priority", "PredictBody.priority"],
            parameters: &[
                "POST /v1/images?priority",
                "POST /dicom-web/studies?priority",
                "POST /dicom-web/studies/{study}?priority",
            ],
        },
        Words {
            name: "Label",
            about: "What the network, or a reader, says. `NORMAL` of the network only means \"not flagged\".",
            words: Label::ALL.map(Label::word).to_vec(),
            members: &[
                "ResultBody.label",
                "PredictAnswer.predicted_label",
                "VerdictItem.label",
                "VerdictMark.label",
                "OpinionBody.label",
            ],
            parameters: &[],
        },
        Words {
            name: "SubtypeLabel",
            about: "The second output of the network.",
            words: SubtypeLabel::ALL.map(SubtypeLabel::word).to_vec(),
            members: &["SubtypeBody.label"],
            parameters: &[],
        },
        Words {
            name: "Withheld",
            about: "Why a result is not shown.",
            words: vec![Withheld::OwnOpinionFirst.word(), Withheld::RecordUnavailable.word()],
            members: &["ImageItem.withheld"],
            parameters: &[],
        },
        Words {
            name: "VerdictsWithheld",
            about: "Why verdicts are not told.",
            words: vec![
                Withheld::OwnOpinionFirst.word(),
                Withheld::RecordUnavailable.word(),
                OWN_VERDICT_FIRST,
            ],
            members: &["VerdictList.withheld"],
            parameters: &[],
        },
        Words {
            name: "Cause",
            about: "Why a picture is not assessable.",
            words: Cause::ALL.map(Cause::word).to_vec(),
            members: &["VerdictBody.causes", "VerdictItem.causes"],
            parameters: &[],
        },
        Words {
            name: "VerdictWord",
            about: "What a verdict came to; `unreadable` where this release cannot read it.",
            words: given.clone(),
            members: &["VerdictMark.opinion"],
            parameters: &[],
        },
        Words {
            name: "SaidWord",
            about: "As a verdict; `own` where it was said before the result was shown.",
            words: [&given[..], &["own"]].concat(),
            members: &["VerdictItem.opinion"],
            parameters: &[],
        },
        Words {
            name: "ReadState",
            about: "How far an image has been read.",
            words: ReadState::ALL.map(ReadState::as_str).to_vec(),
            members: &["ReadingBody.state"],
            parameters: &[],
        },
        Words {
            name: "ListOrder",
            about: "In which order images are listed.",
            words: ListOrder::ALL.map(ListOrder::as_str).to_vec(),
            members: &[],
            parameters: &["GET /v1/images?order"],
        },
        Words {
            name: "PaintedPart",
            about: "What of a result could be seen.",
            words: (Visible::RESULT | Visible::HEATMAP).words(),
            members: &["PaintedItem.visible"],
            parameters: &[],
        },
        Words {
            name: "ErasureReason",
            about: "Why an image is erased.",
            words: ErasureReason::ALL.map(ErasureReason::as_str).to_vec(),
            members: &[],
            parameters: &["DELETE /v1/images/{id}?reason"],
        },
        Words {
            name: "ErasureState",
            about: "How far the erasing is.",
            words: vec!["erasing", "erased"],
            members: &["ErasedItem.state"],
            parameters: &[],
        },
        Words {
            name: "ModelStage",
            about: "What a model is used for.",
            words: Stage::ALL.map(Stage::as_str).to_vec(),
            members: &["ModelItem.stage"],
            parameters: &[],
        },
        Words {
            name: "QuarantineState",
            about: "What became of an entry; `unreadable` where this release cannot read it.",
            words: EntryState::ALL.map(EntryState::word).to_vec(),
            members: &["QuarantineItem.state"],
            parameters: &[],
        },
        Words {
            name: "ScalingReason",
            about: "Why there should be so many workers.",
            words: ScalingReason::ALL.map(ScalingReason::as_str).to_vec(),
            members: &["QueueFigures.workers_wanted_reason"],
            parameters: &[],
        },
        Words {
            name: "Action",
            about: "What the audit record says was done.",
            words: Action::ALL.iter().map(|action| action.as_str()).collect(),
            members: &[],
            parameters: &["GET /v1/audit?action"],
        },
        Words {
            name: "CallerKind",
            about: "Who is signed in.",
            words: vec!["person", "machine", "local"],
            members: &["SessionBody.kind"],
            parameters: &[],
        },
    ]
}

/// Puts the sets among the schemas, and names them where they are meant.
pub(super) fn name(document: &mut Value) {
    for set in all() {
        let schema = json!({ "type": "string", "description": set.about, "enum": set.words });
        document["components"]["schemas"][set.name] = schema;
        for member in set.members {
            if let Some((schema, member)) = member.split_once('.') {
                let place = &mut document["components"]["schemas"][schema]["properties"][member];
                refer(place, set.name);
            }
        }
        for parameter in set.parameters {
            if let Some(schema) = parameter_of(document, parameter) {
                refer(schema, set.name);
            }
        }
    }
}

/// The schema of a parameter `METHOD /address?parameter`.
pub(super) fn parameter_of<'a>(document: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let (operation, name) = name.split_once('?')?;
    let (method, path) = operation.split_once(' ')?;
    let operation = &mut document["paths"][path][method.to_lowercase()];
    let mut parameters = operation["parameters"].as_array_mut()?.iter_mut();
    parameters.find(|parameter| parameter["name"] == name).map(|found| &mut found["schema"])
}

/// In the place of a string, of one or null, or of a list of strings.
fn refer(place: &mut Value, name: &str) {
    let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
    if place["type"] == "array" {
        place["items"] = reference;
        return;
    }
    let is_nullable = place["oneOf"].is_array()
        || place["type"].as_array().is_some_and(|types| types.contains(&json!("null")));
    let mut named = match is_nullable {
        true => json!({ "oneOf": [reference, { "type": "null" }] }),
        false => reference,
    };
    let description = place.get("description").or(place.pointer("/oneOf/0/description"));
    if let (Value::Object(members), Some(text)) = (&mut named, description) {
        let members: &mut Map<_, _> = members;
        members.insert("description".into(), text.clone());
    }
    *place = named;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member that was renamed would silently be a plain string again.
    #[test]
    fn every_member_and_parameter_that_is_named_is_in_the_document() {
        let mut document = crate::routes::openapi::annotated();
        for set in all() {
            assert!(!set.words.is_empty(), "{}", set.name);
            for member in set.members {
                let (schema, member) = member.split_once('.').expect("Schema.member");
                let place = &document["components"]["schemas"][schema]["properties"][member];
                assert!(place.is_object(), "{}: no {schema}.{member}", set.name);
            }
            for parameter in set.parameters {
                assert!(parameter_of(&mut document, parameter).is_some(), "{parameter}");
            }
        }
    }
}
