//! Ingest: from a notification of the object store to a durable job.
//!
//! ```text
//! uploads queue ─▶ parse ─▶ admit into the store ─▶ job on its lane's queue ─▶ settle the notification
//! ```
//!
//! Each step may be repeated without harm, and a notification is settled only after what follows it
//! is durable. What falls between the steps is found by the sweep loop.
//!
//! [`notification`] reads other people's bytes and is pure; `intake` carries out one batch of messages, by
//! `admission` into the store and onto the job queues; `rejection` decides on what they reject for good;
//! `junk` tells what is no image from the rest; `reconcile` compares the bucket with the store; `retention` deletes what is old;
//! `erasure` goes on with what is to be erased; and [`ingest`] receives, keeps the leases and waits out outages.

mod admission;
mod batch;
mod erasure;
mod fate;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod health;
pub mod ingest;
mod intake;
mod item;
mod junk;
mod key;
mod metrics;
mod notice;
pub mod notification;
mod outage;
mod reconcile;
mod reconcile_loop;
mod record;
mod rejection;
mod retention;
mod settings;
mod sweep;

pub use health::IngestHealth;
pub use ingest::{Ingest, IngestPorts};
pub use lobar_consumer::Stop;
pub use metrics::IngestMetrics;
pub use reconcile::{ReconcileOptions, ReconcilePorts, Reconciled, reconcile};
pub use retention::Retention;
pub use settings::IngestSettings;
