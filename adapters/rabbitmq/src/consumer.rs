//! The consumer task of a queue: keeps a channel, buffers deliveries, writes acks in order,
//! requeues expired leases and unrequested prefetch, and reconnects.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::retry::Backoff;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::consumer_channel::{Arrivals, ConsumerChannel};
use super::consumer_state::BufferedDelivery;
use super::envelope::Envelope;
use super::error::BrokerError;
use super::queue::QueueInner;

/// When nobody has asked for so long, what arrived unasked goes to others.
const IDLE: Duration = Duration::from_millis(500);
/// The same while leases are held: their receiver is about to come back.
const BUSY: Duration = Duration::from_secs(5);
/// How often the channel is looked at.
const TICK: Duration = Duration::from_secs(1);
/// When a subscription has been silent for so long, the broker is asked whether it should be.
const SILENCE: Duration = Duration::from_secs(10);
/// How long the last messages may take to go back at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Before a message that could not be passed on comes again.
const PASS_ON_AGAIN: Duration = Duration::from_secs(1);
/// Between attempts to open a channel.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5) };

/// Why a session ended.
enum Ended {
    Stopped,
    Idle,
    Lost(BrokerError),
}

/// Runs until the lane is told to stop.
pub(super) async fn run(lane: Arc<QueueInner>) {
    let mut failures = 0;
    while !lane.stop.is_cancelled() {
        let opening = async {
            wanted(&lane).await;
            ConsumerChannel::open(&lane.consume, &lane.topology).await
        };
        let opened = tokio::select! {
            biased;
            () = lane.stop.cancelled() => break,
            opened = opening => opened,
        };
        match opened {
            Ok(session) => {
                lane.desk().begin(session.id);
                lane.arrivals.notify_waiters();
                let began = Instant::now();
                let ended = serve(&lane, session).await;
                lane.desk().end();
                match ended {
                    Ended::Stopped => break,
                    Ended::Idle => failures = 0,
                    Ended::Lost(fault) => {
                        tracing::warn!(queue = lane.topology.main, error = %fault, "RabbitMQ: consumer lost; subscribing again");
                        failures = if began.elapsed() > BACKOFF.max { 0 } else { failures + 1 };
                    }
                }
            }
            Err(fault) => {
                lane.desk().fail(fault);
                lane.arrivals.notify_waiters();
                failures += 1;
            }
        }
        if failures > 0 {
            let pause = BACKOFF.delay(failures - 1, rand::random());
            tokio::select! {
                () = lane.stop.cancelled() => break,
                () = sleep(pause) => {}
            }
        }
    }
    let mut desk = lane.desk();
    desk.end();
    desk.fail(BrokerError::transient("the queue was closed"));
    drop(desk);
    lane.arrivals.notify_waiters();
}

async fn wanted(lane: &QueueInner) {
    while lane.desk().wanted(Instant::now(), IDLE) == 0 {
        lane.bell.notified().await;
    }
}

async fn serve(lane: &Arc<QueueInner>, mut session: ConsumerChannel) -> Ended {
    match keep(lane, &mut session).await {
        Ok(Ended::Stopped) => {
            let leaving = leave(lane, &mut session);
            if !matches!(timeout(CLOSE_TIMEOUT, leaving).await, Ok(Ok(()))) {
                tracing::debug!(
                    queue = lane.topology.main,
                    "RabbitMQ: consumer not cancelled in time; its messages are requeued when the connection ends"
                );
            }
            session.close().await;
            Ended::Stopped
        }
        Ok(ended) => {
            session.close().await;
            ended
        }
        Err(fault) => Ended::Lost(fault),
    }
}

async fn keep(lane: &Arc<QueueInner>, session: &mut ConsumerChannel) -> Result<Ended, BrokerError> {
    let mut watch = SilenceWatchdog::new();
    loop {
        let now = Instant::now();
        let (outbox, wanted, need, idle) = {
            let mut desk = lane.desk();
            desk.expire(now);
            // Those who asked just now and went away are worth a subscription, but no wider one.
            let recent = if session.is_consuming() { Duration::ZERO } else { IDLE };
            let wanted = desk.wanted(now, recent);
            let need = desk.need(wanted, session.first());
            let patience = if desk.leased() == 0 { IDLE } else { BUSY };
            (
                desk.take_pending_acks(),
                wanted,
                need,
                desk.idle_since().map(|since| since + patience),
            )
        };
        // Before anything is returned, which would otherwise come straight back.
        let idle = idle.filter(|_| session.is_consuming());
        if idle.is_some_and(|idle| idle <= now) {
            let late = session.cancel().await?;
            take_in(lane, session.id, late);
            let unasked = lane.desk().give_up();
            if !unasked.is_empty() {
                lane.tasks.spawn(give_back(lane.clone(), session.id, unasked));
            }
        }
        session.answer(outbox).await?;
        if wanted > 0 && session.credit() < need {
            session.widen(&lane.topology, need + need / 4).await?;
            watch.heard(Instant::now());
        }
        if !session.is_consuming() && wanted == 0 && lane.desk().is_clear() {
            return Ok(Ended::Idle);
        }
        let mut wake = now + TICK;
        match idle {
            Some(idle) if idle > now => wake = wake.min(idle),
            None if session.is_consuming() => watch.check(lane, session, now).await?,
            _ => {}
        }
        if !session.is_alive() {
            return Err(BrokerError::transient("the channel is closed"));
        }
        if let Some(deadline) = lane.desk().next_deadline() {
            wake = wake.min(deadline);
        }
        tokio::select! {
            biased;
            () = lane.stop.cancelled() => return Ok(Ended::Stopped),
            came = session.next() => {
                take_in(lane, session.id, came?);
                watch.heard(Instant::now());
            }
            () = lane.bell.notified() => {}
            () = sleep_until(wake) => {}
        }
    }
}

/// Puts arrivals on the desk, and passes on those that are to stay hidden.
fn take_in(lane: &Arc<QueueInner>, session: u64, came: Arrivals) {
    let (now, stamp) = (Instant::now(), lane.clock.now());
    let mut hidden = Vec::new();
    let mut desk = lane.desk();
    desk.disown(came.dropped);
    for (delivered, again) in came.delivered {
        let tag = delivered.delivery_tag;
        let arrived = BufferedDelivery { tag, envelope: Envelope::open(delivered, stamp), at: now };
        if arrived.envelope.left.is_zero() {
            desk.arrive(arrived, again);
        } else {
            desk.pass_on();
            hidden.push(arrived);
        }
    }
    drop(desk);
    lane.arrivals.notify_waiters();
    if !hidden.is_empty() {
        lane.tasks.spawn(pass_on(lane.clone(), session, hidden));
    }
}

/// Gives messages that nobody here asked for to other receivers. They go as copies, because the broker
/// would count a plain return as a delivery.
async fn give_back(lane: Arc<QueueInner>, session: u64, unasked: Vec<BufferedDelivery>) {
    let tags: Vec<u64> = unasked.iter().map(|arrived| arrived.tag).collect();
    let copies = unasked.into_iter().map(|arrived| arrived.envelope.again(&lane.topology));
    let stored = lane.publisher.publish(&lane.topology, copies.collect()).await;
    put_back(&lane, session, &tags, &stored);
}

/// Sends messages whose delay is longer than the ladder down it again.
async fn pass_on(lane: Arc<QueueInner>, session: u64, hidden: Vec<BufferedDelivery>) {
    let tags: Vec<u64> = hidden.iter().map(|arrived| arrived.tag).collect();
    let copies = hidden.into_iter().map(|arrived| {
        let left = arrived.envelope.left;
        arrived.envelope.later(&lane.topology, left)
    });
    let stored = lane.publisher.publish(&lane.topology, copies.collect()).await;
    if stored.iter().any(Result::is_err) {
        sleep(PASS_ON_AGAIN).await;
    }
    put_back(&lane, session, &tags, &stored);
}

/// Stored copies replace the originals; where there is none, the original goes back.
fn put_back(lane: &QueueInner, session: u64, tags: &[u64], stored: &[Result<(), BrokerError>]) {
    let (mut kept, mut back) = (Vec::new(), Vec::new());
    for (tag, stored) in tags.iter().zip(stored) {
        if stored.is_ok() { &mut kept } else { &mut back }.push(*tag);
    }
    lane.desk().given_up(session, &kept, &back);
    lane.bell.notify_one();
}

/// The end: nothing that nobody asked for stays with us.
async fn leave(lane: &Arc<QueueInner>, session: &mut ConsumerChannel) -> Result<(), BrokerError> {
    let late = session.cancel().await?;
    take_in(lane, session.id, late);
    let unasked = lane.desk().give_up();
    give_back(lane.clone(), session.id, unasked).await;
    let outbox = lane.desk().take_pending_acks();
    session.answer(outbox).await
}

/// Notices a subscription that is silent although it should not be.
struct SilenceWatchdog {
    heard: Instant,
    suspicious: bool,
}

impl SilenceWatchdog {
    fn new() -> Self {
        Self { heard: Instant::now(), suspicious: false }
    }

    fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.suspicious = false;
    }

    async fn check(
        &mut self,
        lane: &QueueInner,
        session: &ConsumerChannel,
        now: Instant,
    ) -> Result<(), BrokerError> {
        if now.saturating_duration_since(self.heard) < SILENCE {
            return Ok(());
        }
        let waiting = session.waiting(&lane.topology).await?;
        let room = lane.desk().held() < session.credit();
        if waiting == 0 || !room {
            self.heard(Instant::now());
        } else if self.suspicious {
            return Err(BrokerError::transient("the broker stopped sending"));
        } else {
            // What was sent just now may be on its way.
            self.suspicious = true;
            self.heard = now - SILENCE + TICK;
        }
        Ok(())
    }
}
