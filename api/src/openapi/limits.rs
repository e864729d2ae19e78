//! Bounds of members and parameters, from what the handlers hold them against: what the document allows is not refused for
//! its form.
//!
//! What no schema says is left to descriptions: members that go together, days that no calendar has.

use lobar_core::access::Role;
use lobar_core::image::State;
use serde_json::{Value, json};

use super::words::parameter_of;
use crate::routes::bounds;
use crate::{key, verdict};

/// The name of a site ([`lobar_core::object::is_site_name`]).
const SITE: &str = "[A-Za-z0-9][A-Za-z0-9._-]{0,62}";
/// A day of DICOM, with or without dashes.
const DAY: &str = "[0-9]{4}(-(0[1-9]|1[0-2])-|(0[1-9]|1[0-2]))(0[1-9]|[12][0-9]|3[01])";
/// A day, or a second of it ([`crate::instant`]).
const INSTANT: &str =
    "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(T([01][0-9]|2[0-3])(:[0-5][0-9]){2}Z)?$";
/// Center, width and function of a picture's window; others are taken, too.
const WINDOW: &str =
    r"^-?[0-9]{1,9}(\.[0-9]{1,9})?,[1-9][0-9]{0,8}(\.[0-9]{1,9})?,(linear|linear-exact|sigmoid)$";
/// A side of a viewport, to 4,096.
const SIDE: &str = "([1-9][0-9]{0,2}|[1-3][0-9]{3}|40[0-8][0-9]|409[0-6])";
/// Anything without control characters.
const PLAIN: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
/// A name ([`lobar_core::accounts::is_name`]): no control characters, no space at either end.
const NAME: &str = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$";
/// Longest id of a patient and its issuer, in characters ([`lobar_core::study::PatientId::bounded`]).
const PATIENT_ID: usize = 128;
/// Longest name of a patient, in characters (PS3.5, 6.2, PN: three groups of 64, twice over).
const PATIENT_NAME: usize = 384;
/// Longest accession number and view position that are kept, in characters.
const SHORT: usize = 64;

/// `Schema.member`, or `Schema.member[]` for what is in a list.
fn members() -> Vec<(String, Value)> {
    let site = json!({ "pattern": format!("^{SITE}$") });
    let site_or_none = json!({ "pattern": format!("^({SITE})?$") });
    let grant = json!({ "pattern": grant() });
    let name = json!({ "minLength": 1, "maxLength": 64, "pattern": NAME });
    let files = json!({ "minItems": 1, "maxItems": bounds::FILES });
    let members = vec![
        ("TokenBody.name", name.clone()),
        ("TokenBody.grants[]", grant.clone()),
        ("TokenBody.days", json!({ "minimum": 1, "maximum": bounds::TOKEN_DAYS, "default": 365 })),
        ("InviteBody.name", name),
        ("InviteBody.grants[]", grant.clone()),
        ("PersonChange.grants[]", grant),
        ("SiteBody.name", site.clone()),
        ("MergeBody.site", site.clone()),
        ("SeparateBody.site", site.clone()),
        ("CorrectBody.site", site),
        ("CorrectBody.name", json!({ "maxLength": PATIENT_NAME, "pattern": NAME })),
        ("CorrectBody.birth_date", json!({ "pattern": format!("^{DAY}$") })),
        ("CorrectBody.sex", json!({ "pattern": "^[MFOmfo]$" })),
        ("PatientKeyBody.id", json!({ "minLength": 1, "maxLength": PATIENT_ID, "pattern": NAME })),
        ("PatientKeyBody.issuer", json!({ "maxLength": PATIENT_ID, "pattern": PLAIN })),
        ("PredictBody.site", site_or_none.clone()),
        ("PredictBody.image", json!({ "contentEncoding": "base64" })),
        ("PresignBody.site", site_or_none.clone()),
        (
            "PresignBody.folder",
            json!({ "pattern": format!("^[A-Za-z0-9-]{{1,{}}}$", key::FOLDER_MAX) }),
        ),
        ("PresignBody.names", files.clone()),
        ("IdentifyBody.uploads", files.clone()),
        ("PutObject.key", json!({ "minLength": 1, "maxLength": bounds::KEY_BYTES })),
        ("KnownBody.ids", files),
        ("PaintedBody.items", json!({ "maxItems": bounds::PAINTINGS })),
        ("PaintedItem.visible", json!({ "minItems": 1 })),
        ("PaintedItem.ago_ms", json!({ "maximum": bounds::PAINTED_AGO_MS })),
        ("PaintedItem.ms", json!({ "maximum": bounds::PAINTED_AGO_MS })),
        ("VerdictBody.reason", json!({ "maxLength": verdict::NOTE_MAX, "pattern": r"^[^\x00]*$" })),
        ("VerdictBody.note", json!({ "maxLength": verdict::NOTE_MAX, "pattern": r"^[^\x00]*$" })),
        ("VerdictBody.causes", json!({ "maxItems": verdict::CAUSES_MAX, "uniqueItems": true })),
        ("VerdictBody.displayed", json!({ "maxItems": verdict::DISPLAYED_MAX })),
        (
            "VerdictBody.displayed[]",
            json!({ "pattern": format!("^[A-Za-z0-9_]{{1,{}}}$", verdict::WORD_MAX) }),
        ),
        ("ReceiveForm.site", site_or_none),
    ];
    let said = ["Said", "ReceiveForm"]
        .into_iter()
        .flat_map(|schema| said().map(|(member, limits)| (format!("{schema}.{member}"), limits)));
    members.into_iter().map(|(name, limits)| (name.to_owned(), limits)).chain(said).collect()
}

/// What an upload says of the patient; an empty text says nothing.
fn said() -> [(&'static str, Value); 8] {
    let plain = |longest: usize| json!({ "maxLength": longest, "pattern": PLAIN });
    let day = json!({ "pattern": format!("^({DAY})?$") });
    [
        ("patient_id", plain(PATIENT_ID)),
        ("patient_issuer", plain(PATIENT_ID)),
        ("patient_name", plain(PATIENT_NAME)),
        ("patient_birth_date", day.clone()),
        ("patient_sex", json!({ "pattern": "^[MFOmfo]?$" })),
        ("accession", plain(SHORT)),
        ("study_date", day),
        ("view_position", plain(SHORT)),
    ]
}

/// Numbers of frames, from 1, with commas between them.
const FRAMES: &str = "^[1-9][0-9]{0,8}(,[1-9][0-9]{0,8}){0,99}$";
/// What addresses of DICOMweb name by UID (PS3.5, 9).
const UIDS: [&str; 3] = ["study", "series", "instance"];
const UID: &str = r"^[0-9]+(\.[0-9]+)*$";
/// How many of a QIDO-RS search.
const SEARCHES: [&str; 6] = [
    "GET /dicom-web/studies?limit",
    "GET /dicom-web/series?limit",
    "GET /dicom-web/instances?limit",
    "GET /dicom-web/studies/{study}/series?limit",
    "GET /dicom-web/studies/{study}/instances?limit",
    "GET /dicom-web/studies/{study}/series/{series}/instances?limit",
];

/// `METHOD /address?parameter`.
fn parameters() -> Vec<(String, Value)> {
    let page = |(default, most): (usize, usize)| json!({ "minimum": 1, "maximum": most, "default": default });
    let instant = json!({ "pattern": INSTANT });
    let site_or_none = json!({ "pattern": format!("^({SITE})?$") });
    let number = json!({ "format": "uint64" });
    vec![
        ("GET /v1/audit?limit", page(bounds::AUDIT)),
        ("GET /v1/audit?after", number.clone()),
        ("GET /v1/audit?before", number),
        ("GET /v1/audit?format", json!({ "enum": ["json", "ndjson"], "default": "json" })),
        ("GET /v1/audit?since", instant.clone()),
        ("GET /v1/audit?until", instant.clone()),
        ("GET /v1/exposure?since", instant.clone()),
        ("GET /v1/exposure?until", instant),
        ("GET /v1/batches?limit", page(bounds::BATCHES)),
        (
            "GET /v1/batches/{id}/export?format",
            json!({ "enum": ["csv", "ndjson"], "default": "csv" }),
        ),
        ("GET /v1/images?limit", page(bounds::IMAGES)),
        ("GET /v1/images?status", json!({ "pattern": states() })),
        (
            "GET /v1/images?patient",
            json!({ "maxLength": PATIENT_ID, "pattern": format!("^$|{NAME}") }),
        ),
        ("GET /v1/images?search", json!({ "maxLength": bounds::SEARCH, "pattern": PLAIN })),
        ("GET /v1/images/{id}/priors?limit", page(bounds::PRIORS)),
        ("GET /v1/models/history?limit", page(bounds::MODEL_CHANGES)),
        ("GET /v1/people?limit", page(bounds::PEOPLE)),
        ("GET /v1/quarantine?limit", page(bounds::QUARANTINE)),
        ("POST /v1/images?site", site_or_none.clone()),
        ("POST /dicom-web/studies?site", site_or_none.clone()),
        ("POST /dicom-web/studies/{study}?site", site_or_none),
        ("DELETE /v1/sites/{name}?name", json!({ "pattern": format!("^{SITE}$") })),
    ]
    .into_iter()
    .map(|(name, limits)| (name.to_owned(), limits))
    .chain(SEARCHES.map(|search| (search.to_owned(), json!({ "minimum": 1, "format": "uint64" }))))
    .chain(pictures())
    .collect()
}

/// How pictures of DICOMweb are drawn, on every level.
fn pictures() -> Vec<(String, Value)> {
    let size = format!("{SIDE},{SIDE}");
    // Where the region begins, and its sides; each may be left out.
    let begin = r"([0-9]{1,9}(\.[0-9]{1,9})?)?";
    let side = r"(-?[1-9][0-9]{0,8}(\.[0-9]{1,9})?)?";
    let region = format!("(,{begin}(,{begin}(,{side}(,{side})?)?)?)?");
    let (whole, part) = (format!("^{size}$"), format!("^{size}{region}$"));
    let levels = [
        "",
        "/series/{series}",
        "/series/{series}/instances/{instance}",
        "/series/{series}/instances/{instance}/frames/{frames}",
    ];
    let of = |level: &str, which: &str, name: &str, pattern: &str| {
        let name = format!("GET /dicom-web/studies/{{study}}{level}/{which}?{name}");
        (name, json!({ "pattern": pattern, "maxLength": 256 }))
    };
    let parameters = |level: &'static str| {
        [
            of(level, "rendered", "window", WINDOW),
            of(level, "rendered", "viewport", &part),
            of(level, "rendered", "quality", "^([1-9][0-9]?|100)$"),
            of(level, "thumbnail", "viewport", &whole),
        ]
    };
    levels.into_iter().flat_map(parameters).collect()
}

/// `ROLE@*` or `ROLE@SITE,SITE` ([`lobar_core::access::Grant`]).
fn grant() -> String {
    let roles = Role::ALL.map(Role::as_str).join("|");
    format!(r"^({roles})@(\*|{SITE}(,{SITE})*)$")
}

/// States with commas between them; spaces and empty places are passed over.
fn states() -> String {
    let states = State::ALL.map(State::as_str).join("|");
    format!(r"^\s*(({states})\s*)?(,\s*(({states})\s*)?)*$")
}

/// Puts the bounds where they belong.
pub(super) fn set(document: &mut Value) {
    for (name, limits) in members() {
        if let Some(place) = member_of(document, &name) {
            add(place, limits);
        }
    }
    for (name, limits) in parameters() {
        if let Some(place) = parameter_of(document, &name) {
            add(place, limits);
        }
    }
    let operations =
        document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for operation in
        operations.filter_map(Value::as_object_mut).flat_map(|methods| methods.values_mut())
    {
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        let parameters = parameters.into_iter().flatten();
        for parameter in parameters.filter(|parameter| parameter["in"] == "path") {
            match parameter["name"].as_str() {
                Some(name) if UIDS.contains(&name) => {
                    add(&mut parameter["schema"], json!({ "pattern": UID, "maxLength": 64 }));
                }
                Some("frames") => add(&mut parameter["schema"], json!({ "pattern": FRAMES })),
                _ => {}
            }
        }
        let content = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut);
        for body in content.into_iter().flat_map(|content| content.values_mut()) {
            // Bytes: a list of numbers would be JSON.
            if body["schema"]["items"]["type"] == "integer" {
                body["schema"] = json!({ "type": "string", "format": "binary" });
            }
        }
    }
}

fn member_of<'a>(document: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let (schema, member) = name.split_once('.')?;
    let pointer = match member.strip_suffix("[]") {
        Some(list) => format!("/components/schemas/{schema}/properties/{list}/items"),
        None => format!("/components/schemas/{schema}/properties/{member}"),
    };
    document.pointer_mut(&pointer)
}

fn add(place: &mut Value, limits: Value) {
    if let (Some(place), Value::Object(limits)) = (place.as_object_mut(), limits) {
        place.extend(limits);
    }
}

#[cfg(test)]
mod tests {
    use lobar_core::access::Grant;
    use lobar_core::accounts::is_name;
    use lobar_core::object::is_site_name;
    use lobar_core::study::PatientId;
    use regex_lite::Regex;

    use super::*;

    fn takes(pattern: &str, text: &str) -> bool {
        Regex::new(pattern).expect("a pattern").is_match(text)
    }

    /// A member that was renamed would silently lose its bounds.
    #[test]
    fn every_bounded_member_and_parameter_is_in_the_document_and_each_pattern_can_be_read() {
        let mut document = crate::routes::openapi::annotated();
        for (name, limits) in members() {
            assert!(member_of(&mut document, &name).is_some(), "no {name}");
            takes(limits["pattern"].as_str().unwrap_or_default(), "");
        }
        for (name, limits) in parameters() {
            assert!(parameter_of(&mut document, &name).is_some(), "no {name}");
            takes(limits["pattern"].as_str().unwrap_or_default(), "");
        }
    }

    #[test]
    fn sites_and_grants_are_those_that_the_server_takes() {
        let (long, longer) = ("a".repeat(63), "a".repeat(64));
        for text in ["north", "a.b_c-1", "1", "_a", "-", ".", "", "a b", "süd", &long, &longer] {
            assert_eq!(takes(&format!("^{SITE}$"), text), is_site_name(text), "{text:?}");
            for role in ["clinician", "admin", "root", "Admin", ""] {
                for grant_text in [format!("{role}@{text}"), format!("{role}@north,{text}")] {
                    let read = grant_text.parse::<Grant>().is_ok();
                    assert_eq!(takes(&grant(), &grant_text), read, "{grant_text:?}");
                }
            }
        }
        for text in ["operator@*", "operator@*,north", "operator", "@", "operator@north,"] {
            assert_eq!(takes(&grant(), text), text.parse::<Grant>().is_ok(), "{text:?}");
        }
    }

    #[test]
    fn names_and_patient_ids_are_those_that_the_server_takes() {
        for text in ["a", "anna b", " a", "a ", "", "a\tb", "\u{7f}", "ü"] {
            assert_eq!(takes(NAME, text), is_name(text), "{text:?}");
        }
        assert!(is_name(&"ü".repeat(64)) && !is_name(&"ü".repeat(65)));
        let kept =
            |id: &str| !PatientId { issuer: String::new(), id: id.into() }.bounded().id.is_empty();
        assert!(kept(&"ü".repeat(PATIENT_ID)) && !kept(&"ü".repeat(PATIENT_ID + 1)));
        for text in ["4711", "a b", "a\u{1}b", ""] {
            assert_eq!(takes(NAME, text), kept(text), "{text:?}");
        }
    }

    #[test]
    fn days_and_seconds_are_those_that_the_server_takes() {
        for text in [
            "2026-03-01",
            "2026-03-01T09:05:00Z",
            "2026-13-01",
            "2026-03-01T24:00:00Z",
            "2026-03-01T09:05Z",
            "20260301",
            "",
        ] {
            assert_eq!(takes(INSTANT, text), crate::instant::read(text).is_ok(), "{text:?}");
        }
        for (text, taken) in
            [("20260301", true), ("2026-03-01", true), ("2026-0301", false), ("202603-01", false)]
        {
            assert_eq!(takes(&format!("^{DAY}$"), text), taken, "{text:?}");
        }
    }

    #[test]
    fn states_are_taken_with_spaces_and_empty_places() {
        for text in ["", "ready", "ready, needs_human", " ready ,, failed,", ","] {
            assert!(takes(&states(), text), "{text:?}");
        }
        for text in ["done", "ready failed", "ready;failed"] {
            assert!(!takes(&states(), text), "{text:?}");
        }
    }
}
