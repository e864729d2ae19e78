//! Roles on each real service, and what that service can do to them: PostgreSQL's outages and rejections, Redis away, a bad
//! day of S3 and SQS.

#![allow(clippy::disallowed_methods)] // the tasks that a test spawns end before it does
#![allow(clippy::print_stdout)] // counters are to be read

mod aws;
mod postgres;
mod redis;
mod rejections;
