//! One module a technology. The only crate that names a vendor.

pub mod memory;
pub mod opener;
pub mod sql;
pub mod sqlite;
