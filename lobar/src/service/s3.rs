//! The role `s3`: the embedded S3 server.

use std::net::SocketAddr;

use super::ports::Ports;
use super::running::Running;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::startup_message;

/// Starts the server; answers where it listens.
#[cfg(feature = "endpoint")]
pub async fn start(
    settings: &Settings,
    parts: &Ports,
    running: &mut Running,
    ready: &mut startup_message::StartupMessage,
) -> Result<SocketAddr, Failure> {
    use lobar_endpoint::{Credentials, Endpoint, EndpointOptions};

    use super::s3_key_file;
    use crate::failure::chain;

    let origins = [
        format!("http://{}", settings.listen),
        format!("http://localhost:{}", settings.listen.port()),
    ];
    let data = settings.data.join("objects");
    let pair = s3_key_file::own(settings)?;
    let pair = Credentials::new(pair.access_key, pair.secret_key);
    let mut options = EndpointOptions::new(data, settings.s3_listen, pair, parts.uploads()?);
    options.bucket = settings.bucket.to_string();
    options.models = settings.models.bucket.to_string();
    options.region = settings.s3_region.clone();
    options.allowed_origins = origins.into();
    options.hosts = settings.hosts.iter().map(ToString::to_string).collect();
    options.forms = settings.s3_forms.is_on();
    options.clock = parts.clock.clone();
    let endpoint = Endpoint::open(options).await.map_err(|e| Failure::failed(chain(&e)))?;
    let address = endpoint.local_addr();
    ready.s3 = Some(address);
    let closing = running.closing.clone();
    running.start_last("s3", async move {
        endpoint.run(closing).await;
        Ok(())
    });
    Ok(address)
}

/// This build has no server to start.
#[cfg(not(feature = "endpoint"))]
pub async fn start(
    _: &Settings,
    _: &Ports,
    _: &mut Running,
    _: &mut startup_message::StartupMessage,
) -> Result<SocketAddr, Failure> {
    Err(Failure::usage("this build has no S3 server; build it with --features endpoint"))
}
