//! HTTP, server-sent events, the web page. Sees ports only.
//!
//! [`Api::build`] binds and assembles, [`Api::run`] serves until told to stop. Every call to a port
//! runs on the runtime that built the server, since connections of a pool must not die with one of
//! the HTTP threads ([`context`]). One follower a process reads new events from the store and fans
//! them out to all clients ([`stream`]). Every error is `application/problem+json` from one table
//! ([`problem`]). Every route names its right ([`access`]).

mod access;
mod batch;
mod client_name;
mod connection;
mod context;
mod dicom_web;
mod exposure;
mod figure_reader;
mod figures;
mod file_room;
mod forwarded;
mod full_depth;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gauges;
mod guard;
mod health;
mod instant;
mod intake;
mod item;
mod json;
mod key;
pub mod models;
mod openapi;
mod page_token;
mod peer;
mod pending_uploads;
mod people;
mod picture;
mod problem;
pub mod quarantine;
mod rate;
mod readership;
mod readiness;
mod record;
mod request;
mod request_metrics;
mod response_cache;
mod routes;
mod said;
mod sending;
mod server;
mod settings;
mod statement;
mod stream;
mod timestamp;
mod tls;
mod verdict;
mod verdict_tag;
mod viewer;
mod visible;
mod whose;

pub use dicom_web::retrieve::read_instance;
pub use health::HealthServer;
pub use instant::read as read_instant;
pub use intake::largest_body;
pub use item::result_json;
pub use openapi::document as openapi_document;
pub use peer::ProxyNetwork;
pub use readiness::{Check, Readiness, ReadyGauge};
pub use routes::{RouteRight, route_rights};
pub use server::{Api, ApiPorts, BuildError};
pub use settings::ApiSettings;
pub use statement::STATEMENT_OF_USE;
pub use timestamp::rfc3339;
pub use tls::{TlsError, TlsFiles};
pub use viewer::ViewerOrigin;
