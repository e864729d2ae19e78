//! The project's own rules, held against its files.

mod architecture;
mod documents;
mod formats;
mod landed;
mod migrations;
mod queues;
mod sources;
mod sql;
