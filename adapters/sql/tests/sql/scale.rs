//! Ten million images: how long a page, a claim and the rest take, and the server's plans. Takes minutes
//! and some 12 GB of disk:
//!
//!     LOBAR_IMAGES=10000000 cargo test --release -p lobar-sql --test sql -- \
//!       --ignored --nocapture ten_million

use std::time::{Duration, Instant};

use lobar_core::event::Seq;
use lobar_core::image::{Lane, NewImage};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::store::{Claim, Store};
use lobar_testkit::services::postgres::Cluster;
use uuid::Uuid;

use super::load::fill;
use super::plans::{EXPLAINING, explained, filters, mark};

use crate::open;

const PAGES: usize = 300;
const BATCH: usize = 16;

struct Times(Vec<Duration>);

impl Times {
    fn tell(mut self, what: &str, rest: &str) {
        self.0.sort();
        let at =
            |share: f64| self.0[((self.0.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        println!("| {what} | {:.2} | {:.2} | {rest} |", at(0.5), at(0.99));
    }
}

async fn timed<T>(times: &mut Times, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let answer = work.await;
    times.0.push(began.elapsed());
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: minutes, and gigabytes of disk"]
async fn ten_million() {
    let images =
        std::env::var("LOBAR_IMAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let mut settings = EXPLAINING.to_vec();
    // Set further down: what the command line says cannot be changed.
    settings.remove(1);
    settings.extend(["maintenance_work_mem=1GB", "max_wal_size=8GB", "shared_buffers=2GB"]);
    let cluster = Cluster::start(&settings).await;
    let database = cluster.database();
    let began = Instant::now();
    fill(&database, images);
    let size = database.sql("select pg_size_pretty(pg_database_size(current_database()))");
    println!("{images} images: {size}, loaded in {:.0} s", began.elapsed().as_secs_f64());

    let store = open(&database.url()).await;
    println!("| what | p50 ms | p99 ms | |\n|---|---|---|---|");
    for (name, filter) in filters() {
        let (mut times, mut after, mut total) = (Times(Vec::new()), None, 0);
        for page in 0..PAGES {
            let page = match page % 2 {
                // The first page, as a client that comes asks for it, and one further back.
                0 => timed(&mut times, store.list(&filter, None, 50)).await,
                _ => timed(&mut times, store.list(&filter, after, 50)).await,
            };
            let page = page.expect("listed");
            (after, total) = (page.next, page.total);
        }
        times.tell(&format!("a page of 50: {name}"), &format!("of {total}"));
    }
    verbs(&*store, images).await;

    // Once more, explained.
    database.sql("alter system set auto_explain.log_min_duration = 0");
    database.sql("select pg_reload_conf()");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let since = mark(&database);
    for (name, filter) in filters() {
        let from = mark(&database);
        store.list(&filter, None, 50).await.expect("listed");
        for plan in explained(&database, from) {
            println!("\n--- {name}\n{plan}");
        }
    }
    let claims = store.claim(&queued(images), 1_000).await.expect("claimed");
    store.release(&granted(&claims)).await.expect("given back");
    store.sweep(Duration::from_secs(60), 100).await.expect("swept");
    store.overview().await.expect("read");
    for plan in explained(&database, since).into_iter().rev().take(9).rev() {
        println!("\n--- {plan}");
    }
    store.close().await;
}

/// Images that are queued, as [`fill`] made them.
fn queued(images: u64) -> Vec<ImageId> {
    let id = |n: u64| {
        let n = images - 70 - n;
        // The same that the load computes: md5('image' || n).
        ImageId(Uuid::from_bytes(md5(&format!("image{n}"))))
    };
    (0..BATCH as u64).map(id).collect()
}

fn md5(text: &str) -> [u8; 16] {
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("printf %s {text} | md5sum")])
        .output()
        .expect("md5sum runs");
    let hex = String::from_utf8_lossy(&output.stdout);
    let byte = |place: usize| u8::from_str_radix(&hex[place * 2..place * 2 + 2], 16).expect("hex");
    std::array::from_fn(byte)
}

fn granted(claims: &[Claim]) -> Vec<lobar_core::store::Held> {
    let of = |claim: &Claim| match claim {
        Claim::Granted(claimed) => Some(claimed.held()),
        _ => None,
    };
    claims.iter().filter_map(of).collect()
}

async fn verbs(store: &dyn Store, images: u64) {
    let none = || Times(Vec::new());
    let (mut admit, mut claim, mut release) = (none(), none(), none());
    let (mut sweep, mut overview, mut image) = (none(), none(), none());
    let (mut old, mut new_events) = (none(), none());
    let last = store.newest_position().await.expect("read").seq().0;
    let ids = queued(images);
    for round in 0..PAGES {
        let new: Vec<NewImage> = (0..BATCH)
            .map(|n| NewImage {
                object: ObjectVersion {
                    bucket: "xrays".into(),
                    key: format!("incoming/north/new/{round}/{n}.jpg"),
                    version: Some("v1".into()),
                    etag: None,
                    sequencer: None,
                    size: None,
                },
                lane: Lane::Routine,
            })
            .collect();
        timed(&mut admit, store.admit(&new)).await.expect("admitted");
        let claims = timed(&mut claim, store.claim(&ids, 1_000_000)).await.expect("claimed");
        let held = granted(&claims);
        assert_eq!(held.len(), BATCH);
        timed(&mut release, store.release(&held)).await.expect("given back");
        timed(&mut sweep, store.sweep(Duration::from_secs(60), 10)).await.expect("swept");
        timed(&mut overview, store.overview()).await.expect("read");
        // Of images all over the table, and of those that were just written.
        let somewhere = Seq(last / PAGES as i64 * round as i64);
        timed(&mut old, store.events(somewhere, 256)).await.expect("read");
        timed(&mut new_events, store.events(Seq(last), 256)).await.expect("read");
        timed(&mut image, store.image(ids[round % BATCH])).await.expect("read");
    }
    admit.tell("admit", "batches of 16");
    claim.tell("claim", "batches of 16");
    release.tell("release", "batches of 16");
    sweep.tell("sweep", "10 of what is stale");
    overview.tell("overview", "");
    old.tell("events", "256, anywhere");
    new_events.tell("events", "256 at most, new");
    image.tell("one image", "");
}
