//! Roles on each real service, and what that service can do to them: PostgreSQL's outages and rejections, Redis away, a bad
//! day of S3 and SQS.

mod aws;
mod postgres;
mod redis;
mod rejections;
