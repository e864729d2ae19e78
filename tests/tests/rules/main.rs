//! The project's own rules, held against its files.

mod architecture;
mod documents;
mod landed;
mod migrations;
mod sources;
mod sql;
