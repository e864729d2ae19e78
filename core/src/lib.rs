//! Lobar's domain and its ports. No I/O and no vendor: everything else depends on this crate, and
//! this crate depends on nothing of ours.
//!
//! The domain: [`object`] (what was uploaded), [`image`] (what becomes of it), [`finding`] (what the
//! network saw), [`job`] (the message between ingest and worker), [`event`] (what a page follows),
//! [`position`] (where it is in them),
//! [`study`] (whose image it is: patient, study, series, instance), [`population`] (whom a model was trained on),
//! [`reading`] (what is stored and cannot be read), [`failure`] (what must happen after an error),
//! [`access`] (who may do what), [`compute`] (where the network is to compute), [`browser`] (which requests a page elsewhere may have sent),
//! [`retry`], [`scaling`], [`notification`] (what the bucket should have said), [`statement`] (what results are for), [`time`], [`liveness`] (which loops go round),
//! [`probe`] (objects that are no uploads), [`trace`] (what a message or an event continues).
//!
//! The ports: [`queue`], [`store`], [`accounts`], [`audit`] (with the chain that proves it), [`model_registry`], [`verdict`], [`exposure`], [`worklist`], [`quarantine`], [`batch`], [`signal`], [`cache`], [`presence`], [`object_store`],
//! [`weights`], [`engine`]. Each
//! sentence of a port's documentation is the name of a test in the contract suite that every adapter
//! passes.

pub mod access;
pub mod accounts;
pub mod audit;
pub mod batch;
pub mod browser;
pub mod cache;
pub mod commitment;
pub mod compute;
pub mod diagnostic;
pub mod engine;
pub mod erasure;
pub mod event;
pub mod exposure;
pub mod failure;
pub mod finding;
pub mod image;
pub mod job;
pub mod junk;
pub mod liveness;
pub mod log_filter;
pub mod model_registry;
pub mod notification;
pub mod object;
pub mod object_store;
pub mod population;
pub mod position;
pub mod presence;
pub mod probe;
pub mod quarantine;
pub mod queue;
pub mod reading;
pub mod resend;
pub mod retry;
pub mod scaling;
pub mod signal;
pub mod statement;
pub mod store;
pub mod study;
pub mod time;
pub mod trace;
pub mod verdict;
pub mod weights;
pub mod worklist;
