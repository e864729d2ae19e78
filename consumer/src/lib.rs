//! What the roles that receive from a queue share.
//!
//! - [`isolate`]: when a batch is rejected for good, finds the items that are to blame.
//! - [`Rejections`]: tells an item that is rejected from a service that rejects everything.

mod isolate;
mod rejections;

pub use isolate::isolate;
pub use rejections::{Cause, Rejections};
