//! One module a technology. The only crate that names a vendor.

pub mod embedded;
pub mod memory;
pub mod opener;
mod quiet;
pub mod s3;
pub mod sql;
pub mod sqlite;
