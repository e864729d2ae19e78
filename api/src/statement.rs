//! The statement of use that stands on every result.

pub use lobar_core::statement::STATEMENT_OF_USE;
