//! Rate limits: how often an address, a name at sign-in and a caller may ask, and how much at once.
//!
//! Each is a leaky bucket (GCRA) that holds a burst and fills at a steady rate. Nobody who works with the product meets
//! one: what a bulk upload or a page does in a second is far below, and uploads have no rate at all but a bound on how
//! many run at once, since thousands of files in a row are ordinary.

mod bucket;
mod fields;
mod slots;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError as _, web};
use governor::clock::{Clock, MonotonicClock};
use prometheus::{IntCounterVec, Opts, Registry};
use uuid::Uuid;

use self::bucket::{Buckets, Policy};
pub(crate) use self::bucket::{Exceeded, Standing};
pub(crate) use self::slots::Slot;
use self::slots::Slots;
use crate::peer::Peer;
use crate::problem::{Kind, Problem};

/// The time in which an address that nobody has signed in from has its burst back.
const ADDRESS_WINDOW: Duration = Duration::from_secs(10);
/// Of one address and one name: ten tries, then one every six seconds.
const SIGN_IN: Policy = Policy { name: "sign-in", burst: 10, each: Duration::from_secs(6) };
/// Of one address, whatever the names: a hundred tries, then one every two seconds.
const SIGN_IN_ADDRESS: Policy =
    Policy { name: "sign-in-address", burst: 100, each: Duration::from_secs(2) };
/// Of one caller: 50 a second, 200 at once.
const CALLER: Policy = Policy { name: "caller", burst: 200, each: Duration::from_millis(20) };
/// Requests of one caller that are answered at once. `lobar upload` sends 8 unless told otherwise, a browser 6 over
/// HTTP/1 and 100 over HTTP/2.
const CALLER_AT_ONCE: usize = 256;
/// The limit on those, as it is called.
const AT_ONCE: &str = "caller-at-once";

/// All limits of a process. Each process counts for itself.
pub(crate) struct RateLimits<C: Clock = MonotonicClock> {
    address: Buckets<IpAddr, C>,
    sign_in: Buckets<(IpAddr, u64), C>,
    sign_in_address: Buckets<IpAddr, C>,
    caller: Buckets<Uuid, C>,
    at_once: Slots<Uuid>,
    exceeded: IntCounterVec,
}

impl<C: Clock + Clone> RateLimits<C> {
    /// Nobody has asked yet.
    pub(crate) fn register(
        address_burst: u32,
        clock: C,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let burst = address_burst.max(1);
        let address = Policy { name: "address", burst, each: ADDRESS_WINDOW / burst };
        let options = Opts::new(
            "lobar_api_rate_limited_total",
            "Requests that were refused because a rate limit was exceeded, by limit.",
        );
        let exceeded = IntCounterVec::new(options, &["limit"])?;
        for policy in [address, SIGN_IN, SIGN_IN_ADDRESS, CALLER] {
            exceeded.with_label_values(&[policy.name]).reset();
        }
        exceeded.with_label_values(&[AT_ONCE]).reset();
        registry.register(Box::new(exceeded.clone()))?;
        Ok(Self {
            address: Buckets::new(address, clock.clone()),
            sign_in: Buckets::new(SIGN_IN, clock.clone()),
            sign_in_address: Buckets::new(SIGN_IN_ADDRESS, clock.clone()),
            caller: Buckets::new(CALLER, clock),
            at_once: Slots::new(CALLER_AT_ONCE),
            exceeded,
        })
    }

    /// Counts a request that nobody has signed in for.
    ///
    /// # Errors
    /// When its address has asked too often.
    pub(crate) fn check_address(&self, address: IpAddr) -> Result<Standing, Exceeded> {
        self.counted(self.address.take(network(address)))
    }

    /// Counts a try to sign in, before the password is looked at. `name` is a hash of the account's name, known or not.
    ///
    /// # Errors
    /// When the address has tried this name, or names, too often.
    pub(crate) fn check_sign_in(&self, address: IpAddr, name: u64) -> Result<Standing, Exceeded> {
        let network = network(address);
        self.counted(self.sign_in_address.take(network))?;
        self.counted(self.sign_in.take((network, name)))
    }

    /// Counts a try to sign in at another provider, before its answer is looked at.
    ///
    /// # Errors
    /// When the address has tried too often.
    pub(crate) fn check_sign_in_address(&self, address: IpAddr) -> Result<Standing, Exceeded> {
        self.counted(self.sign_in_address.take(network(address)))
    }

    /// Counts a request of somebody who has signed in, other than an upload.
    ///
    /// # Errors
    /// When they have asked too often.
    pub(crate) fn check_caller(&self, caller: Uuid) -> Result<Standing, Exceeded> {
        self.counted(self.caller.take(caller))
    }

    /// Takes a place for a request of somebody who has signed in, until the place is dropped: uploads too, and event
    /// streams not, which have a bound of their own.
    ///
    /// # Errors
    /// When they have too many requests under way.
    pub(crate) fn enter_caller(&self, caller: Uuid) -> Result<Slot<Uuid>, Exceeded> {
        self.counted(self.at_once.take(caller).ok_or(Exceeded::at_once(AT_ONCE)))
    }

    fn counted<T>(&self, taken: Result<T, Exceeded>) -> Result<T, Exceeded> {
        taken.inspect_err(|exceeded| self.exceeded.with_label_values(&[exceeded.limit()]).inc())
    }
}

/// Who is counted as one: an IPv4 address, or the 64 bits that one IPv6 subscriber is given (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address => address,
    }
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        let seconds = exceeded.retry_after();
        let detail =
            format!("The limit {:?} is exceeded; try again in {seconds} s.", exceeded.limit());
        let mut problem =
            Problem::new(Kind::TooManyRequests, detail).with("limit", exceeded.limit());
        for (name, value) in exceeded.headers() {
            problem = problem.header(name, value);
        }
        problem
    }
}

/// Counts requests by their address. The local user and uploads are not counted, nor what probes and scrapers ask.
pub(crate) async fn limit_address(
    limits: web::Data<RateLimits>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let peer = Peer::of(&request).filter(|peer| !peer.is_local() && is_counted(&request));
    let Some(peer) = peer else { return Ok(next.call(request).await?.map_into_left_body()) };
    match limits.check_address(peer.address) {
        Ok(standing) => {
            let mut response = next.call(request).await?.map_into_left_body();
            for (name, value) in standing.headers() {
                response.headers_mut().insert(name, value);
            }
            Ok(response)
        }
        Err(exceeded) => {
            let response = Problem::from(exceeded).error_response();
            Ok(request.into_response(response).map_into_right_body())
        }
    }
}

fn is_counted(request: &ServiceRequest) -> bool {
    let path = request.path();
    let is_upload = request.method() == Method::POST
        && (path == "/v1/images" || path == "/v1/predict" || path.starts_with("/v1/uploads"));
    !is_upload && !matches!(path, "/livez" | "/readyz" | "/metrics")
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    fn limits() -> (RateLimits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let limits =
            RateLimits::register(2_000, clock.clone(), &Registry::new()).expect("registered");
        (limits, clock)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn ten_tries_of_a_name_then_one_every_six_seconds() {
        let (limits, clock) = limits();
        let tries = |name| limits.check_sign_in(address("192.0.2.1"), name);
        for _ in 0..10 {
            assert!(tries(1).is_ok());
        }
        assert_eq!(tries(1).expect_err("refused").retry_after(), 6);
        assert!(tries(2).is_ok(), "another name");
        assert!(limits.check_sign_in(address("192.0.2.2"), 1).is_ok(), "another address");
        clock.advance(Duration::from_millis(5_999));
        assert_eq!(tries(1).expect_err("refused").retry_after(), 1);
        clock.advance(Duration::from_millis(1));
        assert!(tries(1).is_ok());
        assert!(tries(1).is_err());
    }

    #[test]
    fn one_address_tries_a_hundred_names_and_no_more() {
        let (limits, _) = limits();
        let refused =
            (0..200).find(|name| limits.check_sign_in(address("192.0.2.1"), *name).is_err());
        assert_eq!(refused, Some(100));
        assert_eq!(limits.exceeded.with_label_values(&["sign-in-address"]).get(), 1);
    }

    #[test]
    fn neighbours_of_64_bits_are_one_and_an_ipv4_address_is_one_however_it_is_written() {
        assert_eq!(network(address("2001:db8:1:2:3:4:5:6")), address("2001:db8:1:2::"));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
        assert_ne!(network(address("192.0.2.1")), network(address("192.0.2.2")));
    }

    #[test]
    fn a_caller_has_a_burst_and_comes_back_by_waiting() {
        let (limits, clock) = limits();
        let caller = Uuid::from_u128(7);
        let taken = (0..1_000).take_while(|_| limits.check_caller(caller).is_ok()).count();
        assert_eq!(taken, 200);
        assert!(limits.check_caller(Uuid::from_u128(8)).is_ok());
        clock.advance(Duration::from_secs(1));
        let taken = (0..1_000).take_while(|_| limits.check_caller(caller).is_ok()).count();
        assert_eq!(taken, 50);
    }

    #[test]
    fn a_caller_may_have_so_many_requests_under_way_and_each_end_makes_room() {
        let (limits, _) = limits();
        let caller = Uuid::from_u128(7);
        let mut held: Vec<_> =
            (0..CALLER_AT_ONCE).map(|_| limits.enter_caller(caller).expect("room")).collect();
        let exceeded = limits.enter_caller(caller).err().expect("no room");
        assert_eq!((exceeded.limit(), exceeded.retry_after()), (AT_ONCE, 1));
        assert!(limits.enter_caller(Uuid::from_u128(8)).is_ok());
        held.pop();
        assert!(limits.enter_caller(caller).is_ok());
    }
}
