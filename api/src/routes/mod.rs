//! The routes, one module a subject.

mod audit;
mod batches;
mod claims;
mod copies;
mod erasure;
mod events;
mod exposure;
mod image_query;
mod images;
mod models;
mod oidc;
pub(crate) mod openapi;
mod opinions;
mod page;
mod parameters;
mod password;
mod patients;
mod people;
pub(crate) mod picture;
mod pixels;
mod predict;
mod priors;
mod problems;
mod quarantine;
mod queues;
pub(crate) mod receive;
mod session;
mod sites;
mod tokens;
mod totp;
mod uploads;
mod verdicts;

#[cfg(any(test, fuzzing))]
pub(crate) use predict::{PredictBody, PredictFile};
#[cfg(any(test, fuzzing))]
pub(crate) use uploads::{IdentifyBody, PresignBody};

use actix_web::error::{JsonPayloadError, PathError, QueryPayloadError, UrlencodedError};
use actix_web::http::header::{EntityTag, IfNoneMatch};
use actix_web::{Error, HttpRequest, HttpResponse, web};
use lobar_core::access::Right;

use crate::access::route::Address;
use crate::dicom_web::{retrieve, search, store};
use crate::health;
use crate::intake;
use crate::problem::{Kind, Problem};

/// What the handlers hold requests against, for the API document. Of pages: the default and the most.
pub(crate) mod bounds {
    use super::{
        audit, batches, exposure, image_query, images, models, people, priors, quarantine, tokens,
        uploads,
    };

    pub(crate) const AUDIT: (usize, usize) = (audit::DEFAULT_LIMIT, audit::MAX_LIMIT);
    pub(crate) const BATCHES: (usize, usize) = (batches::DEFAULT_LIMIT, batches::MAX_LIMIT);
    pub(crate) const IMAGES: (usize, usize) = (images::DEFAULT_LIMIT, images::MAX_LIMIT);
    pub(crate) const SEARCH: usize = image_query::LONGEST_SEARCH;
    pub(crate) const MODEL_CHANGES: (usize, usize) = (models::DEFAULT_LIMIT, models::MAX_LIMIT);
    pub(crate) const PEOPLE: (usize, usize) = (people::DEFAULT_LIMIT, people::MAX_LIMIT);
    pub(crate) const PRIORS: (usize, usize) = (priors::DEFAULT_LIMIT, priors::MAX_LIMIT);
    pub(crate) const QUARANTINE: (usize, usize) =
        (quarantine::DEFAULT_LIMIT, quarantine::MAX_LIMIT);
    pub(crate) const FILES: usize = uploads::NAMES_MAX;
    pub(crate) const KEY_BYTES: usize = uploads::KEY_MAX;
    pub(crate) const PAINTINGS: usize = exposure::ITEMS;
    pub(crate) const PAINTED_AGO_MS: u64 = exposure::DAY;
    pub(crate) const TOKEN_DAYS: u32 = tokens::DAYS_MAX;
}

/// A JSON body that names things, not one that carries an image.
const SMALL_JSON: usize = 1 << 20;
/// A form, which carries one token.
const SMALL_FORM: usize = 32 << 10;
/// A JSON body of whoever has not signed in: a name, a password, a secret.
const SMALLEST_JSON: usize = 8 << 10;

/// Everything under one roof.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .app_data(json(SMALL_JSON))
        .app_data(web::FormConfig::default().limit(SMALL_FORM).error_handler(bad_form))
        .app_data(web::QueryConfig::default().error_handler(bad_query))
        .app_data(web::PathConfig::default().error_handler(bad_path));
    for address in page::addresses().into_iter().chain(addresses()) {
        config.service(address.into_resource());
    }
    config.configure(openapi::configure).default_service(web::to(unknown));
}

/// Every address but the page's files, each method with its right.
pub(crate) fn addresses() -> Vec<Address> {
    vec![
        Address::new("/v1/images").get(images::list).post(receive::receive),
        Address::new("/v1/images/{id}").get(images::one).delete(erasure::erase),
        Address::new("/v1/images/{id}/picture").get(picture::picture),
        Address::new("/v1/images/{id}/thumbnail").get(picture::thumbnail),
        Address::new("/v1/images/{id}/pixels").get(pixels::pixels),
        Address::new("/v1/images/{id}/copies").post(copies::add),
        Address::new("/v1/images/{id}/heatmap").get(picture::heatmap),
        Address::new("/v1/images/{id}/verdicts").get(verdicts::list).post(verdicts::add),
        Address::new("/v1/images/{id}/verdicts/{verdict}/withdrawal").post(verdicts::withdraw),
        Address::new("/v1/images/{id}/priors").get(priors::list),
        Address::new("/v1/images/{id}/patient").post(patients::move_study),
        Address::new("/v1/patients").put(patients::correct),
        Address::new("/v1/patients/merge").post(patients::merge),
        Address::new("/v1/patients/separate").post(patients::separate),
        Address::new("/v1/images/{id}/opinion").post(opinions::give),
        Address::new("/v1/images/{id}/claim").post(claims::claim).delete(claims::release),
        Address::new("/v1/exposure").get(exposure::report).post(exposure::painted),
        Address::new("/v1/batches").get(batches::list),
        Address::new("/v1/batches/{id}").get(batches::one),
        Address::new("/v1/batches/{id}/retry").post(batches::retry),
        Address::new("/v1/batches/{id}/export").get(batches::export),
        Address::new("/v1/uploads").post(uploads::presign),
        Address::new("/v1/uploads/identify").post(uploads::identify),
        Address::new("/v1/uploads/known").post(uploads::known),
        Address::new("/dicom-web/studies").get(search::studies).post(store::store),
        Address::new("/dicom-web/series").get(search::series),
        Address::new("/dicom-web/instances").get(search::instances),
        Address::new("/dicom-web/studies/{study}/series").get(search::series_of_study),
        Address::new("/dicom-web/studies/{study}/instances").get(search::instances_of_study),
        Address::new("/dicom-web/studies/{study}/series/{series}/instances")
            .get(search::instances_of_series),
        Address::new("/dicom-web/studies/{study}").get(retrieve::study).post(store::store_in_study),
        Address::new("/dicom-web/studies/{study}/metadata").get(retrieve::study_metadata),
        Address::new("/dicom-web/studies/{study}/series/{series}").get(retrieve::series),
        Address::new("/dicom-web/studies/{study}/series/{series}/metadata")
            .get(retrieve::series_metadata),
        Address::new("/dicom-web/studies/{study}/series/{series}/instances/{instance}")
            .get(retrieve::instance),
        Address::new("/dicom-web/studies/{study}/series/{series}/instances/{instance}/metadata")
            .get(retrieve::instance_metadata),
        Address::new(
            "/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}",
        )
        .get(retrieve::frames),
        Address::new("/dicom-web/studies/{study}/rendered").get(retrieve::study_rendered),
        Address::new("/dicom-web/studies/{study}/series/{series}/rendered").get(retrieve::series_rendered),
        Address::new("/dicom-web/studies/{study}/series/{series}/instances/{instance}/rendered").get(retrieve::rendered),
        Address::new("/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/rendered").get(retrieve::frames_rendered),
        Address::new("/dicom-web/studies/{study}/thumbnail").get(retrieve::study_thumbnail),
        Address::new("/dicom-web/studies/{study}/series/{series}/thumbnail").get(retrieve::series_thumbnail),
        Address::new("/dicom-web/studies/{study}/series/{series}/instances/{instance}/thumbnail").get(retrieve::instance_thumbnail),
        Address::new("/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/thumbnail").get(retrieve::frames_thumbnail),
        Address::new("/dicom-web/studies/{study}/bulkdata").get(retrieve::study_bulk_data),
        Address::new("/dicom-web/studies/{study}/series/{series}/bulkdata").get(retrieve::series_bulk_data),
        Address::new("/dicom-web/studies/{study}/series/{series}/instances/{instance}/bulkdata").get(retrieve::instance_bulk_data),
        Address::new("/dicom-web/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path}").get(retrieve::bulk_data),
        Address::new("/v1/events").get(events::events),
        Address::new("/v1/predict").post(predict::predict),
        // The names of single addresses come before those that take a version.
        Address::new("/v1/models").get(models::list),
        Address::new("/v1/models/history").get(models::history),
        Address::new("/v1/models/rollback").post(models::roll_back),
        Address::new("/v1/models/{version}").get(models::one),
        Address::new("/v1/models/{version}/activate").post(models::activate),
        Address::new("/v1/models/{version}/retire").post(models::retire),
        Address::new("/v1/models/{version}/shadow").post(models::shadow).delete(models::unshadow),
        Address::new("/v1/models/{version}/comparison").get(models::comparison),
        Address::new("/v1/quarantine").get(quarantine::list),
        Address::new("/v1/quarantine/{id}").get(quarantine::one),
        Address::new("/v1/quarantine/{id}/replay").post(quarantine::replay),
        Address::new("/v1/quarantine/{id}/discard").post(quarantine::discard),
        Address::new("/v1/queues").get(queues::queues),
        Address::new("/v1/session")
            .json(json(SMALLEST_JSON))
            .get(session::current)
            .post(session::sign_in)
            .delete(session::sign_out),
        Address::new("/v1/oidc").get(oidc::provider),
        Address::new("/v1/oidc/start").get(oidc::start),
        Address::new("/v1/oidc/callback").get(oidc::callback),
        Address::new("/v1/oidc/logout").post(oidc::logout),
        Address::new("/v1/sessions").get(session::list).delete(session::end_all),
        Address::new("/v1/sessions/{id}").delete(session::end),
        Address::new("/v1/password").put(password::change),
        Address::new("/v1/totp").post(totp::begin).put(totp::confirm).delete(totp::remove),
        Address::new("/v1/links").json(json(SMALLEST_JSON)).post(password::linked),
        Address::new("/v1/links/redeem").json(json(SMALLEST_JSON)).post(password::redeem),
        Address::new("/v1/people").get(people::list).post(people::invite),
        Address::new("/v1/people/{id}").put(people::change),
        Address::new("/v1/people/{id}/reset").post(people::reset),
        Address::new("/v1/people/{id}/sessions").delete(people::end_sessions),
        Address::new("/v1/tokens").get(tokens::list).post(tokens::add),
        Address::new("/v1/tokens/{id}").delete(tokens::revoke),
        Address::new("/v1/audit").get(audit::list),
        Address::new("/v1/sites").get(sites::list).post(sites::add),
        Address::new("/v1/sites/{name}").delete(sites::remove),
        Address::new("/problems/{slug}").get(problems::describe),
        Address::new("/livez").get(health::live),
        Address::new("/readyz").get(health::ready),
        Address::new("/metrics").get(health::metrics),
    ]
}

/// What one method of one address asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteRight {
    /// `GET` stands for HEAD too.
    pub method: &'static str,
    /// A pattern: `/v1/images/{id}`.
    pub path: &'static str,
    /// What its caller must have.
    pub right: Right,
}

/// Every method of every address with its right: the server's own table, the page's files included.
pub fn route_rights() -> Vec<RouteRight> {
    let all = page::addresses().into_iter().chain(addresses());
    all.flat_map(|address| {
        let path = address.path();
        let rights = address.methods().to_vec();
        rights.into_iter().map(move |(method, right)| RouteRight { method, path, right })
    })
    .collect()
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

fn bad_form(error: UrlencodedError, _: &HttpRequest) -> Error {
    let problem = match error {
        UrlencodedError::Overflow { limit, .. } => {
            Problem::new(Kind::TooLarge, format!("At most {limit} bytes."))
        }
        UrlencodedError::ContentType => {
            Problem::new(Kind::WrongMediaType, "Send a form: application/x-www-form-urlencoded.")
        }
        UrlencodedError::Payload(error) => intake::problem(&error),
        _ => Problem::new(Kind::BadRequest, "The form could not be read."),
    };
    problem.into()
}

fn bad_query(error: QueryPayloadError, _: &HttpRequest) -> Error {
    Problem::new(Kind::BadParameter, error.to_string()).into()
}

fn bad_path(_: PathError, _: &HttpRequest) -> Error {
    Problem::new(Kind::BadParameter, "The id in the address is not a UUID.").into()
}
