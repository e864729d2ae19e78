//! Endpoints that no network lies before.

use url::{Host, Url};

/// Whether an endpoint is on this machine, by an address that no other machine has. Nothing on the way there changes a body, so
/// that its hash need not be in the signature: for a large image that, and checking it, takes longer than sending it.
pub(crate) fn is_local(endpoint: &str) -> bool {
    match Url::parse(endpoint).ok().as_ref().and_then(Url::host) {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_on_this_machine() {
        for here in
            ["http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost", "http://127.9.9.9/"]
        {
            assert!(is_local(here), "{here}");
        }
        for elsewhere in [
            "http://10.0.0.2:9000",
            "http://0.0.0.0:9000",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "https://s3.eu-central-1.amazonaws.com",
            "127.0.0.1:9000",
            "",
        ] {
            assert!(!is_local(elsewhere), "{elsewhere}");
        }
    }
}
