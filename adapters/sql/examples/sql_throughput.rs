//! What the store and a queue in SQL carry, on this machine and disk:
//!
//!     cargo run --release -p lobar-sql --example sql_throughput -- [FOLDER | postgres://…] [TASKS]
//!
//! SQLite's files lie in FOLDER (default: the temporary folder); a PostgreSQL database should be empty.
//! A message's cycle is send, receive, settle; an image's is admit, claim, complete. TASKS (default 1) do
//! so at once, each on a queue and on images of its own.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // its output is its purpose, its end is its error

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use lobar_core::finding::{Finding, Heatmap, Label, ModelRef};
use lobar_core::image::{Lane, NewImage};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::queue::{Outgoing, Queue, Settlement};
use lobar_core::store::{Basis, Claim, Completion, Outcome, Store};
use lobar_core::time::SystemClock;
use lobar_sql::postgres::{self, PgQueue};
use lobar_sql::sqlite::{self, SqliteQueue};

/// How long each figure is measured.
const LENGTH: Duration = Duration::from_secs(4);

/// Opens the queue of a name.
type MakeQueue = Box<dyn Fn(&str) -> Arc<dyn Queue>>;

#[tokio::main]
async fn main() {
    let place = std::env::args().nth(1);
    let tasks: usize = std::env::args().nth(2).map_or(1, |tasks| tasks.parse().unwrap());
    let server = place.clone().filter(|place| place.contains("://"));
    let folder = place.filter(|_| server.is_none()).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("lobar-throughput-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let clock = Arc::new(SystemClock);
    for batch in [1, 16, 32] {
        let queue: MakeQueue = match &server {
            Some(url) => {
                let database = Arc::new(postgres::open(url, clock.clone()).await.unwrap());
                Box::new(move |name| Arc::new(PgQueue::new(database.clone(), name)))
            }
            None => {
                let file = sqlite::open(&folder.join("queues.db"), clock.clone()).await.unwrap();
                let file = Arc::new(file);
                Box::new(move |name| Arc::new(SqliteQueue::new(file.clone(), name)))
            }
        };
        let rates = (0..tasks).map(async |task| {
            let queue = queue(&format!("jobs-{batch}-{task}"));
            queue_rate(&*queue, batch).await
        });
        let rate: f64 = join_all(rates).await.into_iter().sum();
        println!("queue: send, receive, settle in batches of {batch}: {rate:.0} messages/s");
    }
    for batch in [1, 16, 32] {
        let store: Arc<dyn Store> = match &server {
            Some(url) => Arc::new(postgres::open(url, clock.clone()).await.unwrap()),
            None => {
                let file = folder.join(format!("store-{batch}.db"));
                Arc::new(sqlite::open(&file, clock.clone()).await.unwrap())
            }
        };
        let rates = (0..tasks)
            .map(async |task| store_rates(&*store, batch, &format!("{batch}-{task}")).await);
        let rates = join_all(rates).await;
        let sum = |verb: usize| rates.iter().map(|rates| rates[verb]).sum::<f64>();
        println!(
            "store in batches of {batch}: admit {:.0}, claim {:.0}, complete {:.0}, all three {:.0} images/s",
            sum(0),
            sum(1),
            sum(2),
            sum(3)
        );
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

async fn queue_rate(queue: &dyn Queue, batch: usize) -> f64 {
    let (started, mut cycles) = (Instant::now(), 0);
    let lease = Duration::from_secs(30);
    while started.elapsed() < LENGTH {
        let messages = (0..batch).map(|_| Outgoing::now(vec![7; 64])).collect();
        assert!(queue.send(messages).await.iter().all(Result::is_ok));
        let taken = queue.receive(batch, Duration::ZERO, lease).await.unwrap();
        let done = taken.into_iter().map(|delivery| (delivery.receipt, Settlement::Done)).collect();
        let settled = queue.settle(done).await;
        assert!(settled.len() == batch && settled.iter().all(Result::is_ok));
        cycles += batch;
    }
    cycles as f64 / started.elapsed().as_secs_f64()
}

/// Images a second in each of the three verbs, by the time spent in it, and in all of them.
async fn store_rates(store: &dyn Store, batch: usize, name: &str) -> [f64; 4] {
    let (started, mut images, mut spent) = (Instant::now(), 0, [Duration::ZERO; 3]);
    while started.elapsed() < LENGTH {
        let new: Vec<NewImage> = (images..images + batch).map(|n| image(name, n)).collect();
        let ids: Vec<ImageId> = new.iter().map(|image| image.object.id()).collect();
        let (_, took) = timed(store.admit(&new)).await;
        spent[0] += took;
        let (claims, took) = timed(store.claim(&ids, 3)).await;
        spent[1] += took;
        let done: Vec<_> = claims.unwrap().into_iter().map(completion).collect();
        let (accepted, took) = timed(store.complete(&done)).await;
        spent[2] += took;
        assert!(accepted.unwrap().into_iter().all(|accepted| accepted));
        images += batch;
    }
    let [admit, claim, complete] = spent.map(|spent| images as f64 / spent.as_secs_f64());
    [admit, claim, complete, images as f64 / started.elapsed().as_secs_f64()]
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let started = Instant::now();
    (work.await, started.elapsed())
}

fn image(name: &str, n: usize) -> NewImage {
    let object = ObjectVersion {
        bucket: "xrays".into(),
        key: format!("incoming/north/2026/{name}/{n}.jpg"),
        version: Some(format!("version-{n}")),
        etag: Some("0123456789abcdef0123456789abcdef".into()),
        sequencer: Some(format!("{n:018X}")),
        size: Some(1_000_000),
    };
    NewImage { object, lane: Lane::Routine }
}

/// As the network makes one, heatmap included.
fn completion(claim: Claim) -> Completion {
    let Claim::Granted(claimed) = claim else { panic!("not granted: {claim:?}") };
    let finding = Finding {
        model: ModelRef {
            version: "1".into(),
            sha256: "0".repeat(64),
            preprocessing: "bilinear-224".into(),
        },
        probability: 0.75,
        threshold: 0.5,
        flagged: true,
        label: Label::Pneumonia,
        subtype: None,
        heatmap: Some(Heatmap { width: 7, height: 7, cells: vec![0.123_456; 49] }),
        warnings: Vec::new(),
        timings_ms: [("fetch", 1.5), ("decode", 9.25), ("wait", 3.0), ("infer", 20.5)]
            .map(|(stage, ms)| (stage.to_owned(), ms))
            .into(),
    };
    Completion {
        id: claimed.id,
        fence: claimed.fence,
        outcome: Outcome::Ready(Box::new(finding)),
        trace: None,
        basis: Basis::default(),
    }
}
