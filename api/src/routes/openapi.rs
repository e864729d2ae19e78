//! `/openapi.json` and `/docs`.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use utoipa::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

use super::{
    events, images, models, picture, predict, problems, queues, receive, uploads, verdicts,
};
use crate::health;

#[derive(OpenApi)]
#[openapi(
    info(title = "Lobar", description = "Chest X-rays in, results live. Errors are RFC 9457 `application/problem+json`."),
    paths(
        images::list, images::one, receive::receive, picture::picture, picture::heatmap,
        verdicts::add, verdicts::list,
        uploads::presign, uploads::identify, events::events, predict::predict, queues::queues,
        models::list, models::one, models::activate, models::roll_back, models::retire, models::shadow,
        models::unshadow, models::comparison, models::history,
        problems::describe, health::live, health::ready, health::metrics,
    ),
    servers((url = "/")),
)]
struct Document;

pub(super) fn configure(config: &mut web::ServiceConfig) {
    let to_folder = || async {
        HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
    };
    config
        .route("/docs", super::get().to(to_folder))
        .service(SwaggerUi::new("/docs/{_:.*}").url("/openapi.json", Document::openapi()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{App, test};

    /// The document says nothing about a route that is not there, and every route is in it.
    #[actix_web::test]
    async fn every_documented_operation_is_routed_and_the_count_is_that_of_the_routes() {
        let document = serde_json::to_value(Document::openapi()).expect("JSON");
        let paths = document["paths"].as_object().expect("an object");
        assert_eq!(paths.len(), 22);
        let app = test::init_service(App::new().configure(super::super::configure)).await;
        for (path, operations) in paths {
            let address = path
                .replace("{id}", "not-an-id")
                .replace("{version}", "7")
                .replace("{slug}", "internal");
            for method in operations.as_object().expect("an object").keys() {
                let method = method.to_uppercase().parse().expect("a method");
                let request = test::TestRequest::with_uri(&address).method(method).to_request();
                let answer = test::call_service(&app, request).await;
                let status = answer.status().as_u16();
                // Without state each handler fails in its own way, but none is unknown.
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
