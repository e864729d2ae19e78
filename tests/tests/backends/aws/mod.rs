//! S3 and SQS as MiniStack emulates them, under our adapters and roles, with an HTTP proxy between them
//! that does what these services do on a bad day. Time is real.
#![allow(clippy::disallowed_methods)] // the tasks that a test spawns end before it does

#[allow(clippy::print_stdout, reason = "the account of a fault test is read by people")]
mod faults;
mod fixture;
mod journey;
mod page;
