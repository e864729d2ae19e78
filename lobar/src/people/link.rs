//! Links as they are handed to people.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use lobar_signin::Secret;

use crate::cli::LinkArgs;
use crate::failure::Failure;
use crate::settings::Settings;

/// Where links lead.
pub struct Base(String);

impl Base {
    /// From `--url`, or the listen address.
    ///
    /// # Errors
    /// Of usage, when `--url` is no address of a page.
    pub fn new(args: &LinkArgs, settings: &Settings) -> Result<Self, Failure> {
        let Some(url) = &args.url else {
            return Ok(Self(format!("http://{}", here(settings.listen))));
        };
        let is_page = matches!(url.scheme(), "http" | "https") && url.has_host();
        let is_bare = url.query().is_none() && url.fragment().is_none();
        if !is_page || !is_bare || !url.username().is_empty() || url.password().is_some() {
            return Err(Failure::usage(
                "--url is the page's address, such as https://lobar.example: no user, query or fragment",
            ));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// The page that takes the secret. It stands in the fragment, which browsers send to no server, so it is in
    /// nobody's log (RFC 9110, section 4.2.5).
    pub fn link(&self, secret: &Secret) -> String {
        format!("{}/#/link/{}", self.0, secret.expose())
    }
}

/// An address that can be asked, for one that listens on all.
fn here(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_listens_everywhere_is_asked_here() {
        for (listen, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:80", "[::1]:80"),
            ("10.0.0.7:443", "10.0.0.7:443"),
        ] {
            assert_eq!(here(listen.parse().expect("an address")).to_string(), asked);
        }
    }
}
