//! Buckets as MiniStack emulates them, behind an HTTP proxy that does what S3 does on a bad day, and what
//! `lobar doctor` finds. The adapter on the embedded server is tested beside that.
#![allow(clippy::disallowed_methods)] // the tasks that a test spawns end before it does

mod examine;
mod objects;
mod weights;

use lobar_aws::Credentials;
use lobar_s3::S3Options;
use lobar_testkit::services::ministack::{ACCESS_KEY, REGION, SECRET_KEY};

/// A bucket behind `endpoint`.
fn options(bucket: &str, endpoint: String) -> S3Options {
    S3Options {
        endpoint: Some(endpoint),
        region: Some(REGION.to_owned()),
        credentials: Some(Credentials::new(ACCESS_KEY, SECRET_KEY)),
        ..S3Options::new(bucket)
    }
}
