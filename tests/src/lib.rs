//! The test kit and the suites: contract, system, browser, faults.

pub mod contract;
pub mod kit;
pub mod rig;
