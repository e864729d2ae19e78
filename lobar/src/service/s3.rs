//! The role `s3`: the embedded S3 server.

use std::net::SocketAddr;

use lobar_api::Check;

use super::dependencies::Ask;
use super::ports::Ports;
use super::running::Running;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::startup_message;

/// Where the server listens, and how it is asked whether it can do its work.
type Started = (SocketAddr, Ask);

/// Starts the server.
#[cfg(feature = "endpoint")]
pub async fn start(
    settings: &Settings,
    parts: &Ports,
    start: &Check,
    running: &mut Running,
    ready: &mut startup_message::StartupMessage,
) -> Result<Started, Failure> {
    use std::io;

    use lobar_endpoint::{Credentials, Endpoint, EndpointError, EndpointOptions, People};

    use super::s3_key_file;
    use super::waiting_start::WaitingStart;
    use crate::failure::chain;

    let data = settings.data.join("objects");
    let waiting = WaitingStart(start);
    let full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
    let _ = waiting.until(async || s3_key_file::make_missing(settings), full).await;
    let pair = s3_key_file::own(settings)?;
    let pair = Credentials::new(pair.access_key, pair.secret_key);
    let mut options = EndpointOptions::new(data, settings.s3_listen, pair, parts.uploads()?);
    options.people = Some(People { accounts: parts.accounts.clone(), audit: parts.audit.clone() });
    options.bucket = settings.bucket.to_string();
    options.models = settings.models.bucket.to_string();
    options.region = settings.s3_region.clone();
    options.allowed_origins = page_origins(settings);
    options.hosts = settings.hosts.iter().map(ToString::to_string).collect();
    options.forms = settings.s3_forms.is_on();
    options.noncurrent = settings.versions_retention.time();
    options.clock = parts.clock.clone();
    let open = async || Endpoint::open(options.clone()).await;
    let endpoint = Box::pin(waiting.until(open, EndpointError::is_full)).await;
    let endpoint = endpoint.map_err(|e| Failure::failed(chain(&e)))?;
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

/// Origins of the page, which sends uploads straight to the endpoint: the address that it listens on, and each
/// further host name, with its port or behind a proxy.
#[cfg(feature = "endpoint")]
fn page_origins(settings: &Settings) -> Vec<String> {
    let port = settings.listen.port();
    let scheme = if settings.tls().is_some() { "https" } else { "http" };
    let mut origins =
        vec![format!("{scheme}://{}", settings.listen), format!("{scheme}://localhost:{port}")];
    for host in &settings.hosts {
        let host = host.as_str();
        origins.extend([
            format!("{scheme}://{host}:{port}"),
            format!("http://{host}"),
            format!("https://{host}"),
        ]);
    }
    origins
}

/// This build has no server to start.
#[cfg(not(feature = "endpoint"))]
pub async fn start(
    _: &Settings,
    _: &Ports,
    _: &Check,
    _: &mut Running,
    _: &mut startup_message::StartupMessage,
) -> Result<Started, Failure> {
    Err(Failure::usage("this build has no S3 server; build it with --features endpoint"))
}

#[cfg(all(test, feature = "endpoint"))]
mod tests {
    use super::*;
    use crate::settings::{LocalPath, PartialSettings};

    #[test]
    fn a_page_over_tls_comes_from_https() {
        let mut settings = Settings::load(PartialSettings::default(), None).expect("valid");
        settings.tls_cert = Some(LocalPath::at("chain.pem"));
        settings.tls_key = Some(LocalPath::at("key.pem"));
        let origins = page_origins(&settings);
        assert!(origins.contains(&"https://127.0.0.1:8080".to_owned()), "{origins:?}");
    }

    #[test]
    fn the_page_may_upload_under_each_name_that_it_is_reached_by() {
        let given = PartialSettings {
            listen: Some("127.0.0.1:8090".parse().expect("an address")),
            hosts: Some(vec!["xrays.example".parse().expect("a name")]),
            ..PartialSettings::default()
        };
        let origins = page_origins(&Settings::load(given, None).expect("valid"));
        for origin in [
            "http://127.0.0.1:8090",
            "http://localhost:8090",
            "http://xrays.example:8090",
            "https://xrays.example",
        ] {
            assert!(origins.iter().any(|one| one == origin), "{origin} not in {origins:?}");
        }
    }
}
