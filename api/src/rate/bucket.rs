//! Buckets by key, in bounded memory.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// Keys that are remembered at once. Beyond, those whose buckets are full again are forgotten.
const KEYS: usize = 100_000;

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// What it is called in headers, problems and metrics.
    pub(super) name: &'static str,
    /// How many requests at once.
    pub(super) burst: u32,
    /// The time in which one more is granted.
    pub(super) each: Duration,
}

impl Policy {
    /// The time in which an empty bucket fills.
    pub(super) fn window(self) -> Duration {
        self.each * self.burst
    }

    fn quota(self) -> Quota {
        let burst = NonZeroU32::new(self.burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(self.each).unwrap_or(Quota::per_second(burst));
        quota.allow_burst(burst)
    }
}

/// A request that was let through, and what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(super) policy: Policy,
    pub(super) remaining: u32,
}

/// A request that was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub(super) limit: &'static str,
    /// `None` for a bound on what is under way, which has no rate.
    pub(super) policy: Option<Policy>,
    pub(super) wait: Duration,
}

impl Exceeded {
    /// Too much under way: some of it may have ended after `wait`.
    pub(super) fn at_once(limit: &'static str, wait: Duration) -> Self {
        Self { limit, policy: None, wait }
    }

    /// Which limit.
    pub(crate) fn limit(self) -> &'static str {
        self.limit
    }

    /// Seconds to wait, rounded up.
    pub(crate) fn retry_after(self) -> u64 {
        super::fields::seconds(self.wait).max(1)
    }
}

type Limiter<K, C> = RateLimiter<K, HashMapStateStore<K>, C, StateInformationMiddleware>;

/// One bucket a key.
pub(super) struct Buckets<K: Hash + Eq + Clone, C: Clock> {
    policy: Policy,
    clock: C,
    keys: usize,
    limiter: RwLock<Limiter<K, C>>,
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Buckets<K, C> {
    pub(super) fn new(policy: Policy, clock: C) -> Self {
        Self::holding(KEYS, policy, clock)
    }

    fn holding(keys: usize, policy: Policy, clock: C) -> Self {
        let limiter = RwLock::new(limiter(policy, clock.clone()));
        Self { policy, clock, keys, limiter }
    }

    /// Takes one from the bucket of `key`.
    pub(super) fn take(&self, key: K) -> Result<Standing, Exceeded> {
        let policy = self.policy;
        let (taken, keys) = {
            let limiter = self.limiter.read().unwrap_or_else(PoisonError::into_inner);
            (limiter.check_key(&key), limiter.len())
        };
        if keys > self.keys {
            self.forget();
        }
        match taken {
            Ok(state) => Ok(Standing { policy, remaining: state.remaining_burst_capacity() }),
            Err(until) => {
                let wait = until.wait_time_from(self.clock.now());
                Err(Exceeded { limit: policy.name, policy: Some(policy), wait })
            }
        }
    }

    /// Forgets who has waited long enough to begin anew. Where that makes little room, so many addresses are at it that
    /// a limit by address holds nobody back: all are forgotten, rather than looked through again at each request.
    fn forget(&self) {
        let mut limiter = self.limiter.write().unwrap_or_else(PoisonError::into_inner);
        limiter.retain_recent();
        if limiter.len() > self.keys / 2 {
            *limiter = self::limiter(self.policy, self.clock.clone());
        }
        limiter.shrink_to_fit();
    }
}

fn limiter<K: Hash + Eq + Clone, C: Clock>(policy: Policy, clock: C) -> Limiter<K, C> {
    RateLimiter::hashmap_with_clock(policy.quota(), clock).with_middleware()
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    const POLICY: Policy = Policy { name: "test", burst: 2, each: Duration::from_secs(10) };

    #[test]
    fn what_is_left_is_told_and_then_how_long_to_wait() {
        let clock = FakeRelativeClock::default();
        let buckets = Buckets::holding(10, POLICY, clock.clone());
        assert_eq!(buckets.take(1).expect("room").remaining, 1);
        assert_eq!(buckets.take(1).expect("room").remaining, 0);
        clock.advance(Duration::from_millis(2_500));
        let exceeded = buckets.take(1).expect_err("refused");
        assert_eq!((exceeded.wait, exceeded.retry_after()), (Duration::from_millis(7_500), 8));
        assert_eq!(POLICY.window(), Duration::from_secs(20));
    }

    #[test]
    fn who_waited_is_forgotten_first_and_who_did_not_is_remembered_while_there_is_room() {
        let clock = FakeRelativeClock::default();
        let buckets = Buckets::holding(10, POLICY, clock.clone());
        for key in 0..9 {
            assert!(buckets.take(key).is_ok());
        }
        clock.advance(Duration::from_secs(60));
        for _ in 0..2 {
            assert!(buckets.take(100).is_ok());
        }
        assert!(buckets.take(101).is_ok(), "one key too many: those of a minute ago go");
        assert!(buckets.take(100).is_err(), "and that of this moment stays");
    }

    #[test]
    fn memory_is_bounded_however_many_keys_come_at_once() {
        let buckets = Buckets::holding(100, POLICY, FakeRelativeClock::default());
        for key in 0..10_000 {
            assert!(buckets.take(key).is_ok());
            assert!(buckets.limiter.read().expect("no panic").len() <= 101);
        }
    }
}
