//! Rate limits: how often an address, a name at sign-in and a caller may ask, and how much at once.
//!
//! Each is a leaky bucket (GCRA) that holds a burst and fills at a steady rate. Nobody who works with the product meets
//! one: what a bulk upload or a page does in a second is far below, and uploads have no rate at all but a bound on how
//! many run at once, since thousands of files in a row are ordinary.
//!
//! Whoever is known by what they sign in with is counted as themselves and never by their address: a hospital is one
//! address, and a program that guesses in it must not keep out those who are signed in.

mod bucket;
mod client;
mod familiar;
mod fields;
mod shares;
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
pub(crate) use self::client::Client;
use self::familiar::Familiar;
pub(crate) use self::shares::Shares;
pub(crate) use self::slots::Slot;
use self::slots::Slots;
use crate::context::Context;
use crate::peer::Peer;
use crate::problem::{Kind, Problem};

/// The time in which an address that nobody has signed in from has its burst back.
const ADDRESS_WINDOW: Duration = Duration::from_secs(10);
/// Of one address and one name: ten tries, then one every six seconds.
const SIGN_IN: Policy = Policy { name: "sign-in", burst: 10, each: Duration::from_secs(6) };
/// Of one address, whatever the names, other than those that signed in from there before: a thousand tries, then five a
/// second. A hospital of a thousand people that begins its day behind one address is below it.
const SIGN_IN_ADDRESS: Policy =
    Policy { name: "sign-in-address", burst: 1_000, each: Duration::from_millis(200) };
/// Of one account that is asked for its password although somebody is signed in: as for a name.
const PROOF: Policy = Policy { name: "proof", ..SIGN_IN };
/// Of one caller: 50 a second, 200 at once.
const CALLER: Policy = Policy { name: "caller", burst: 200, each: Duration::from_millis(20) };
/// Requests of one caller that are answered at once. `lobar upload` sends 8 unless told otherwise, a browser 6 over
/// HTTP/1 and 100 over HTTP/2.
const CALLER_AT_ONCE: usize = 256;
/// The limit on those, as it is called.
const AT_ONCE: &str = "caller-at-once";
/// The limit on event streams of one caller, as it is called.
const STREAMS: &str = "caller-streams";
/// When to come back for a request, and for an event stream, when too many are under way.
const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(10);

/// All limits of a process. Each process counts for itself.
pub(crate) struct RateLimits<C: Clock = MonotonicClock> {
    address: Buckets<IpAddr, C>,
    sign_in: Buckets<(IpAddr, u64), C>,
    sign_in_address: Buckets<IpAddr, C>,
    familiar: Familiar,
    proof: Buckets<Uuid, C>,
    caller: Buckets<Uuid, C>,
    at_once: Slots<Uuid>,
    streams: Slots<Uuid>,
    exceeded: IntCounterVec,
}

impl<C: Clock + Clone> RateLimits<C> {
    /// Nobody has asked yet. One caller may follow `streams` event streams.
    pub(crate) fn register(
        address_burst: u32,
        streams: usize,
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
        for policy in [address, SIGN_IN, SIGN_IN_ADDRESS, PROOF, CALLER] {
            exceeded.with_label_values(&[policy.name]).reset();
        }
        for name in [AT_ONCE, STREAMS] {
            exceeded.with_label_values(&[name]).reset();
        }
        registry.register(Box::new(exceeded.clone()))?;
        Ok(Self {
            address: Buckets::new(address, clock.clone()),
            sign_in: Buckets::new(SIGN_IN, clock.clone()),
            sign_in_address: Buckets::new(SIGN_IN_ADDRESS, clock.clone()),
            familiar: Familiar::default(),
            proof: Buckets::new(PROOF, clock.clone()),
            caller: Buckets::new(CALLER, clock),
            at_once: Slots::new(CALLER_AT_ONCE),
            streams: Slots::new(streams.max(1)),
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
        let standing = self.counted(self.sign_in.take((network, name)))?;
        // Who guesses names from an address keeps nobody out who has signed in from there before.
        if !self.familiar.knows((network, name)) {
            self.counted(self.sign_in_address.take(network))?;
        }
        Ok(standing)
    }

    /// The name has signed in from there.
    pub(crate) fn signed_in(&self, address: IpAddr, name: u64) {
        self.familiar.note((network(address), name));
    }

    /// Counts a try to prove that it is the account's own person who asks, before the password is looked at: a session
    /// that was stolen must not be the way to guess it.
    ///
    /// # Errors
    /// When it was tried too often.
    pub(crate) fn check_proof(&self, account: Uuid) -> Result<Standing, Exceeded> {
        self.counted(self.proof.take(account))
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
        self.counted(self.at_once.take(caller).ok_or(Exceeded::at_once(AT_ONCE, SOON)))
    }

    /// Takes a place for an event stream of somebody who has signed in, until the place is dropped.
    ///
    /// # Errors
    /// When they follow too many.
    pub(crate) fn enter_stream(&self, caller: Uuid) -> Result<Slot<Uuid>, Exceeded> {
        self.counted(self.streams.take(caller).ok_or(Exceeded::at_once(STREAMS, LATER)))
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

/// Counts requests by their address: of those who are not known by what they sign in with, and what needs no signing in.
/// The local user is not counted, nor are probes.
pub(crate) async fn limit_address(
    limits: web::Data<RateLimits>,
    context: web::Data<Context>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let peer = Peer::of(&request).filter(|peer| !peer.is_local() && is_counted(&context, &request));
    let Some(peer) = peer else { return Ok(next.call(request).await?.map_into_left_body()) };
    match limits.check_address(peer.address) {
        Ok(standing) => {
            let mut response = next.call(request).await?.map_into_left_body();
            tell(&mut response, standing);
            Ok(response)
        }
        Err(exceeded) => {
            let response = Problem::from(exceeded).error_response();
            Ok(request.into_response(response).map_into_right_body())
        }
    }
}

/// Tells how a limit stands, unless the answer says so of another that counts more.
pub(crate) fn tell<B>(response: &mut ServiceResponse<B>, standing: Standing) {
    for (name, value) in standing.headers() {
        if !response.headers().contains_key(&name) {
            response.headers_mut().insert(name, value);
        }
    }
}

fn is_counted(context: &Context, request: &ServiceRequest) -> bool {
    match request.path() {
        "/livez" | "/readyz" => false,
        // What needs a right is counted by caller, once it is known who that is.
        path if needs_right(request.method(), path) => !context.identity.knows(request.request()),
        _ => true,
    }
}

/// Whether an address needs a right.
fn needs_right(method: &Method, path: &str) -> bool {
    path == "/metrics"
        || path.starts_with("/dicom-web/")
        || (path.starts_with("/v1/") && !is_open(method, path))
}

/// The addresses of the API that need no signing in.
fn is_open(method: &Method, path: &str) -> bool {
    match path {
        "/v1/oidc" | "/v1/oidc/start" | "/v1/oidc/callback" => {
            matches!(*method, Method::GET | Method::HEAD)
        }
        "/v1/session" | "/v1/links" | "/v1/links/redeem" | "/v1/oidc/logout" => {
            method == Method::POST
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    fn limits() -> (RateLimits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let limits =
            RateLimits::register(2_000, 100, clock.clone(), &Registry::new()).expect("registered");
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
    fn one_address_tries_a_thousand_names_and_no_more_and_who_signed_in_there_before_still_may() {
        let (limits, clock) = limits();
        let hospital = address("192.0.2.1");
        // A doctor who was there yesterday, and the thousand who begin their day.
        limits.signed_in(hospital, 77);
        let refused = (1_000..5_000).find(|name| limits.check_sign_in(hospital, *name).is_err());
        assert_eq!(refused, Some(2_000));
        assert_eq!(limits.exceeded.with_label_values(&["sign-in-address"]).get(), 1);
        assert!(limits.check_sign_in(hospital, 77).is_ok());
        assert!(limits.check_sign_in(address("192.0.2.2"), 3_000).is_ok(), "another address");
        clock.advance(Duration::from_secs(1));
        let more = (5_000..6_000).take_while(|name| limits.check_sign_in(hospital, *name).is_ok());
        assert_eq!(more.count(), 5);
    }

    #[test]
    fn whoever_hammers_one_name_takes_nothing_from_the_others_of_the_address() {
        let (limits, _) = limits();
        let hospital = address("192.0.2.1");
        for _ in 0..10_000 {
            let _ = limits.check_sign_in(hospital, 1);
        }
        assert!((1_000..1_900).all(|name| limits.check_sign_in(hospital, name).is_ok()));
    }

    #[test]
    fn the_password_of_an_account_is_guessed_no_faster_with_its_session_than_without() {
        let (limits, _) = limits();
        let account = Uuid::from_u128(7);
        let tried = (0..100).take_while(|_| limits.check_proof(account).is_ok()).count();
        assert_eq!(tried, 10);
        assert!(limits.check_proof(Uuid::from_u128(8)).is_ok());
    }

    #[test]
    fn one_caller_follows_so_many_streams_and_others_find_room() {
        let (limits, _) = limits();
        let caller = Uuid::from_u128(7);
        let mut held: Vec<_> =
            (0..100).map(|_| limits.enter_stream(caller).expect("room")).collect();
        let exceeded = limits.enter_stream(caller).err().expect("no room");
        assert_eq!((exceeded.limit(), exceeded.retry_after()), (STREAMS, 10));
        assert!(limits.enter_stream(Uuid::from_u128(8)).is_ok());
        held.pop();
        assert!(limits.enter_stream(caller).is_ok());
    }

    /// Kept beside the server's own table.
    #[test]
    fn what_is_open_of_the_api_is_what_the_routes_say() {
        for route in crate::routes::route_rights() {
            let method = route.method.parse().expect("a method");
            let open = route.right == lobar_core::access::Right::Open;
            let expected = open && route.path.starts_with("/v1/");
            assert_eq!(is_open(&method, route.path), expected, "{}", route.path);
        }
    }

    #[test]
    fn whoever_is_known_is_not_counted_by_address_where_a_right_is_needed() {
        for route in crate::routes::route_rights() {
            let method = route.method.parse().expect("a method");
            let needs = route.right != lobar_core::access::Right::Open;
            assert_eq!(needs_right(&method, route.path), needs, "{} {}", route.method, route.path);
        }
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
