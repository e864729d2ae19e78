//! The live event stream.
//!
//! ```text
//! store.events ─▶ follower (one a process) ─▶ Batch, rendered once ─▶ broadcast, bounded ─▶ client
//!                                                                                          │ behind?
//! store.events ◀───────────────────────────── reads from its own position ◀────────────────┘
//! ```
//!
//! A batch says after which position it follows, so a client can tell whether something is missing
//! between its own position and the batch. If so, or if it lagged, it reads the store until it has
//! caught up: no gap, no reordering, no duplicate, and bounded memory however slow it reads.
//!
//! A client is told of events of its [`Sites`](lobar_core::access::Sites) only. Events of others move its position and
//! nothing else: no byte is sent for them, and heartbeats come as if they were not.
//!
//! Positions name their events ([`lobar_core::position`]). Where the store does not have the event of a position any
//! more, since it was restored or events were pruned, a `reset` is said: by the follower to everyone, or by a client that
//! reads the store itself.

mod batch;
mod client;
mod follower;
mod frame;
mod hub;
mod position;
#[cfg(test)]
mod tests;

pub(crate) use client::{Client, OpenStream};
pub(crate) use follower::{Follower, follow};
pub(crate) use hub::Hub;
#[cfg(any(test, fuzzing))]
pub(crate) use position::asked;
pub(crate) use position::{Start, seen, start};
