//! The routes, one module a subject.

mod events;
mod images;
mod models;
mod openapi;
mod page;
mod parameters;
mod picture;
mod predict;
mod problems;
mod quarantine;
mod queues;
mod receive;
mod uploads;
mod verdicts;

#[cfg(any(test, fuzzing))]
pub(crate) use predict::PredictBody;
#[cfg(any(test, fuzzing))]
pub(crate) use uploads::{IdentifyBody, PresignBody};

use actix_web::error::{JsonPayloadError, PathError, QueryPayloadError};
use actix_web::guard::{self, Guard};
use actix_web::http::header::{EntityTag, IfNoneMatch};
use actix_web::{Error, HttpRequest, HttpResponse, Resource, Route, web};

use crate::health;
use crate::intake;
use crate::problem::{Kind, Problem};

/// A JSON body that names things, not one that carries an image.
const SMALL_JSON: usize = 1 << 20;

/// Everything under one roof.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .app_data(json(SMALL_JSON))
        .app_data(web::QueryConfig::default().error_handler(bad_query))
        .app_data(web::PathConfig::default().error_handler(bad_path))
        .configure(page::configure)
        .service(
            resource("/v1/images", "GET, POST")
                .route(get().to(images::list))
                .route(web::post().to(receive::receive)),
        )
        .service(resource("/v1/images/{id}", "GET").route(get().to(images::one)))
        .service(resource("/v1/images/{id}/picture", "GET").route(get().to(picture::picture)))
        .service(resource("/v1/images/{id}/heatmap", "GET").route(get().to(picture::heatmap)))
        .service(
            resource("/v1/images/{id}/verdicts", "GET, POST")
                .route(get().to(verdicts::list))
                .route(web::post().to(verdicts::add)),
        )
        .service(resource("/v1/uploads", "POST").route(web::post().to(uploads::presign)))
        .service(resource("/v1/uploads/identify", "POST").route(web::post().to(uploads::identify)))
        .service(resource("/v1/events", "GET").route(web::get().to(events::events)))
        .service(resource("/v1/predict", "POST").route(web::post().to(predict::predict)))
        // The names of single addresses come before those that take a version.
        .service(resource("/v1/models", "GET").route(get().to(models::list)))
        .service(resource("/v1/models/history", "GET").route(get().to(models::history)))
        .service(resource("/v1/models/rollback", "POST").route(web::post().to(models::roll_back)))
        .service(resource("/v1/models/{version}", "GET").route(get().to(models::one)))
        .service(
            resource("/v1/models/{version}/activate", "POST")
                .route(web::post().to(models::activate)),
        )
        .service(
            resource("/v1/models/{version}/retire", "POST").route(web::post().to(models::retire)),
        )
        .service(
            resource("/v1/models/{version}/shadow", "POST, DELETE")
                .route(web::post().to(models::shadow))
                .route(web::delete().to(models::unshadow)),
        )
        .service(
            resource("/v1/models/{version}/comparison", "GET").route(get().to(models::comparison)),
        )
        .service(resource("/v1/quarantine", "GET").route(get().to(quarantine::list)))
        .service(resource("/v1/quarantine/{id}", "GET").route(get().to(quarantine::one)))
        .service(
            resource("/v1/quarantine/{id}/replay", "POST")
                .route(web::post().to(quarantine::replay)),
        )
        .service(
            resource("/v1/quarantine/{id}/discard", "POST")
                .route(web::post().to(quarantine::discard)),
        )
        .service(resource("/v1/queues", "GET").route(get().to(queues::queues)))
        .service(resource("/problems/{slug}", "GET").route(get().to(problems::describe)))
        .service(resource("/livez", "GET").route(get().to(health::live)))
        .service(resource("/readyz", "GET").route(get().to(health::ready)))
        .service(resource("/metrics", "GET").route(get().to(health::metrics)))
        .configure(openapi::configure)
        .default_service(web::to(unknown));
}

/// An address whose other methods get a problem that names the allowed ones.
fn resource(path: &str, allow: &'static str) -> Resource {
    let refuse = move || async move { Err::<HttpResponse, _>(Problem::wrong_method(allow)) };
    web::resource(path).default_service(web::to(refuse))
}

/// GET, and HEAD with it.
fn get() -> Route {
    web::route().guard(readable())
}

fn readable() -> impl Guard {
    guard::Any(guard::Get()).or(guard::Head())
}

/// Whether the client has this very body already (RFC 9110, 13.1.2: a weak comparison).
fn is_known(known: &IfNoneMatch, tag: &EntityTag) -> bool {
    match known {
        IfNoneMatch::Any => true,
        IfNoneMatch::Items(tags) => tags.iter().any(|known| known.weak_eq(tag)),
    }
}

fn json(limit: usize) -> web::JsonConfig {
    web::JsonConfig::default().limit(limit).error_handler(bad_json)
}

async fn unknown() -> Result<HttpResponse, Problem> {
    Err(Problem::new(Kind::UnknownRoute, "See /docs for what there is."))
}

fn bad_json(error: JsonPayloadError, _: &HttpRequest) -> Error {
    let problem = match error {
        JsonPayloadError::Overflow { limit }
        | JsonPayloadError::OverflowKnownLength { limit, .. } => {
            Problem::new(Kind::TooLarge, format!("At most {limit} bytes."))
        }
        JsonPayloadError::ContentType => {
            Problem::new(Kind::WrongMediaType, "Send Content-Type: application/json.")
        }
        // A deserialization error names the place and the field, and may quote the value.
        JsonPayloadError::Deserialize(error) => Problem::new(Kind::BadJson, error.to_string()),
        JsonPayloadError::Payload(error) => intake::problem(&error),
        _ => Problem::new(Kind::BadRequest, "The body ended early or could not be decoded."),
    };
    problem.into()
}

fn bad_query(error: QueryPayloadError, _: &HttpRequest) -> Error {
    Problem::new(Kind::BadParameter, error.to_string()).into()
}

fn bad_path(_: PathError, _: &HttpRequest) -> Error {
    Problem::new(Kind::BadParameter, "The id in the address is not a UUID.").into()
}
