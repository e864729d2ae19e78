//! The project's own rules, held against its files.

mod landed;
mod migrations;
mod sql;
