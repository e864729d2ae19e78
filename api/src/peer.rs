//! Who is at the other end of a request: the connection's own address, or what a trusted proxy says of it.

use std::fmt;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::str::FromStr;

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpRequest};
use ipnet::IpNet;

use crate::forwarded::{self, Hop, Malformed};
use crate::problem::{Kind, Problem};

/// Where trusted proxies are: an address, or a network in CIDR notation (`10.0.0.0/8`, `fd00::/8`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyNetwork(IpNet);

impl ProxyNetwork {
    /// Whether an address lies in it. An IPv4 address that is written as an IPv6 one is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for ProxyNetwork {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let address = || text.parse::<IpAddr>().ok().map(|it| IpNet::from(it.to_canonical()));
        let network = text.parse::<IpNet>().ok().or_else(address);
        let network = network.ok_or_else(|| {
            format!(
                "{text:?} is neither an IP address nor a network such as 10.0.0.0/8 or fd00::/8"
            )
        })?;
        match network.prefix_len() {
            0 => Err(format!("{text:?} is every address, so that anybody could name any other")),
            _ => Ok(Self(network.trunc())),
        }
    }
}

impl fmt::Display for ProxyNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.prefix_len() == self.0.max_prefix_len() {
            true => self.0.addr().fmt(f),
            false => self.0.fmt(f),
        }
    }
}

/// Who sent a request, for everything that asks: limits, cookies, records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The client's address: of the connection, or the one that the outermost trusted proxy was connected from.
    pub(crate) address: IpAddr,
    /// Whether the client speaks TLS, to this process or to the outermost trusted proxy.
    pub(crate) secure: bool,
    /// Whether a trusted proxy said so.
    pub(crate) forwarded: bool,
    /// The host that the client asked for, with its port, where a trusted proxy says so.
    pub(crate) host: Option<String>,
}

impl Peer {
    /// Reads it from a request whose connection comes from anywhere; `trusted` are the proxies that are believed.
    ///
    /// # Errors
    /// 400 when a trusted proxy passes on what cannot be read, or two accounts that contradict each other: one of
    /// the two is the client's own, and which one cannot be told.
    pub(crate) fn resolve(
        request: &ServiceRequest,
        trusted: &[ProxyNetwork],
    ) -> Result<Self, Problem> {
        // A connection without an address is a test's own.
        let address = request.peer_addr().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip());
        let connection = Self {
            address: address.to_canonical(),
            secure: request.app_config().secure(),
            forwarded: false,
            host: None,
        };
        connection.behind(request.headers(), trusted)
    }

    /// The peer of a request that the guard let through.
    pub(crate) fn of(request: &impl actix_web::HttpMessage) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// Whoever uses this very machine, without a proxy between.
    pub(crate) fn is_local(&self) -> bool {
        !self.forwarded && self.address.is_loopback()
    }

    fn behind(self, headers: &HeaderMap, trusted: &[ProxyNetwork]) -> Result<Self, Problem> {
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
        if !is_trusted(self.address) {
            return Ok(self);
        }
        let standard = forwarded::standard(headers).map_err(refused)?;
        let customary = forwarded::customary(headers).map_err(refused)?;
        let told = [standard, customary].map(|hops| Some(self.told_by(&hops?, &is_trusted)));
        match told {
            [Some(standard), Some(customary)] if standard.address != customary.address => {
                let detail = "Forwarded and X-Forwarded-For name different clients. The proxy must set one of them \
                              and remove the other.";
                Err(Problem::new(Kind::BadRequest, detail))
            }
            [Some(peer), _] | [None, Some(peer)] => Ok(peer),
            [None, None] => Ok(self),
        }
    }

    /// Goes from the nearest proxy outwards, as long as each is trusted: the first that is not is the client.
    fn told_by(&self, hops: &[Hop], is_trusted: &impl Fn(IpAddr) -> bool) -> Self {
        let mut peer = Self { forwarded: true, ..self.clone() };
        for hop in hops.iter().rev() {
            peer.secure = hop.secure.unwrap_or(self.secure);
            peer.host.clone_from(&hop.host);
            // A proxy that does not tell: the client is somewhere behind it.
            let Some(address) = hop.address else { break };
            peer.address = address;
            if !is_trusted(address) {
                break;
            }
        }
        peer
    }
}

fn refused(Malformed(name): Malformed) -> Problem {
    Problem::new(Kind::BadRequest, format!("The header {name} could not be read."))
}

impl FromRequest for Peer {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request).ok_or_else(|| Problem::internal("peer", &"nobody resolved it")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn trusted(networks: &[&str]) -> Vec<ProxyNetwork> {
        networks.iter().map(|network| network.parse().expect("a network")).collect()
    }

    fn peer(from: &str, lines: &[(&'static str, &str)]) -> Result<Peer, Problem> {
        let from = format!("{from}:50000").parse().expect("an address");
        let mut request = TestRequest::get().peer_addr(from);
        for (name, value) in lines {
            request = request.append_header((*name, *value));
        }
        Peer::resolve(&request.to_srv_request(), &trusted(&["10.0.0.0/8", "127.0.0.1", "fd00::/8"]))
    }

    fn address(from: &str, lines: &[(&'static str, &str)]) -> String {
        peer(from, lines).expect("resolved").address.to_string()
    }

    #[test]
    fn nobody_but_a_trusted_proxy_is_believed() {
        let lines =
            [("forwarded", "for=1.2.3.4;proto=https;host=evil"), ("x-forwarded-for", "5.6.7.8")];
        let seen = peer("192.0.2.9", &lines).expect("resolved");
        let own = "192.0.2.9".parse().expect("an address");
        assert_eq!(seen, Peer { address: own, secure: false, forwarded: false, host: None });
        // Nor does it matter what such a header holds.
        assert!(peer("192.0.2.9", &[("forwarded", "\"")]).is_ok());
    }

    #[test]
    fn the_rightmost_address_that_is_not_trusted_is_the_client() {
        let spoofed = [("x-forwarded-for", "1.2.3.4, 192.0.2.9, 10.1.1.1")];
        assert_eq!(address("10.0.0.1", &spoofed), "192.0.2.9");
        let spoofed = [("forwarded", "for=1.2.3.4, for=192.0.2.9, for=10.1.1.1")];
        assert_eq!(address("10.0.0.1", &spoofed), "192.0.2.9");
        assert_eq!(address("[::ffff:10.0.0.1]", &spoofed), "192.0.2.9");
        // All of them trusted: the outermost.
        assert_eq!(address("10.0.0.1", &[("x-forwarded-for", "10.2.2.2, 10.1.1.1")]), "10.2.2.2");
        // A proxy that does not tell is the last that is known.
        assert_eq!(address("10.0.0.1", &[("forwarded", "for=1.2.3.4, for=unknown")]), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn protocol_and_host_are_those_that_the_outermost_trusted_proxy_saw() {
        let lines = [(
            "forwarded",
            "for=192.0.2.9;proto=https;host=xrays.example, for=10.1.1.1;proto=http",
        )];
        let seen = peer("10.0.0.1", &lines).expect("resolved");
        assert!(seen.secure && seen.forwarded && !seen.is_local());
        assert_eq!(seen.host.as_deref(), Some("xrays.example"));
        let spoofed = [("x-forwarded-for", "192.0.2.9"), ("x-forwarded-proto", "https, http")];
        assert!(!peer("10.0.0.1", &spoofed).expect("resolved").secure);
    }

    #[test]
    fn two_accounts_that_contradict_each_other_are_refused_and_so_is_what_cannot_be_read() {
        let two = |xff| [("forwarded", "for=192.0.2.9;proto=https"), ("x-forwarded-for", xff)];
        assert!(peer("10.0.0.1", &two("192.0.2.9")).expect("the same").secure);
        assert_eq!(
            peer("10.0.0.1", &two("192.0.2.8")).expect_err("refused").kind(),
            Kind::BadRequest
        );
        assert!(peer("10.0.0.1", &[("forwarded", "for=\"")]).is_err());
    }

    #[test]
    fn the_local_user_is_who_connects_from_this_machine_without_a_proxy() {
        assert!(peer("127.0.0.1", &[]).expect("resolved").is_local());
        assert!(
            !peer("127.0.0.1", &[("x-forwarded-for", "127.0.0.1")]).expect("resolved").is_local()
        );
        assert!(!peer("192.0.2.9", &[]).expect("resolved").is_local());
    }

    #[test]
    fn a_network_is_written_as_it_is_read_and_every_address_is_none() {
        for text in ["10.0.0.0/8", "fd00::/8", "127.0.0.1", "::1"] {
            assert_eq!(text.parse::<ProxyNetwork>().expect("a network").to_string(), text);
        }
        let with_host: ProxyNetwork = "10.1.2.3/8".parse().expect("a network");
        assert_eq!(with_host.to_string(), "10.0.0.0/8");
        for text in ["", "proxy.example", "10.0.0.0/33", "10.0.0.1:80", "0.0.0.0/0", "::/0"] {
            assert!(text.parse::<ProxyNetwork>().is_err(), "{text:?} was read");
        }
    }
}
