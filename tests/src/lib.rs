//! The test kit and the suites: contract, system, browser, faults.

// A test owns its process: it reads the environment and spawns as it likes.
#![allow(clippy::disallowed_methods)]

pub mod contract;
pub mod kit;
pub mod rig;
pub mod services;
