//! T6: Redis fails in every way while results are committed. They are committed without delay, a
//! connected page misses none of them, and no answer is older than what its page was told.

#![allow(clippy::print_stdout)] // the counters are to be read

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lobar_core::object::ImageId;
use lobar_core::store::Store;
use lobar_testkit::services::proxy::Weather;
use lobar_testkit::services::redis::RedisServer;
use lobar_tests::kit::Follower;
use lobar_tests::rig::Rig;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::fixture::{Page, finish, signal, until, version};

const IMAGES: usize = 150;
/// Keys that are uploaded again and again.
const KEYS: usize = 12;
const FAULTS: usize = 8;

/// What happens to Redis.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It ends in an orderly way, and starts again with nothing in it.
    Restart,
    /// It is killed.
    Kill,
    /// Something on one page's way to it.
    Weather(usize, Weather),
    /// One page's connections are cut.
    Cut(usize),
}

fn schedule(random: &mut StdRng) -> Vec<Fault> {
    (0..FAULTS)
        .map(|_| {
            let page = random.random_range(0..2);
            let slow = Duration::from_millis(random.random_range(5..200));
            match random.random_range(0..7) {
                0 => Fault::Restart,
                1 => Fault::Kill,
                2 => Fault::Weather(page, Weather::Down),
                3 => Fault::Weather(page, Weather::Blackhole),
                4 => Fault::Weather(page, Weather::Slow(slow)),
                5 => Fault::Weather(page, Weather::Truncate(random.random_range(0..40))),
                _ => Fault::Cut(page),
            }
        })
        .collect()
}

async fn suffer(fault: Fault, lasts: Duration, redis: &RedisServer, pages: &[Page; 2]) {
    match fault {
        Fault::Restart => {
            redis.stop();
            tokio::time::sleep(lasts).await;
            redis.restart().await;
        }
        Fault::Kill => {
            redis.kill();
            tokio::time::sleep(lasts).await;
            redis.restart().await;
        }
        Fault::Weather(page, weather) => {
            pages[page].proxy.set(weather);
            tokio::time::sleep(lasts).await;
            pages[page].proxy.set(Weather::Fair);
        }
        Fault::Cut(page) => pages[page].proxy.cut(),
    }
    // Time to come back, or not quite, before the next.
    tokio::time::sleep(lasts / 2).await;
}

/// What ingest and workers did.
#[derive(Default)]
struct Committed {
    /// When each result was committed.
    at: HashMap<ImageId, Instant>,
    /// The longest that a commit and telling of it took together.
    slowest: Duration,
}

/// Commits result after result, one key's versions superseding each other.
async fn commit(rig: &Rig, redis: &RedisServer, seed: u64, go_on: &AtomicBool) -> Committed {
    let mut random = StdRng::seed_from_u64(seed ^ 0xC0);
    let signal = signal(redis.address);
    let mut committed = Committed::default();
    let mut number = 0;
    while number < IMAGES || go_on.load(Ordering::Relaxed) {
        number += 1;
        let began = Instant::now();
        let key = format!("incoming/north/{}.jpg", random.random_range(0..KEYS));
        let id = finish(&*rig.store, version(&key, number as u64)).await;
        committed.at.insert(id, Instant::now());
        // As the worker does: what fails here is nobody's concern.
        let _ = signal.publish().await;
        committed.slowest = committed.slowest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(random.random_range(0..120))).await;
    }
    committed
}

/// Asks both pages about images again and again; how many answers were older than what the page had
/// been told before it was asked.
async fn read(pages: &[Page; 2], followers: &[Follower; 2], seed: u64, go_on: &AtomicBool) -> u32 {
    let mut random = StdRng::seed_from_u64(seed ^ 0x5EED);
    let mut stale = 0;
    while go_on.load(Ordering::Relaxed) {
        let of = random.random_range(0..2);
        let seen = followers[of].seen();
        // The newest are those that change.
        let lately = &seen[seen.len().saturating_sub(60)..];
        if let Some(event) = lately.choose(&mut random) {
            let told = seen.iter().rev().find(|one| one.image == event.image);
            let told = &told.expect("it was seen").status;
            let answer = pages[of].status(&event.image).await;
            stale += u32::from(rank(&answer) < rank(told));
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    stale
}

/// States in the order in which these images go through them.
fn rank(status: &str) -> usize {
    let order = ["queued", "analysing", "ready", "superseded"];
    order.iter().position(|one| *one == status).expect("a state that is expected here")
}

async fn run(seed: u64) {
    let redis = Arc::new(RedisServer::start().await);
    let rig = Rig::open().await;
    let pages = [Page::open(&rig, redis.address).await, Page::open(&rig, redis.address).await];
    let followers = [Follower::follow(&pages[0].base), Follower::follow(&pages[1].base)];
    let mut random = StdRng::seed_from_u64(seed);
    let faults = schedule(&mut random);
    let go_on = AtomicBool::new(true);
    let fail = async {
        for fault in &faults {
            let lasts = Duration::from_millis(random.random_range(200..1_500));
            suffer(*fault, lasts, &redis, &pages).await;
        }
        go_on.store(false, Ordering::Relaxed);
    };
    let ((), committed, stale) = tokio::join!(
        fail,
        commit(&rig, &redis, seed, &go_on),
        read(&pages, &followers, seed, &go_on)
    );

    let attempted = committed.at.len();
    let (mut lost, mut duplicated, mut unexpected) = (0, 0, stale);
    let mut delays = Vec::new();
    for (page, follower) in pages.iter().zip(&followers) {
        follower.until_results(attempted).await;
        let results = follower.results();
        for (id, at) in &committed.at {
            let shown = results.get(&id.to_string()).map_or(&[][..], Vec::as_slice);
            lost += u32::from(shown.is_empty());
            duplicated += shown.len().saturating_sub(1) as u32;
            delays.extend(shown.iter().map(|one| one.at.saturating_duration_since(*at)));
            // Once quiet, each page says what the store says, whatever the cache went through.
            let state = rig.store.image(*id).await.expect("asked").expect("known").state;
            until("the page caught up", async || {
                let last = follower.seen().last().map_or(0, |one| one.seq);
                last == rig.events().await.last().map_or(0, |event| event.seq.0)
            })
            .await;
            unexpected += u32::from(page.status(&id.to_string()).await != state.as_str());
        }
    }
    delays.sort_unstable();
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize].as_millis();
    // Both pages use the cache again.
    for page in &pages {
        let id = committed.at.keys().next().expect("one").to_string();
        let before = page.lookups("hit").await;
        let ready = rig.events().await.last().expect("one").image.to_string();
        until("the cache is used again", async || {
            page.status(&id).await;
            page.status(&ready).await;
            page.lookups("hit").await > before
        })
        .await;
    }
    println!(
        "T6 seed {seed}: attempted {attempted}, acknowledged {attempted}, lost {lost}, duplicated \
         {duplicated}, recovered {}, unexpected {unexpected}; commit to page p50 {} ms, p99 {} ms, \
         max {} ms; slowest commit {} ms; faults {faults:?}",
        faults.len(),
        at(0.5),
        at(0.99),
        at(1.0),
        committed.slowest.as_millis(),
    );
    assert_eq!((lost, duplicated, unexpected), (0, 0, 0));
    // The poll is a second, a commit's way to Redis a tenth; the rest is a busy machine's.
    assert!(at(1.0) < 10_000, "{} ms", at(1.0));
    assert!(committed.slowest < Duration::from_secs(5), "{:?}", committed.slowest);
}

macro_rules! seeds {
    ($($name:ident = $seed:literal,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                run($seed).await;
            }
        )+
    };
}

seeds! {
    whatever_happens_to_redis_nothing_is_missing_with_seed_1 = 1,
    whatever_happens_to_redis_nothing_is_missing_with_seed_2 = 2,
    whatever_happens_to_redis_nothing_is_missing_with_seed_3 = 3,
    whatever_happens_to_redis_nothing_is_missing_with_seed_4 = 4,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_kept_while_one_page_was_cut_off_is_not_believed_by_it() {
    let redis = RedisServer::start().await;
    let rig = Rig::open().await;
    let pages = [Page::open(&rig, redis.address).await, Page::open(&rig, redis.address).await];
    let key = "incoming/north/a.jpg";
    let id = finish(&*rig.store, version(key, 1)).await.to_string();
    // Both followers have seen it, so that both may keep it.
    for page in &pages {
        until("it is kept", async || {
            assert_eq!(page.status(&id).await, "ready");
            page.lookups("hit").await > 0
        })
        .await;
    }
    let kept = entry(&redis, &id).await;
    assert!(kept["body"].contains("ready"), "the answer is in Redis: {kept:?}");
    // Nobody reaches Redis while it is superseded, so nobody can take the answer out of it.
    for page in &pages {
        page.proxy.set(Weather::Down);
    }
    let followers = pages.each_ref().map(|page| Follower::follow(&page.base));
    finish(&*rig.store, version(key, 2)).await;
    until("both pages were told", async || {
        followers.iter().all(|follower| {
            follower.seen().iter().any(|one| one.image == id && one.status == "superseded")
        })
    })
    .await;
    for page in &pages {
        page.proxy.set(Weather::Fair);
    }
    until("the cache answers again", async || {
        let errors = pages[0].lookups("error").await;
        assert_eq!(pages[0].status(&id).await, "superseded");
        pages[0].lookups("error").await == errors
    })
    .await;
    for _ in 0..20 {
        // As it was, if a page came to take it out once it reached Redis again.
        keep(&redis, &id, &kept).await;
        assert_eq!(pages[0].status(&id).await, "superseded");
    }
    keep(&redis, &id, &kept).await;
    // A page that starts now has seen nothing of it, and does not believe it either.
    let new = Page::open(&rig, redis.address).await;
    assert_eq!(new.status(&id).await, "superseded");
}

/// What Redis holds of an image.
async fn entry(redis: &RedisServer, id: &str) -> HashMap<String, String> {
    let mut get = redis::cmd("HGETALL");
    get.arg(format!("lobar:answer:2:{id}"));
    get.query_async(&mut connection(redis).await).await.expect("answers")
}

/// Puts it there, whatever is in its place.
async fn keep(redis: &RedisServer, id: &str, fields: &HashMap<String, String>) {
    let mut set = redis::cmd("HSET");
    set.arg(format!("lobar:answer:2:{id}"));
    for (name, value) in fields {
        set.arg(name).arg(value);
    }
    set.query_async::<()>(&mut connection(redis).await).await.expect("answers");
}

async fn connection(redis: &RedisServer) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(format!("redis://{}/0", redis.address)).expect("a client");
    client.get_multiplexed_async_connection().await.expect("connects")
}
