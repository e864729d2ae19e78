//! How our adapters reach an emulator of Amazon's services.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials as SdkCredentials, Region};
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

/// A client of Amazon's own on `endpoint`, for what our adapters do not do.
pub fn s3_client(endpoint: &str) -> Client {
    let pair = SdkCredentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new(REGION))
        .credentials_provider(pair)
        .force_path_style(true)
        .endpoint_url(endpoint);
    Client::from_conf(config.build())
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
