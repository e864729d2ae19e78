//! Problem documents (RFC 9457): which types an operation answers, by status.

use std::collections::BTreeMap;

use lobar_core::access::Right;
use serde_json::{Value, json};

use crate::problem::Kind;
use crate::routes::RouteRight;

const MEDIA_TYPE: &str = "application/problem+json";

/// What all problem documents have in common.
pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457). Members beyond these belong to its type.",
        "required": ["type", "title", "status", "detail"],
        "examples": [{
            "type": address(Kind::BadParameter),
            "title": Kind::BadParameter.title(),
            "status": Kind::BadParameter.status(),
            "detail": "`limit` is a number from 1 to 200.",
        }],
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "description": "What it is, for programs." },
            "title": { "type": "string", "description": "What it is, the same for every occurrence." },
            "status": { "type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status." },
            "detail": { "type": "string", "description": "A sentence about this occurrence." },
            "request_id": { "type": "string", "description": "What the server's log calls the request." },
        },
    })
}

/// Documents every problem that the operation may answer.
pub(super) fn complete(operation: &mut Value, route: &RouteRight) {
    let mut kinds = usual(operation, route);
    kinds.extend(own(route.method, route.path));
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in Kind::ALL.iter().filter(|kind| kinds.contains(kind)) {
        by_status.entry(kind.status()).or_default().push(*kind);
    }
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, response) in responses.iter() {
        let Some(content) = response.get("content").and_then(Value::as_object) else { continue };
        if !content.contains_key(MEDIA_TYPE) {
            continue;
        }
        // A type whose status no other has needs no line in the table.
        let status: u16 = status.parse().unwrap_or_default();
        let mut only = Kind::ALL.iter().filter(|kind| kind.status() == status);
        if let (Some(kind), None) = (only.next(), only.next()) {
            by_status.entry(status).or_insert_with(|| vec![*kind]);
        }
    }
    for (status, kinds) in by_status {
        let response = responses.entry(status.to_string()).or_insert_with(|| json!({}));
        if response["description"].as_str().unwrap_or_default().is_empty() {
            let titles: Vec<_> = kinds.iter().map(|kind| kind.title()).collect();
            response["description"] = format!("{}.", titles.join("; ")).into();
        }
        if kinds.iter().any(|kind| RETRY.contains(kind)) {
            response["headers"]["Retry-After"] = json!({
                "description": "Seconds after which to try again.",
                "schema": { "type": "integer", "minimum": 1 },
            });
        }
        response["content"][MEDIA_TYPE] = body(&kinds);
    }
}

/// Those that say when to come back.
const RETRY: [Kind; 6] = [
    Kind::Busy,
    Kind::Unavailable,
    Kind::Stopping,
    Kind::TooManyStreams,
    Kind::TooManyRequests,
    Kind::TooManyTries,
];

fn body(kinds: &[Kind]) -> Value {
    let slugs = kinds.iter().map(|kind| address(*kind));
    json!({
        "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": { "type": { "enum": slugs.collect::<Value>() } },
        },
    })
}

fn address(kind: Kind) -> String {
    format!("/problems/{}", kind.slug())
}

/// Problems that follow from what every request goes through: the guard, the route's right, parameters and bodies.
fn usual(operation: &Value, route: &RouteRight) -> Vec<Kind> {
    if matches!(route.path, "/livez" | "/readyz") {
        return Vec::new();
    }
    let mut kinds =
        vec![Kind::TooManyRequests, Kind::Internal, Kind::Unavailable, Kind::Busy, Kind::Stopping];
    if route.path != "/metrics" {
        kinds.extend([Kind::ForeignHost, Kind::ForeignOrigin, Kind::HeadersTooLarge]);
    }
    let changes = route.method != "GET";
    if route.right != Right::Open {
        kinds.extend([Kind::NotSignedIn, Kind::NotAllowed]);
        kinds.extend(changes.then_some(Kind::WrongCsrfToken));
    }
    kinds.extend(changes.then_some(Kind::WrongEncoding));
    let parameters = operation["parameters"].as_array();
    if parameters.is_some_and(|all| !all.is_empty()) {
        kinds.push(Kind::BadParameter);
    }
    if let Some(content) = operation["requestBody"]["content"].as_object() {
        kinds.extend([Kind::BadRequest, Kind::TooSlowUpload, Kind::TooLarge]);
        if content.contains_key("application/json") {
            kinds.extend([Kind::BadJson, Kind::BadParameter, Kind::WrongMediaType]);
        }
    }
    kinds
}

/// Problems of one operation alone. Those that [`usual`] finds, and those of a status that only one type has, are left out.
fn own(method: &str, path: &str) -> &'static [Kind] {
    use Kind::*;
    match (method, path) {
        ("GET", "/v1/images") => &[OwnOpinionFirst],
        ("POST", "/v1/images") => &[BadMultipart, MissingFile, WrongMediaType, BatchElsewhere],
        ("POST", "/v1/uploads" | "/v1/uploads/identify" | "/v1/uploads/known") => &[BatchElsewhere],
        ("GET", "/v1/batches/{id}" | "/v1/batches/{id}/export")
        | ("POST", "/v1/batches/{id}/retry") => &[UnknownBatch],
        ("GET" | "DELETE", "/v1/images/{id}") => &[UnknownImage, Erased],
        (
            "GET",
            "/v1/images/{id}/picture" | "/v1/images/{id}/thumbnail" | "/v1/images/{id}/pixels",
        ) => &[UnknownImage, NoPicture, Erased],
        (
            "GET",
            "/dicom-web/studies/{study}"
            | "/dicom-web/studies/{study}/metadata"
            | "/dicom-web/studies/{study}/series/{series}"
            | "/dicom-web/studies/{study}/series/{series}/metadata"
            | "/dicom-web/studies/{study}/series/{series}/instances/{instance}"
            | "/dicom-web/studies/{study}/series/{series}/instances/{instance}/metadata"
            | "/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}"
            | "/dicom-web/studies/{study}/rendered"
            | "/dicom-web/studies/{study}/series/{series}/rendered"
            | "/dicom-web/studies/{study}/series/{series}/instances/{instance}/rendered"
            | "/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/rendered"
            | "/dicom-web/studies/{study}/thumbnail"
            | "/dicom-web/studies/{study}/series/{series}/thumbnail"
            | "/dicom-web/studies/{study}/series/{series}/instances/{instance}/thumbnail"
            | "/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/thumbnail"
            | "/dicom-web/studies/{study}/bulkdata"
            | "/dicom-web/studies/{study}/series/{series}/bulkdata"
            | "/dicom-web/studies/{study}/series/{series}/instances/{instance}/bulkdata"
            | "/dicom-web/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path}",
        ) => &[UnknownImage, NoPicture, Erased, SeveralPatients],
        ("POST", "/v1/images/{id}/copies") => &[UnknownImage, NoPicture, Erased, OwnOpinionFirst],
        ("GET", "/v1/images/{id}/heatmap") => &[UnknownImage, NoHeatmap, Erased, OwnOpinionFirst],
        ("GET", "/v1/images/{id}/verdicts" | "/v1/images/{id}/priors") => &[UnknownImage, Erased],
        ("POST", "/v1/images/{id}/verdicts") => {
            &[UnknownImage, Erased, OwnOpinionFirst, StaleVerdict, NothingToAgreeWith]
        }
        ("POST", "/v1/images/{id}/verdicts/{verdict}/withdrawal") => {
            &[UnknownImage, UnknownVerdict, Erased, NotNewestVerdict]
        }
        ("POST" | "DELETE", "/v1/images/{id}/claim") => &[UnknownImage, Erased],
        ("POST", "/v1/images/{id}/opinion") => &[UnknownImage, Erased, NoOpinionAsked],
        ("POST", "/v1/images/{id}/patient") => {
            &[UnknownImage, Erased, UnknownPatient, PatientMerged]
        }
        ("PUT", "/v1/patients") | ("POST", "/v1/patients/merge") => {
            &[UnknownPatient, PatientMerged]
        }
        ("POST", "/v1/patients/separate") => &[UnknownPatient],
        ("POST", "/dicom-web/studies" | "/dicom-web/studies/{study}") => {
            &[BadMultipart, WrongMediaType]
        }
        ("GET", "/v1/events") => &[TooManyStreams],
        ("POST", "/v1/predict") => &[BadImage, OwnOpinionFirst, NotAssessed],
        ("GET", "/v1/models/{version}" | "/v1/models/{version}/comparison") => &[UnknownModel],
        ("POST", "/v1/models/rollback") => &[ModelConflict],
        (
            "POST",
            "/v1/models/{version}/activate"
            | "/v1/models/{version}/retire"
            | "/v1/models/{version}/shadow",
        ) => &[UnknownModel, ModelConflict],
        ("DELETE", "/v1/models/{version}/shadow") => &[UnknownModel],
        ("GET", "/v1/quarantine/{id}") => &[UnknownEntry],
        ("POST", "/v1/quarantine/{id}/replay" | "/v1/quarantine/{id}/discard") => {
            &[UnknownEntry, EntryDiscarded, EntryUnreadable]
        }
        ("POST", "/v1/session") => &[WrongCredentials, CodeNeeded, TooManyTries],
        ("GET", "/v1/oidc/start" | "/v1/oidc/callback") => &[UnknownRoute],
        ("POST", "/v1/oidc/logout") => &[UnknownRoute, WrongMediaType],
        ("DELETE", "/v1/sessions/{id}" | "/v1/tokens/{id}" | "/v1/sites/{name}") => {
            &[UnknownPerson]
        }
        ("PUT", "/v1/password") => &[WrongCredentials, WeakPassword, TooManyTries],
        ("PUT" | "DELETE", "/v1/totp") => &[WrongCredentials, TooManyTries],
        ("POST", "/v1/links") => &[VoidLink],
        ("POST", "/v1/links/redeem") => &[VoidLink, WeakPassword],
        ("POST", "/v1/people" | "/v1/tokens") => &[NameTaken, UnknownSite, UselessGrant],
        ("PUT", "/v1/people/{id}") => {
            &[UnknownPerson, LastAdmin, ExternalAccount, UnknownSite, UselessGrant]
        }
        ("POST", "/v1/people/{id}/reset") => &[UnknownPerson, AccountDisabled, ExternalAccount],
        ("POST", "/v1/sites") => &[NameTaken],
        ("GET", "/problems/{slug}") => &[UnknownRoute],
        _ => &[],
    }
}
