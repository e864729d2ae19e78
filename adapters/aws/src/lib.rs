//! What the AWS adapters share: credentials, region, timeouts.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials as KeyPair;
use aws_smithy_http_client::tls;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

/// Who asks, and where.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The region; without one, the environment's.
    pub region: Option<String>,
    /// A key pair; without one, the usual chain: environment, profile, the machine's role.
    pub credentials: Option<Credentials>,
}

/// An access key and its secret. `Debug` leaves the secret out.
#[derive(Clone)]
pub struct Credentials {
    /// The public half.
    pub access_key: String,
    /// The private half.
    pub secret_key: String,
}

impl Credentials {
    /// A key pair.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self { access_key: access_key.into(), secret_key: secret_key.into() }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// How long one attempt may take until its connection is made, and until its answer begins.
pub fn timeouts(connect: Duration, attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(connect)
        .read_timeout(attempt)
        .operation_attempt_timeout(attempt)
        .build()
}

/// Reads the surroundings for what `access` leaves open. Asks nothing of any service yet, but the
/// machine's role for its credentials.
pub async fn config(
    access: Access,
    retry: RetryConfig,
    timeouts: TimeoutConfig,
    log: &Dispatch,
) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(retry)
        .timeout_config(timeouts);
    if let Some(region) = access.region {
        loader = loader.region(Region::new(region));
    }
    if let Some(pair) = access.credentials {
        let pair = KeyPair::new(pair.access_key, pair.secret_key, None, None, "settings");
        loader = loader.credentials_provider(pair);
    }
    loader.load().with_subscriber(log.clone()).await
}
