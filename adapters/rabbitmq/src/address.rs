//! What a URL says: `amqp://user:password@host:port/vhost?prefix=…&queue=…&exchange=…&routing_key=…`.

use lapin::uri::AMQPUri;

use super::error::BrokerError;
use super::topology::{Binding, Topology};

/// Seconds between heartbeats, unless the URL says so: a lost connection is noticed within twice that.
const HEARTBEAT: u16 = 10;
/// How long the TCP handshake may take, in milliseconds, unless the URL says so.
const CONNECT_MILLIS: u64 = 10_000;
/// The longest name that a queue is given; AMQP allows 255 bytes, and ours get suffixes.
const LONGEST_NAME: usize = 200;

/// A broker and the names to use there.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// Without our own parameters.
    pub(super) uri: AMQPUri,
    prefix: String,
    queue: Option<String>,
    binding: Option<Binding>,
}

impl Address {
    /// Reads a URL. Errors do not repeat it, since it may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self, BrokerError> {
        let malformed = || {
            BrokerError::permanent(
                "not a RabbitMQ URL: expected amqp[s]://user:password@host:port/vhost",
            )
        };
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut prefix, mut queue) = ("lobar".to_owned(), None);
        let (mut exchange, mut routing_key) = (None, String::new());
        let mut theirs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(malformed)?;
            let decoded = decode(value).ok_or_else(malformed)?;
            match name {
                "prefix" => prefix = decoded,
                "queue" => queue = Some(decoded),
                "exchange" => exchange = Some(decoded),
                "routing_key" => routing_key = decoded,
                "heartbeat" | "connection_timeout" | "channel_max" | "frame_max"
                | "auth_mechanism" => theirs.push(pair),
                _ => {
                    return Err(BrokerError::permanent(format!(
                        "unknown parameter `{name}` in the URL; known: prefix, queue, exchange, \
                         routing_key, heartbeat, connection_timeout, channel_max, frame_max, \
                         auth_mechanism"
                    )));
                }
            }
        }
        if [Some(&prefix), queue.as_ref()].into_iter().flatten().any(|name| !is_name(name)) {
            return Err(BrokerError::permanent(format!(
                "the parameters `prefix` and `queue` need 1 to {LONGEST_NAME} characters"
            )));
        }
        if exchange.is_some() && queue.is_none() {
            return Err(BrokerError::permanent("the parameter `exchange` needs `queue` beside it"));
        }
        // `amqp://host/` is the virtual host of no name, which nobody has.
        let base = base.strip_suffix('/').unwrap_or(base);
        let mut uri: AMQPUri =
            format!("{base}?{}", theirs.join("&")).parse().map_err(|_| malformed())?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        uri.query.connection_timeout.get_or_insert(CONNECT_MILLIS);
        let binding = exchange.map(|exchange| Binding { exchange, routing_key });
        Ok(Self { uri, prefix, queue, binding })
    }

    /// The names of the queue `name` and what belongs to it.
    pub(super) fn topology(&self, name: &str) -> Topology {
        match &self.queue {
            Some(queue) => Topology::new(queue.clone(), self.binding.clone()),
            None => Topology::new(format!("{}.{name}", self.prefix), None),
        }
    }

    /// The same for URLs that can share connections. Holds the password.
    pub(super) fn key(&self) -> String {
        self.uri.to_string()
    }
}

fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
}

/// Whether a URL can be read, without connecting.
///
/// # Errors
/// What is wrong with it, never repeating more than the name of a parameter.
pub fn check_url(url: &str) -> Result<(), String> {
    Address::parse(url).map(drop).map_err(|error| error.to_string())
}

/// Percent-decoding.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_the_broker_and_the_queues() {
        let address = Address::parse("amqp://me:pass%20word@host:1234/my%2Fhost").expect("parsed");
        assert_eq!(address.uri.authority.userinfo.password, "pass word");
        assert_eq!((address.uri.authority.port, address.uri.vhost.as_str()), (1234, "my/host"));
        assert_eq!(address.uri.query.heartbeat, Some(10));
        assert_eq!(address.topology("jobs-stat").main, "lobar.jobs-stat");
    }

    #[test]
    fn no_virtual_host_is_the_default_one() {
        for url in ["amqp://host", "amqp://host/", "amqp://host/%2f"] {
            assert_eq!(Address::parse(url).expect("parsed").uri.vhost, "/", "{url}");
        }
    }

    #[test]
    fn parameters_are_ours_or_the_connection_s() {
        let url = "amqps://host/v?prefix=a.b&heartbeat=3";
        let address = Address::parse(url).expect("parsed");
        assert_eq!(address.topology("uploads").main, "a.b.uploads");
        assert_eq!(address.uri.query.heartbeat, Some(3));
        let foreign = "amqp://host?queue=bucket%20events&exchange=minio&routing_key=x";
        let topology = Address::parse(foreign).expect("parsed").topology("uploads");
        assert_eq!(topology.main, "bucket events");
        let binding = topology.binding.expect("a binding");
        assert_eq!((binding.exchange.as_str(), binding.routing_key.as_str()), ("minio", "x"));
    }

    #[test]
    fn what_cannot_be_is_refused_without_the_password() {
        for url in [
            "amqp://me:secret@ho st",
            "amqp://me:secret@host?colour=red",
            "amqp://me:secret@host?prefix=",
            "amqp://me:secret@host?prefix=%zz",
            "amqp://me:secret@host?exchange=e",
        ] {
            let fault = Address::parse(url).expect_err(url);
            assert!(fault.is_refusal() && !fault.to_string().contains("secret"), "{fault}");
        }
    }
}
