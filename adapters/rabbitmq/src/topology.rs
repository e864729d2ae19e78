//! The queues behind one queue of the port, declared together and again on every connection:
//!
//! - `NAME` takes what is sent, or what a foreign exchange routes to it;
//! - `NAME.again` takes what came back: released, or after its delay. It is received first, so that what
//!   comes back does not wait for the whole backlog;
//! - `NAME.dead` keeps what is put aside;
//! - `NAME.delay.00` … `NAME.delay.11` hide messages for 250 ms, 500 ms … 512 s. A delay is a number in
//!   binary, its digits the words of the routing key. Each rung has a topic exchange that leads to its
//!   queue where its digit is 1 and past it where it is 0; from the last, messages reach `NAME.again`.
//!   The broker does all of that by itself, with its own clock.
//!
//! All are quorum queues, and dead-letter at least once, so that a message is never in none of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use lapin::options::{
    ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};

use super::error::{BrokerError, is_missing, telling};

/// The shortest delay.
const UNIT: Duration = Duration::from_millis(250);
/// How many rungs the ladder of delays has.
const RUNGS: u32 = 12;
/// How often the broker delivers a message before it is put aside: so often that only a message in an
/// endless circle gets there. Attempts at an image are counted in the store.
const DELIVERY_LIMIT: i64 = 1_000;

/// Where a foreign exchange sends its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// Declared by its owner.
    pub(super) exchange: String,
    /// What of it is wanted.
    pub(super) routing_key: String,
}

/// The names behind one queue.
#[derive(Debug)]
pub(super) struct Topology {
    pub(super) main: String,
    pub(super) again: String,
    pub(super) dead: String,
    pub(super) binding: Option<Binding>,
    /// The connections on which it was declared last, by their purpose.
    declared: [AtomicU64; 2],
}

/// How a message gets into the ladder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Delay {
    /// The digits.
    pub(super) key: String,
    /// What the ladder is too short for.
    pub(super) left: Duration,
}

impl Topology {
    pub(super) fn new(main: String, binding: Option<Binding>) -> Self {
        let (again, dead) = (format!("{main}.again"), format!("{main}.dead"));
        Self { main, again, dead, binding, declared: Default::default() }
    }

    /// The name of a rung, which its exchange and its queue share.
    pub(super) fn rung(&self, rung: u32) -> String {
        format!("{}.delay.{rung:02}", self.main)
    }

    /// The exchange that delayed messages enter by.
    pub(super) fn ladder(&self) -> String {
        self.rung(RUNGS - 1)
    }

    /// The queues that delayed messages wait in.
    pub(super) fn rungs(&self) -> impl Iterator<Item = String> {
        (0..RUNGS).map(|rung| self.rung(rung))
    }

    /// Declares everything, unless that was done on the connection `generation` before. The channel
    /// is of no more use when that fails.
    pub(super) async fn declare(
        &self,
        channel: &Channel,
        purpose: usize,
        generation: u64,
    ) -> Result<(), BrokerError> {
        if self.is_declared(purpose, generation) {
            return Ok(());
        }
        let queues = self.queues();
        let declared = join_all(queues.into_iter().map(|(name, arguments)| {
            channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments)
        }));
        check(declared.await)?;
        let exchanges = join_all(self.rungs().map(|name| {
            let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
            channel.exchange_declare(
                name.into(),
                ExchangeKind::Topic,
                durable,
                FieldTable::default(),
            )
        }));
        check(exchanges.await)?;
        self.bind(channel).await?;
        if let Some(binding) = &self.binding {
            self.bind_foreign(channel, binding).await?;
        }
        self.declared[purpose].store(generation, Ordering::Relaxed);
        Ok(())
    }

    /// Whether it was declared on the connection `generation`.
    pub(super) fn is_declared(&self, purpose: usize, generation: u64) -> bool {
        self.declared[purpose].load(Ordering::Relaxed) == generation
    }

    /// Something of it is missing: declares it anew next time.
    pub(super) fn is_missing(&self) {
        for declared in &self.declared {
            declared.store(0, Ordering::Relaxed);
        }
    }

    /// The queues with their arguments.
    pub(super) fn queues(&self) -> Vec<(String, FieldTable)> {
        let limited = || {
            arguments([
                ("x-delivery-limit", DELIVERY_LIMIT.into()),
                ("x-dead-letter-exchange", text("")),
                ("x-dead-letter-routing-key", text(&self.dead)),
                ("x-dead-letter-strategy", text("at-least-once")),
                ("x-overflow", text("reject-publish")),
            ])
        };
        let rung = |rung: u32| {
            let mut arguments = arguments([
                ("x-message-ttl", i64::from(hidden_millis(rung)).into()),
                ("x-dead-letter-strategy", text("at-least-once")),
                ("x-overflow", text("reject-publish")),
            ]);
            let next = rung.checked_sub(1).map(|next| self.rung(next));
            let exchange = text(next.as_deref().unwrap_or_default());
            arguments.insert("x-dead-letter-exchange".into(), exchange);
            if next.is_none() {
                arguments.insert("x-dead-letter-routing-key".into(), text(&self.again));
            }
            (self.rung(rung), arguments)
        };
        let mut queues = vec![
            (self.dead.clone(), arguments([])),
            (self.again.clone(), limited()),
            (self.main.clone(), limited()),
        ];
        queues.extend((0..RUNGS).map(rung));
        queues
    }

    async fn bind(&self, channel: &Channel) -> Result<(), BrokerError> {
        let (mut queues, mut exchanges) = (Vec::new(), Vec::new());
        let mut last = Vec::new();
        for rung in 0..RUNGS {
            let name = self.rung(rung);
            let digit = |digit: char| {
                let before = "*.".repeat((RUNGS - 1 - rung) as usize);
                ShortString::from(format!("{before}{digit}.#"))
            };
            let options = QueueBindOptions::default();
            let none = FieldTable::default;
            queues.push(channel.queue_bind(
                name.clone().into(),
                name.clone().into(),
                digit('1'),
                options,
                none(),
            ));
            match rung.checked_sub(1).map(|next| self.rung(next)) {
                Some(next) => exchanges.push(channel.exchange_bind(
                    next.into(),
                    name.into(),
                    digit('0'),
                    ExchangeBindOptions::default(),
                    none(),
                )),
                None => last.push(channel.queue_bind(
                    self.again.clone().into(),
                    name.into(),
                    digit('0'),
                    options,
                    none(),
                )),
            }
        }
        check(join_all(queues).await)?;
        check(join_all(exchanges).await)?;
        check(join_all(last).await)
    }

    async fn bind_foreign(&self, channel: &Channel, binding: &Binding) -> Result<(), BrokerError> {
        let bound = channel.queue_bind(
            self.main.clone().into(),
            short(&binding.exchange)?,
            short(&binding.routing_key)?,
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        match bound.await {
            Ok(()) => Ok(()),
            Err(error) if is_missing(&error) => Err(BrokerError::transient(format!(
                "exchange `{}` does not exist: the store that notifies declares it",
                binding.exchange
            ))),
            Err(error) => Err(BrokerError::of(&error)),
        }
    }
}

impl Delay {
    /// Never shorter than `delay`, and longer by less than one unit.
    pub(super) fn of(delay: Duration) -> Self {
        let units = delay.as_nanos().div_ceil(UNIT.as_nanos());
        let longest = (1u128 << RUNGS) - 1;
        let here = units.min(longest);
        let millis = (units - here).saturating_mul(UNIT.as_millis());
        let left = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        let digits = (0..RUNGS).rev().map(|rung| if here >> rung & 1 == 1 { "1" } else { "0" });
        Self { key: digits.collect::<Vec<_>>().join("."), left }
    }
}

fn hidden_millis(rung: u32) -> u32 {
    250 << rung
}

/// A name that AMQP can carry.
fn short(name: &str) -> Result<ShortString, BrokerError> {
    ShortString::try_new(name)
        .map_err(|_| BrokerError::permanent("a name in the URL has more than 255 bytes"))
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn arguments<const N: usize>(others: [(&'static str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), text("quorum"));
    for (name, value) in others {
        table.insert(name.into(), value);
    }
    table
}

fn check<T>(answers: Vec<lapin::Result<T>>) -> Result<(), BrokerError> {
    let errors: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    telling(errors).map_or(Ok(()), |error| Err(BrokerError::of(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(delay: &Delay) -> Duration {
        let digits = delay.key.split('.').rev().zip(0..);
        let millis: u32 =
            digits.filter(|(digit, _)| *digit == "1").map(|(_, rung)| hidden_millis(rung)).sum();
        Duration::from_millis(millis.into())
    }

    #[test]
    fn a_delay_is_never_short_and_late_by_less_than_a_unit() {
        for millis in [1, 249, 250, 251, 999, 5_000, 60_001, 900_000, 1_023_750] {
            let wanted = Duration::from_millis(millis);
            let delay = Delay::of(wanted);
            assert_eq!(delay.left, Duration::ZERO);
            assert!(hidden(&delay) >= wanted && hidden(&delay) < wanted + UNIT, "{delay:?}");
        }
    }

    #[test]
    fn what_the_ladder_is_too_short_for_is_left_over() {
        let wanted = Duration::from_secs(3_600);
        let delay = Delay::of(wanted);
        assert_eq!(hidden(&delay) + delay.left, wanted);
        assert_eq!(Delay::of(Duration::MAX).key, "1.1.1.1.1.1.1.1.1.1.1.1");
    }
}
