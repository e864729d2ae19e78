//! Redis: signal, response cache, worker presence. Never the source of truth.
//!
//! It may be away at any time, also at the start. Every question has a limit of its own; while Redis
//! is away it fails at once instead ([`link`]). A subscriber looks by itself meanwhile
//! ([`signal`]).
//!
//! Two installations may share a server when each has a database number of its own. Clusters of Redis
//! are not supported; one server, with or without a replica behind a fixed address, is.

mod cache;
mod examine;
mod link;
mod presence;
mod signal;

pub use cache::RedisCache;
pub use examine::examine;
pub use presence::RedisPresence;
pub use signal::RedisSignal;

use lobar_core::failure::PortError;
use redis::IntoConnectionInfo;
use redis::io::tcp::TcpSettings;

/// A client that is not connected.
///
/// # Errors
/// When the URL is none of Redis. The text does not hold it.
fn client(url: &str) -> Result<redis::Client, PortError> {
    // Small questions, each waited for: they must not be gathered into larger packets.
    let settings = TcpSettings::default().set_nodelay(true);
    let server = url.into_connection_info().map(|server| server.set_tcp_settings(settings));
    let client = server.and_then(redis::Client::open);
    client.map_err(|error| PortError::permanent("redis: URL", error))
}
