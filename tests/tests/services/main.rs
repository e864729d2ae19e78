//! The executable's roles as processes on real services: S3 and SQS (emulated), RabbitMQ, PostgreSQL,
//! Redis. Any number of each role, killed and stopped in the middle.

#![allow(unreachable_pub, clippy::disallowed_methods, clippy::print_stdout)] // a suite exports nothing, spawns and prints

mod accounts;
mod autoscale;
mod cluster;
mod collector;
mod health;
mod journey;
mod kills;
mod latency;
mod names;
mod start;
mod stops;
mod traces;
mod upgrade;
