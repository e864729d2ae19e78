//! How our adapters reach an emulator of Amazon's services.

use lobar_aws::{Access, Credentials};
use lobar_s3::S3Options;
use lobar_sqs::SqsOptions;
use lobar_testkit::services::ministack::{ACCESS_KEY, REGION, SECRET_KEY};

/// The key pair of emulators and of the embedded endpoint.
pub fn key_pair() -> Credentials {
    Credentials::new(ACCESS_KEY, SECRET_KEY)
}

/// The same as the embedded endpoint takes it.
pub fn server_key_pair() -> lobar_endpoint::Credentials {
    lobar_endpoint::Credentials::new(ACCESS_KEY, SECRET_KEY)
}

/// A queue behind `endpoint`.
pub fn sqs_options(queue: &str, endpoint: String) -> SqsOptions {
    let access = Access { region: Some(REGION.to_owned()), credentials: Some(key_pair()) };
    SqsOptions { endpoint: Some(endpoint), access, ..SqsOptions::new(queue) }
}

/// A bucket behind `endpoint`.
pub fn s3_options(bucket: &str, endpoint: String) -> S3Options {
    S3Options {
        endpoint: Some(endpoint),
        region: Some(REGION.to_owned()),
        credentials: Some(key_pair()),
        ..S3Options::new(bucket)
    }
}
