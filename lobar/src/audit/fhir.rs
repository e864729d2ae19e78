//! Entries as AuditEvent resources of FHIR R4 (<https://hl7.org/fhir/R4/auditevent.html>), with the codes of DICOM
//! PS3.16, CID 400 to 403, where there is one.

use lobar_core::audit::{Action, ActorKind, Entry};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::instant::rfc3339;

const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
/// Words of Lobar's own.
const ACTIONS: &str = "urn:lobar:audit:action";
const ENTRIES: &str = "urn:lobar:audit:entry";
const ACTORS: &str = "urn:lobar:audit:actor";
const ROLES: &str = "urn:lobar:role";

/// An event as DICOM codes it, and whether it creates, reads, updates, deletes or executes.
type Kind = ((&'static str, &'static str), &'static str);

fn kind(action: Option<Action>) -> Kind {
    const ACCESS: (&str, &str) = ("110103", "DICOM Instances Accessed");
    const QUERY: (&str, &str) = ("110112", "Query");
    const RECORD: (&str, &str) = ("110101", "Audit Log Used");
    const LOGIN: (&str, &str) = ("110114", "User Authentication");
    const SECURITY: (&str, &str) = ("110113", "Security Alert");
    const ACTIVITY: (&str, &str) = ("110100", "Application Activity");
    let Some(action) = action else { return (ACTIVITY, "E") };
    match action {
        Action::SignedIn | Action::SignInFailed | Action::SignedOut => (LOGIN, "E"),
        Action::Listed | Action::EventsFollowed => (QUERY, "E"),
        Action::Viewed | Action::PictureViewed | Action::HeatmapViewed | Action::VerdictsViewed => {
            (ACCESS, "R")
        }
        Action::ReadingClaimed | Action::ReadingReleased => (ACCESS, "R"),
        Action::VerdictGiven | Action::VerdictWithdrawn | Action::OpinionGiven => (ACCESS, "U"),
        Action::Uploaded | Action::Predicted => (("110107", "Import"), "C"),
        Action::Exported => (("110106", "Export"), "R"),
        Action::Refused | Action::PersonChanged | Action::TokenChanged | Action::SiteChanged => {
            (SECURITY, "U")
        }
        Action::PatientChanged => (("110110", "Patient Record"), "U"),
        Action::ModelChanged | Action::Reconciled => (ACTIVITY, "U"),
        Action::QuarantineViewed | Action::QueueViewed => (ACTIVITY, "R"),
        Action::QuarantineChanged | Action::QueueChanged | Action::BatchRetried => (ACTIVITY, "U"),
        Action::AuditRead | Action::ExposureRead => (RECORD, "R"),
        Action::Pruned => (RECORD, "D"),
        Action::Inferred | Action::NotAssessed => (ACTIVITY, "E"),
        Action::Erased => (("110105", "DICOM Study Deleted"), "D"),
    }
}

/// One resource.
pub(super) fn audit_event(entry: &Entry) -> Value {
    let action = entry.action.parse::<Action>().ok();
    let ((code, display), verb) = kind(action);
    let failed = matches!(action, Some(Action::SignInFailed | Action::Refused));
    let subtype = match action {
        Some(Action::SignedIn) => Some(("110122", "Login")),
        Some(Action::SignedOut) => Some(("110123", "Logout")),
        _ => None,
    };
    let mut subtypes: Vec<Value> =
        subtype.iter().map(|(code, display)| coding(DCM, code, Some(display))).collect();
    subtypes.push(coding(ACTIONS, &entry.action, None));
    let mut source = json!({ "observer": { "display": "Lobar" } });
    if let Some(site) = &entry.site {
        source["site"] = json!(site);
    }
    json!({
        "resourceType": "AuditEvent",
        "id": format!("lobar-{}", entry.number),
        "type": coding(DCM, code, Some(display)),
        "subtype": subtypes,
        "action": verb,
        "recorded": rfc3339(entry.at),
        // http://hl7.org/fhir/R4/valueset-audit-event-outcome.html: success, minor failure.
        "outcome": if failed { "4" } else { "0" },
        "agent": [agent(entry)],
        "source": source,
        "entity": entities(entry),
    })
}

fn coding(system: &str, code: &str, display: Option<&str>) -> Value {
    match display {
        Some(display) => json!({ "system": system, "code": code, "display": display }),
        None => json!({ "system": system, "code": code }),
    }
}

fn agent(entry: &Entry) -> Value {
    let mut who = json!({ "display": entry.actor });
    if let Some(id) = entry.actor_id {
        who["identifier"] = urn(id);
    }
    let mut agent = json!({
        "type": { "coding": [coding(ACTORS, &entry.actor_kind, None)] },
        "who": who,
        "requestor": entry.actor_kind != ActorKind::System.as_str(),
    });
    if let Some(role) = &entry.role {
        agent["role"] = json!([{ "coding": [coding(ROLES, role, None)] }]);
    }
    agent
}

/// The entry in the record itself, and what it is about.
fn entities(entry: &Entry) -> Vec<Value> {
    let mut details = vec![
        detail("previous", entry.previous.to_string()),
        detail("hash", entry.hash.to_string()),
    ];
    details.extend(entry.request.iter().map(|request| detail("request", request.clone())));
    if let Value::Object(members) = entry.detail() {
        details.extend(told(members));
    }
    let number = entry.number.to_string();
    let record = json!({ "identifier": { "system": ENTRIES, "value": number } });
    let mut entities = vec![json!({ "what": record, "detail": details })];
    for (what, id) in [("image", entry.image), ("account or token", entry.subject)] {
        entities
            .extend(id.map(|id| json!({ "what": { "identifier": urn(id) }, "description": what })));
    }
    entities
}

fn told(members: Map<String, Value>) -> impl Iterator<Item = Value> {
    members.into_iter().map(|(name, value)| match value {
        Value::String(text) => detail(&name, text),
        other => detail(&name, other.to_string()),
    })
}

/// A string of FHIR is never empty.
fn detail(name: &str, value: String) -> Value {
    let value = if value.trim().is_empty() { "-".to_owned() } else { value };
    json!({ "type": name, "valueString": value })
}

fn urn(id: Uuid) -> Value {
    json!({ "system": "urn:ietf:rfc:3986", "value": format!("urn:uuid:{id}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lobar_core::audit::{Actor, Checkpoint, NewEntry};
    use lobar_core::time::Stamp;

    #[test]
    fn an_entry_becomes_an_audit_event() {
        let mut new = NewEntry::new(Action::SignInFailed, Actor::nobody());
        new.subject = Some(Uuid::from_u128(7));
        new.detail = json!({ "factor": "password", "tries": 3, "client": "" });
        let entry = new.seal(Checkpoint::START, Stamp(1_772_355_900_000_000));
        let event = audit_event(&entry);
        assert_eq!(event["type"]["code"], "110114");
        assert_eq!((&event["action"], &event["outcome"]), (&json!("E"), &json!("4")));
        assert_eq!(event["recorded"], "2026-03-01T09:05:00Z");
        assert_eq!(event["subtype"], json!([{ "system": ACTIONS, "code": "sign_in_failed" }]));
        assert_eq!(event["agent"][0]["requestor"], true);
        let details = event["entity"][0]["detail"].as_array().expect("details");
        for told in [("hash", &*entry.hash.to_string()), ("tries", "3"), ("client", "-")] {
            assert!(details.contains(&detail(told.0, told.1.into())), "{told:?}: {event}");
        }
        let subject = &event["entity"][1]["what"]["identifier"]["value"];
        assert_eq!(subject, "urn:uuid:00000000-0000-0000-0000-000000000007");
    }

    #[test]
    fn every_action_and_a_word_of_a_newer_release_becomes_an_event() {
        for action in Action::ALL {
            let entry = NewEntry::new(*action, Actor::system()).seal(Checkpoint::START, Stamp(0));
            let event = audit_event(&entry);
            assert!("CRUDE".contains(event["action"].as_str().expect("a letter")), "{event}");
            assert_eq!(event["agent"][0]["requestor"], false);
        }
        let mut entry =
            NewEntry::new(Action::Viewed, Actor::system()).seal(Checkpoint::START, Stamp(0));
        entry.action = "of tomorrow".into();
        assert_eq!(audit_event(&entry)["type"]["code"], "110100");
    }
}
