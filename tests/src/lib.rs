//! What the suites of the whole system share.

// A test owns its process: it reads the environment and spawns as it likes.
#![allow(clippy::disallowed_methods)]

pub mod aws;
pub mod kit;
pub mod rig;
