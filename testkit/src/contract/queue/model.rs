//! A queue so simple that it is seen to be right, and many random steps on both.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::queue::{Depth, Outgoing, Queue, Receipt, Settlement};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::{QueueHarness, extend, settle};

/// One message as the model sees it.
struct Message {
    body: String,
    /// When it is ready, in milliseconds since the start.
    ready_at: u64,
    /// The receipt of its lease; void when `ready_at` has come.
    lease: Option<Receipt>,
    receives: u32,
    dead: bool,
}

#[derive(Default)]
struct Model {
    now: u64,
    messages: Vec<Message>,
    /// Every receipt ever given out.
    receipts: Vec<Receipt>,
}

impl Model {
    fn held(&mut self, receipt: &Receipt) -> Option<usize> {
        let now = self.now;
        self.messages.iter().position(|message| {
            message.lease.as_ref() == Some(receipt) && message.ready_at > now && !message.dead
        })
    }

    fn ready(&self) -> usize {
        self.messages.iter().filter(|message| !message.dead && message.ready_at <= self.now).count()
    }

    fn depth(&self) -> Depth {
        let waiting = |leased: bool| {
            let hidden =
                self.messages.iter().filter(|message| !message.dead && message.ready_at > self.now);
            hidden.filter(|message| message.lease.is_some() == leased).count() as u64
        };
        Depth {
            ready: self.ready() as u64,
            in_flight: waiting(true),
            delayed: waiting(false),
            dead: self.messages.iter().filter(|message| message.dead).count() as u64,
            oldest: None,
        }
    }
}

/// Runs random steps on a queue and on its model, and compares all that both answer.
pub async fn agrees<H: QueueHarness>() {
    for seed in 0..6 {
        let mut random = StdRng::seed_from_u64(seed);
        let harness = H::start().await;
        let handles = [harness.open().await, harness.open().await];
        let mut model = Model::default();
        for step in 0..150 {
            let queue = handles.choose(&mut random).expect("two handles").clone();
            one_step(&harness, queue.clone(), &mut model, &mut random, step).await;
            let depth = queue.depth().await.expect("depth");
            assert_eq!(Depth { oldest: None, ..depth }, model.depth(), "seed {seed}, step {step}");
        }
        assert!(model.receipts.len() > 50, "the steps of seed {seed} did something");
    }
}

async fn one_step<H: QueueHarness>(
    harness: &H,
    queue: Arc<dyn Queue>,
    model: &mut Model,
    random: &mut StdRng,
    step: usize,
) {
    let millis = Duration::from_millis;
    match random.random_range(0..10) {
        0..=2 => {
            let delays: Vec<u64> = (0..random.random_range(1..4))
                .map(|_| if random.random_bool(0.7) { 0 } else { random.random_range(1..500) })
                .collect();
            let mut outgoing = Vec::new();
            for (place, delay) in delays.iter().enumerate() {
                let body = format!("{step}.{place}");
                outgoing.push(Outgoing::later(body.clone(), millis(*delay)));
                let ready_at = model.now + delay;
                let message = Message { body, ready_at, lease: None, receives: 0, dead: false };
                model.messages.push(message);
            }
            assert!(queue.send(outgoing).await.iter().all(Result::is_ok));
        }
        3..=5 => {
            let max = random.random_range(1..5);
            let lease = random.random_range(1..500);
            let taken = queue.receive(max, Duration::ZERO, millis(lease)).await.expect("received");
            assert_eq!(taken.len(), max.min(model.ready()));
            for delivery in taken {
                let now = model.now;
                let message = model
                    .messages
                    .iter_mut()
                    .find(|message| delivery.body == message.body)
                    .expect("a message that was sent and is not done");
                assert!(!message.dead && message.ready_at <= now, "only what is ready");
                message.receives += 1;
                assert_eq!(delivery.receive_count, message.receives);
                message.ready_at = now + lease;
                message.lease = Some(delivery.receipt.clone());
                model.receipts.push(delivery.receipt);
            }
        }
        6 => {
            let by = random.random_range(1..400);
            model.now += by;
            harness.advance(millis(by)).await;
        }
        other => {
            let Some(receipt) = model.receipts.choose(random).cloned() else { return };
            let held = model.held(&receipt);
            if other == 7 {
                let lease = random.random_range(1..500);
                assert_eq!(extend(&*queue, &receipt, millis(lease)).await, held.is_some());
                if let Some(place) = held {
                    model.messages[place].ready_at = model.now + lease;
                }
                return;
            }
            let after = random.random_range(0..300);
            let settlement = match random.random_range(0..4) {
                0 => Settlement::Done,
                1 => Settlement::Release,
                2 => Settlement::Retry { after: millis(after) },
                _ => Settlement::Dead { reason: "garbage".into() },
            };
            assert_eq!(settle(&*queue, &receipt, settlement.clone()).await, held.is_some());
            let Some(place) = held else { return };
            let message = &mut model.messages[place];
            message.lease = None;
            message.ready_at = model.now;
            match settlement {
                Settlement::Done => drop(model.messages.remove(place)),
                Settlement::Release => message.receives -= 1,
                Settlement::Retry { .. } => message.ready_at += after,
                Settlement::Dead { .. } => message.dead = true,
            }
        }
    }
}
