//! `/openapi.json` and `/docs`.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde_json::Value;
use utoipa::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

use super::{
    audit, batches, claims, copies, erasure, events, exposure, images, models, oidc, opinions,
    password, patients, people, picture, pixels, predict, priors, problems, quarantine, queues,
    receive, session, sites, tokens, totp, uploads, verdicts,
};
use crate::dicom_web::{retrieve, search, store};
use crate::health;

#[derive(OpenApi)]
#[openapi(
    info(title = "Lobar", description = "Chest X-rays in, results live. Errors are RFC 9457 `application/problem+json`."),
    paths(
        images::list, images::one, erasure::erase, receive::receive, picture::picture, picture::thumbnail, picture::heatmap,
        pixels::pixels, copies::add,
        priors::list, patients::merge, patients::separate, patients::correct, patients::move_study,
        verdicts::add, verdicts::list, verdicts::withdraw, claims::claim, claims::release, opinions::give, exposure::painted, exposure::report,
        batches::list, batches::one, batches::retry, batches::export,
        uploads::presign, uploads::identify, uploads::known, store::store, store::store_in_study,
        search::studies, search::series, search::instances, search::series_of_study, search::instances_of_study,
        search::instances_of_series,
        retrieve::study, retrieve::series, retrieve::instance, retrieve::study_metadata, retrieve::series_metadata,
        retrieve::instance_metadata, retrieve::frames, retrieve::study_rendered, retrieve::series_rendered, retrieve::rendered, retrieve::frames_rendered, retrieve::study_thumbnail, retrieve::series_thumbnail, retrieve::instance_thumbnail, retrieve::frames_thumbnail, retrieve::study_bulk_data, retrieve::series_bulk_data, retrieve::instance_bulk_data, retrieve::bulk_data,
        events::events, predict::predict, queues::queues,
        models::list, models::one, models::activate, models::roll_back, models::retire, models::shadow,
        models::unshadow, models::comparison, models::history,
        quarantine::list, quarantine::one, quarantine::replay, quarantine::discard,
        oidc::provider, oidc::start, oidc::callback, oidc::logout,
        session::current, session::sign_in, session::sign_out, session::list, session::end_all, session::end,
        password::change, password::linked, password::redeem, totp::begin, totp::confirm, totp::remove,
        people::list, people::invite, people::change, people::reset, people::end_sessions,
        tokens::list, tokens::add, tokens::revoke, sites::list, sites::add, sites::remove, audit::list,
        problems::describe, health::live, health::ready, health::metrics,
    ),
    servers((url = "/")),
)]
struct Document;

pub(super) fn configure(config: &mut web::ServiceConfig) {
    let to_folder = || async {
        HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
    };
    config.route("/docs", web::get().to(to_folder)).service(
        SwaggerUi::new("/docs/{_:.*}")
            .external_url_unchecked("/openapi.json", crate::openapi::document()),
    );
}

/// What the handlers' annotations say; [`crate::openapi`] adds what follows from tables.
pub(crate) fn annotated() -> Value {
    // Strings, numbers and lists only: nothing in it can fail to serialise.
    serde_json::to_value(Document::openapi()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::access::route::Address;
    use actix_web::{App, test};

    /// The document says nothing about a route that is not there, and every route is in it.
    #[actix_web::test]
    async fn every_documented_operation_is_routed_and_the_count_is_that_of_the_routes() {
        let document = crate::openapi::document();
        let paths = document["paths"].as_object().expect("an object");
        let routed: BTreeSet<_> = super::super::addresses().iter().map(Address::path).collect();
        assert_eq!(paths.keys().map(String::as_str).collect::<BTreeSet<_>>(), routed);
        let app = test::init_service(App::new().configure(super::super::configure)).await;
        for (path, operations) in paths {
            let address = path
                .replace("{id}", "not-an-id")
                .replace("{version}", "7")
                .replace("{slug}", "internal")
                .replace("{study}", "1.2.3")
                .replace("{series}", "1.2.3")
                .replace("{instance}", "1.2.3")
                .replace("{frames}", "1");
            for method in operations.as_object().expect("an object").keys() {
                let method = method.to_uppercase().parse().expect("a method");
                let request = test::TestRequest::with_uri(&address).method(method).to_request();
                // Without state each right and each handler fails in its own way, but none is unknown.
                let Ok(answer) = test::try_call_service(&app, request).await else { continue };
                let status = answer.status().as_u16();
                assert!(status != 404 && status != 405, "{path}: {status}");
            }
        }
    }

    #[actix_web::test]
    async fn other_methods_and_addresses_get_problems() {
        let app = test::init_service(App::new().configure(super::super::configure)).await;
        for (method, uri, status) in [
            ("DELETE", "/v1/images", 405),
            ("POST", "/v1/events", 405),
            ("GET", "/v1/image", 404),
            ("GET", "/v1/models/rollback", 405),
            ("GET", "/v1/models/7/activate", 405),
            ("GET", "/v1/quarantine/7/replay", 405),
        ] {
            let method = method.parse().expect("a method");
            let request = test::TestRequest::with_uri(uri).method(method).to_request();
            let answer = test::call_service(&app, request).await;
            assert_eq!(answer.status().as_u16(), status, "{uri}");
            assert_eq!(
                answer.headers().get("content-type").expect("set"),
                "application/problem+json"
            );
            assert_eq!(answer.headers().contains_key("allow"), status == 405);
        }
    }
}

#[cfg(test)]
mod page_tests {
    use std::collections::BTreeSet;

    use lobar_core::access::{Right, Role};

    /// The type check of the page holds only as far as the types are the server's own.
    #[test]
    fn what_the_page_expects_is_what_the_document_says() {
        let types = include_str!("../../web/types.d.ts");
        let mut compared = 0;
        for interface in types.split("export interface ").skip(1) {
            let (name, body) = interface.split_once(" {").expect("NAME {");
            let body = body.split("\n}").next().unwrap_or_default();
            let members: BTreeSet<&str> = body
                .lines()
                .filter_map(|line| line.trim().strip_suffix(';')?.split_once(':'))
                .map(|(member, _)| member.trim_end_matches('?'))
                .collect();
            let document = document();
            let schema = &document["components"]["schemas"][name]["properties"];
            let said = schema.as_object().unwrap_or_else(|| panic!("no schema {name}"));
            let said: BTreeSet<&str> = said.keys().map(String::as_str).collect();
            assert_eq!(members, said, "api/web/types.d.ts and the schema {name}");
            compared += 1;
        }
        assert_eq!(compared, 34);
    }

    /// What the page leaves out on purpose: `reason_text` is the reason in words.
    const NOT_SHOWN: [&str; 3] = ["reason", "timings_ms", "experimental"];

    #[test]
    fn every_member_of_a_result_is_shown_or_named_as_not_shown() {
        let page = [
            include_str!("../../web/viewer.js"),
            include_str!("../../web/head.js"),
            include_str!("../../web/facts.js"),
            include_str!("../../web/rows.js"),
            include_str!("../../web/columns.js"),
            include_str!("../../web/reading.js"),
            include_str!("../../web/words.js"),
            include_str!("../../web/opinion.js"),
            include_str!("../../web/patient.js"),
        ];
        let used = |member: &str| {
            let access = format!(".{member}");
            page.iter().any(|script| {
                let mut after = script.split(&access).skip(1);
                after.any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
            })
        };
        let document = document();
        for schema in ["ImageItem", "ResultBody", "ModelBody", "SubtypeBody"] {
            let members = &document["components"]["schemas"][schema]["properties"];
            for member in members.as_object().expect("members").keys() {
                let shown = used(member) || NOT_SHOWN.contains(&member.as_str());
                assert!(shown, "the page does not show {schema}.{member}");
            }
        }
    }

    /// Roles and rights are words of the core: what the page says of them must not fall behind.
    #[test]
    fn every_role_can_be_granted_on_the_page_and_is_said_to_be_of_single_sites_as_it_is() {
        let grants = include_str!("../../web/grants.js");
        for role in Role::ALL {
            let of_sites =
                Right::ALL.iter().any(|right| right.is_of_a_site() && role.allows(*right));
            let line = grants.lines().find(|line| line.contains(&format!("[\"{role}\"")));
            let line = line.unwrap_or_else(|| panic!("api/web/grants.js does not name {role}"));
            assert!(line.ends_with(&format!("{of_sites}],")), "{line}");
        }
    }

    fn document() -> serde_json::Value {
        crate::openapi::document()
    }
}
