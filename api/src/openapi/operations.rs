//! What an operation is called, who may call it, and how they say who they are.

use lobar_core::access::{Right, Role};
use serde_json::{Value, json};

use crate::access::csrf;
use crate::routes::RouteRight;

/// What the groups of operations are about.
const TAGS: [(&str, &str); 9] = [
    ("images", "Images, results, pictures, and what readers say of them."),
    ("patients", "Whose images are: merging, separating and correcting patients."),
    ("uploads", "Files that go straight into the bucket."),
    ("dicom-web", "DICOMweb (PS3.18)."),
    ("events", "Every change, live and in order."),
    ("models", "Registered models, and which one answers."),
    ("operations", "Queues, quarantine, health."),
    ("people", "Signing in, people, tokens, sites, and the record of who did what."),
    ("problems", "What types of problems mean."),
];

pub(super) fn tags() -> Value {
    TAGS.iter().map(|(name, about)| json!({ "name": name, "description": about })).collect()
}

pub(super) fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "A machine's token: `lobar token add`, or `POST /v1/tokens`.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "lobar_session",
            "description": "A person's session, from `POST /v1/session`. Over TLS the cookie is called `__Host-session`.",
        },
        "csrf": {
            "type": "apiKey",
            "in": "header",
            "name": csrf::HEADER,
            "description": "With a session: the `csrf_token` of `GET /v1/session`, for whatever changes something.",
        },
    })
}

/// Id, right and security of one operation.
pub(super) fn complete(operation: &mut Value, route: &RouteRight) {
    operation["operationId"] = id(route).into();
    operation["x-lobar-right"] = route.right.as_str().into();
    if route.right == Right::Open {
        operation["security"] = json!([]);
        return;
    }
    let roles = Role::ALL.into_iter().filter(|role| role.allows(route.right));
    let roles: Vec<_> = roles.map(Role::as_str).collect();
    let needs = match route.right {
        Right::Own => "For whoever is signed in.".to_owned(),
        right => format!("Needs the right `{}`: {}.", right.as_str(), roles.join(", ")),
    };
    operation["x-lobar-roles"] = roles.into();
    let said = operation["description"].as_str().unwrap_or_default();
    operation["description"] = format!("{said}\n\n{needs}").trim().into();
    operation["security"] = match route.method {
        "GET" => json!([{ "bearer": [] }, { "session": [] }]),
        _ => json!([{ "bearer": [] }, { "session": [], "csrf": [] }]),
    };
}

/// From method and address, which no two operations share: `GET /v1/images/{id}/priors` is `get_images_by_id_priors`.
fn id(route: &RouteRight) -> String {
    let words = route.path.split('/').filter(|word| !word.is_empty() && *word != "v1");
    let words = words.map(|word| match word.strip_prefix('{') {
        Some(name) => format!("by_{}", name.trim_end_matches('}')),
        None => word.replace('-', "_"),
    });
    std::iter::once(route.method.to_lowercase()).chain(words).collect::<Vec<_>>().join("_")
}
