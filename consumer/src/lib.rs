//! What the roles that receive from a queue share: ingest and the worker.
//!
//! - [`Stop`]: the two phases of a stop.
//! - [`receive()`]: takes messages until told to stop.
//! - [`Keeper`] and [`Lease`]: a lease is extended from receipt to settlement, and tells when it is lost.
//! - [`CircuitBreaker`]: while a service fails, receiving pauses with backoff, so that an outage costs no attempts.
//! - [`isolate()`]: when a batch is rejected for good, finds the items that are to blame.
//! - [`Rejections`]: tells an item that is rejected from a service that rejects everything.

mod circuit_breaker;
mod heartbeat;
mod isolate;
mod lease;
mod receive;
mod rejections;
mod stop;

pub use circuit_breaker::{CircuitBreaker, longest_pause};
pub use heartbeat::beating;
pub use isolate::isolate;
pub use lease::{Keeper, Lease, OnLost};
pub use receive::receive;
pub use rejections::{Cause, Rejections};
pub use stop::Stop;
