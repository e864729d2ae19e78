//! Who sent what, and what became of it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lobar_core::queue::{Depth, LeaseError, Outgoing, Queue, Settlement};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinHandle;

/// How long the queue may need to come to rest after the last fault.
const RECOVERY: Duration = Duration::from_secs(240);
/// How long to bear an error.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Default)]
struct Book {
    attempted: HashSet<u64>,
    acknowledged: HashSet<u64>,
    /// How often each was settled as done.
    done: HashMap<u64, u32>,
    /// Settled as done, and the answer was lost with the connection: AMQP confirms no acknowledgement, so the broker may
    /// have it (then the message is gone) or not (then it comes back).
    in_doubt: HashSet<u64>,
    failed_calls: u32,
    lost_leases: u32,
}

/// The counters that Jepsen prints.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) attempted: usize,
    /// The queue said that it has them.
    pub(crate) acknowledged: usize,
    /// Of these, never settled as done, not even in doubt. Must be 0.
    pub(crate) lost: usize,
    /// Done more than once.
    pub(crate) duplicated: usize,
    /// Not acknowledged, and there nevertheless.
    pub(crate) recovered: usize,
    /// Received and never sent. Must be 0.
    pub(crate) unexpected: usize,
    /// How often the queue said that it is away.
    pub(crate) failed_calls: u32,
}

/// Senders and receivers at work, who settle in every way there is.
pub(crate) struct Account {
    book: Arc<Mutex<Book>>,
    sending: Arc<AtomicBool>,
    receiving: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
    queue: Arc<dyn Queue>,
}

impl Account {
    /// Sets them to work on the handles of several processes.
    pub(crate) fn open(handles: &[Arc<dyn Queue>], seed: u64) -> Self {
        let book = Arc::new(Mutex::new(Book::default()));
        let sending = Arc::new(AtomicBool::new(true));
        let receiving = Arc::new(AtomicBool::new(true));
        let mut tasks = Vec::new();
        for (place, queue) in (0..).zip(handles) {
            let random = StdRng::seed_from_u64(seed * 100 + place);
            let first = place << 32;
            tasks.push(tokio::spawn(send(
                queue.clone(),
                book.clone(),
                sending.clone(),
                random.clone(),
                first,
            )));
            tasks.push(tokio::spawn(receive(
                queue.clone(),
                book.clone(),
                receiving.clone(),
                random,
            )));
        }
        Self { book, sending, receiving, tasks, queue: handles[0].clone() }
    }

    /// How many messages are done so far.
    pub(crate) fn done(&self) -> usize {
        lock(&self.book).done.len()
    }

    /// Waits until a hundred more are done: whatever was broken works again.
    pub(crate) async fn until_it_goes_on(&self) {
        let (started, before) = (Instant::now(), self.done());
        while self.done() < before + 100 {
            assert!(started.elapsed() < RECOVERY, "it stays broken");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Ends the sending, waits for the queue to run dry, and counts.
    pub(crate) async fn close(self, what: &str) -> Counters {
        self.sending.store(false, Ordering::SeqCst);
        let started = Instant::now();
        loop {
            let missing = {
                let book = lock(&self.book);
                book.acknowledged.iter().filter(|n| !book.is_over(**n)).count()
            };
            let empty = self.queue.depth().await.is_ok_and(|depth| depth == Depth::default());
            if (missing == 0 && empty) || started.elapsed() > RECOVERY {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let recovery = started.elapsed();
        self.receiving.store(false, Ordering::SeqCst);
        for task in self.tasks {
            task.await.expect("a sender or a receiver");
        }
        let book = lock(&self.book);
        let done = |n: &&u64| book.done.contains_key(*n);
        let counters = Counters {
            attempted: book.attempted.len(),
            acknowledged: book.acknowledged.len(),
            lost: book.acknowledged.iter().filter(|n| !book.is_over(**n)).count(),
            duplicated: book.done.values().filter(|times| **times > 1).count(),
            recovered: book.attempted.difference(&book.acknowledged).filter(done).count(),
            unexpected: book.done.keys().filter(|n| !book.attempted.contains(n)).count(),
            failed_calls: book.failed_calls,
        };
        let (lost, gone) = (book.lost_leases, book.in_doubt.iter().filter(|n| !done(n)).count());
        eprintln!(
            "{what}: {counters:?}; lost leases {lost}, gone with an answer in doubt {gone}, at rest after {recovery:.1?}"
        );
        counters
    }
}

impl Book {
    fn is_over(&self, n: u64) -> bool {
        self.done.contains_key(&n) || self.in_doubt.contains(&n)
    }
}

impl Counters {
    /// Nothing lost, nothing from nowhere, and something happened at all.
    pub(crate) fn assert_sound(&self) {
        assert_eq!((self.lost, self.unexpected), (0, 0), "{self:?}");
        assert!(self.acknowledged > 300, "{self:?}");
        assert!(self.failed_calls > 0, "the faults were felt: {self:?}");
    }
}

fn lock(book: &Mutex<Book>) -> std::sync::MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn send(
    queue: Arc<dyn Queue>,
    book: Arc<Mutex<Book>>,
    on: Arc<AtomicBool>,
    mut random: StdRng,
    mut next: u64,
) {
    while on.load(Ordering::SeqCst) {
        let batch: Vec<u64> = (0..random.random_range(1..20)).map(|n| next + n).collect();
        next += batch.len() as u64;
        lock(&book).attempted.extend(&batch);
        let messages = batch.iter().map(|n| {
            let millis = if random.random_bool(0.8) { 0 } else { random.random_range(1..2_000) };
            Outgoing::later(n.to_string(), Duration::from_millis(millis))
        });
        let sent = queue.send(messages.collect()).await;
        assert_eq!(sent.len(), batch.len());
        let mut failed = false;
        for (n, sent) in batch.iter().zip(sent) {
            match sent {
                Ok(()) => drop(lock(&book).acknowledged.insert(*n)),
                Err(error) => {
                    assert!(error.is_transient(), "{error}");
                    failed = true;
                }
            }
        }
        if failed {
            lock(&book).failed_calls += 1;
            tokio::time::sleep(PAUSE).await;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(1..40))).await;
    }
}

async fn receive(
    queue: Arc<dyn Queue>,
    book: Arc<Mutex<Book>>,
    on: Arc<AtomicBool>,
    mut random: StdRng,
) {
    while on.load(Ordering::SeqCst) {
        let max = random.random_range(1..30);
        let wait = Duration::from_millis(random.random_range(0..1_000));
        let taken = match queue.receive(max, wait, Duration::from_secs(3)).await {
            Ok(taken) => taken,
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                lock(&book).failed_calls += 1;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        assert!(taken.len() <= max);
        let mut settlements = Vec::new();
        let mut numbers = Vec::new();
        for delivery in taken {
            let n: u64 = String::from_utf8_lossy(&delivery.body).parse().expect("a number");
            let settlement = match random.random_range(0..20) {
                0 => Settlement::Release,
                1 | 2 => {
                    Settlement::Retry { after: Duration::from_millis(random.random_range(0..900)) }
                }
                // Its lease runs out.
                3 => continue,
                _ => Settlement::Done,
            };
            numbers.push((n, settlement == Settlement::Done));
            settlements.push((delivery.receipt, settlement));
        }
        for ((n, done), settled) in numbers.into_iter().zip(queue.settle(settlements).await) {
            let mut book = lock(&book);
            if done && settled.is_err() {
                book.in_doubt.insert(n);
            }
            match settled {
                Ok(()) if done => *book.done.entry(n).or_default() += 1,
                Ok(()) => {}
                Err(LeaseError::Lost) => book.lost_leases += 1,
                Err(LeaseError::Port(error)) => {
                    assert!(error.is_transient(), "{error}");
                    book.failed_calls += 1;
                }
            }
        }
    }
}
