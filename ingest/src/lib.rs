//! Ingest: from a notification of the object store to a durable job.
//!
//! ```text
//! uploads queue ─▶ parse ─▶ admit into the store ─▶ job on its lane's queue ─▶ settle the notification
//! ```
//!
//! Each step may be repeated without harm, and a notification is settled only after what follows it
//! is durable. What falls between the steps is found by the sweep loop.
//!
//! [`notification`] reads other people's bytes and is pure; `intake` turns one batch of messages
//! into admissions and jobs; [`ingest`] receives, keeps the leases and waits out outages.

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod health;
pub mod ingest;
mod intake;
mod key;
mod metrics;
pub mod notification;
mod record;
mod settings;
mod sweep;

pub use health::IngestHealth;
pub use ingest::{Ingest, IngestParts, Stop};
pub use metrics::IngestMetrics;
pub use settings::IngestSettings;
