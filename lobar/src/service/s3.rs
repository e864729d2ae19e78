//! The role `s3`: the embedded S3 server.

use std::net::SocketAddr;

use lobar_aws::Credentials;

use super::dependencies::Ask;
use super::ports::Ports;
use super::roles;
use super::running::Running;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::startup_message;

/// The key pair of the embedded server. The one that is publicly known, where the settings name none:
/// the server then listens on this machine only.
pub fn key_pair(settings: &Settings) -> Credentials {
    roles::credentials(settings).unwrap_or_else(|| Credentials::new("lobar", "lobarlobar"))
}

/// Where the server listens, and how it is asked whether it can do its work.
type Started = (SocketAddr, Ask);

/// Starts the server.
#[cfg(feature = "endpoint")]
pub async fn start(
    settings: &Settings,
    parts: &Ports,
    running: &mut Running,
    ready: &mut startup_message::StartupMessage,
) -> Result<Started, Failure> {
    use lobar_endpoint::{Credentials, Endpoint, EndpointOptions};

    use crate::failure::chain;

    let origins = [
        format!("http://{}", settings.listen),
        format!("http://localhost:{}", settings.listen.port()),
    ];
    let data = settings.data.join("objects");
    let mut options = EndpointOptions::new(data, settings.s3_listen, parts.uploads()?);
    options.bucket = settings.bucket.to_string();
    options.models = settings.models.bucket.to_string();
    let pair = key_pair(settings);
    options.credentials = Credentials { access_key: pair.access_key, secret_key: pair.secret_key };
    options.region = settings.s3_region.clone();
    options.allowed_origins = origins.into();
    options.clock = parts.clock.clone();
    let endpoint = Endpoint::open(options).await.map_err(|e| Failure::failed(chain(&e)))?;
    let (address, health) = (endpoint.local_addr(), endpoint.health());
    ready.s3 = Some(address);
    let closing = running.closing.clone();
    running.start_last("s3", async move {
        endpoint.run(closing).await;
        Ok(())
    });
    let ask: Ask = Box::new(move || {
        let health = health.clone();
        Box::pin(async move { health.check().await })
    });
    Ok((address, ask))
}

/// This build has no server to start.
#[cfg(not(feature = "endpoint"))]
pub async fn start(
    _: &Settings,
    _: &Ports,
    _: &mut Running,
    _: &mut startup_message::StartupMessage,
) -> Result<Started, Failure> {
    Err(Failure::usage("this build has no S3 server; build it with --features endpoint"))
}
