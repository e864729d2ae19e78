//! The API document (OpenAPI 3.1): what the handlers' annotations say, and what follows from the program's own tables.
//!
//! ```text
//! annotations (utoipa) ─▶ words ─▶ limits ─▶ operations: id, right, security ─▶ problems ─▶ /openapi.json
//! ```
//!
//! Operation ids come from the address, rights and security from the table of routes, problem types from
//! [`Kind`](crate::problem::Kind), enums from the core's own types, bounds from
//! the handlers' constants: none of it is written down twice.

mod limits;
mod operations;
mod problems;
mod words;

use serde_json::{Value, json};

use crate::routes;

/// The document that `/openapi.json` answers.
pub fn document() -> Value {
    let mut document = routes::openapi::annotated();
    document["info"]["license"] = json!({ "name": "Apache-2.0", "identifier": "Apache-2.0" });
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document["tags"] = operations::tags();
    document["components"]["securitySchemes"] = operations::security_schemes();
    document["components"]["schemas"]["Problem"] = problems::schema();
    words::name(&mut document);
    limits::set(&mut document);
    let descriptions = document["components"]["schemas"].clone();
    for route in routes::route_rights() {
        let method = route.method.to_lowercase();
        // The page's files are no part of the API.
        let path = document["paths"].get_mut(route.path);
        let Some(operation) = path.and_then(|path| path.get_mut(&method)) else { continue };
        operations::complete(operation, &route);
        problems::complete(operation, &route);
        describe(operation, &descriptions);
    }
    document
}

/// Each response has a description: that of its body where none was written.
fn describe(operation: &mut Value, schemas: &Value) {
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for response in responses.values_mut() {
        if response["description"].as_str().is_some_and(|text| !text.is_empty()) {
            continue;
        }
        let body = response["content"].as_object().and_then(|content| content.values().next());
        let name = body.and_then(|body| body["schema"]["$ref"].as_str()?.rsplit('/').next());
        let said = name.and_then(|name| schemas[name]["description"].as_str());
        response["description"] = said.unwrap_or("Done.").into();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn operations(document: &Value) -> Vec<(String, &Value)> {
        let paths = document["paths"].as_object().expect("an object");
        let each = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("an object");
            methods.iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
        });
        each.collect()
    }

    #[test]
    fn every_operation_has_an_id_of_its_own_and_says_what_it_needs() {
        let document = document();
        let mut ids = BTreeSet::new();
        for (name, operation) in operations(&document) {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(ids.insert(id.to_owned()), "{name}: {id} is another one's id");
            assert!(operation["security"].is_array(), "{name} says nothing of security");
            assert!(operation["x-lobar-right"].is_string(), "{name} names no right");
        }
    }

    #[test]
    fn every_response_has_a_description_and_every_problem_names_its_types() {
        let document = document();
        for (name, operation) in operations(&document) {
            for (status, response) in operation["responses"].as_object().expect("responses") {
                let text = response["description"].as_str().unwrap_or_default();
                assert!(!text.is_empty(), "{name}: {status} has no description");
                if let Some(problem) = response["content"].get("application/problem+json") {
                    let types = &problem["schema"]["properties"]["type"]["enum"];
                    assert!(
                        types.as_array().is_some_and(|types| !types.is_empty()),
                        "{name}: {status} is a problem of no type: name it in api/src/openapi/problems.rs"
                    );
                }
            }
        }
    }

    /// A reference to a schema that is not there breaks generated clients.
    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut open = vec![&document];
        while let Some(value) = open.pop() {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(to)) = members.get("$ref") {
                        let at = to.trim_start_matches('#');
                        assert!(document.pointer(at).is_some(), "{to} leads nowhere");
                    }
                    open.extend(members.values());
                }
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
    }
}
