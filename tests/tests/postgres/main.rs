//! What PostgreSQL brings beside the contracts: migrations, plans, the order of commits among many
//! processes, and the faults that a server of its own can have.

#![allow(clippy::disallowed_methods)] // the tasks that a test spawns end before it does
#![allow(clippy::print_stdout)] // counters and figures are to be read

mod doubt;
mod examine;
mod load;
mod migrations;
mod order;
mod outages;
mod plans;
mod rejections;
mod scale;
