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

mod client;
mod follower;
mod frame;
mod hub;
mod position;

pub(crate) use client::{Client, OpenStream};
pub(crate) use follower::{Follower, follow};
pub(crate) use hub::Hub;
#[cfg(any(test, fuzzing))]
pub(crate) use position::place;
pub(crate) use position::{Start, asked, start};
