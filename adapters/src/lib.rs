//! One module a technology. The only crate that names a vendor.

pub mod aws;
pub mod embedded;
pub mod examine;
pub mod memory;
pub mod opener;
pub mod postgres;
mod quiet;
pub mod rabbitmq;
pub mod redis;
pub mod s3;
pub mod sql;
pub mod sqlite;
pub mod sqs;
