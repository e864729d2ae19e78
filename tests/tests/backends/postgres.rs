//! T5: PostgreSQL down, read-only, slow, with transactions undone, with connections cut. Ingest and
//! workers run all the while; afterwards every upload that was acknowledged has ended, once, as it should,
//! and none was blamed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lobar_core::image::{Image, Lane, State};
use lobar_core::object::ImageId;
use lobar_testkit::services::postgres::{Cluster, Database};
use lobar_testkit::services::proxy::{Proxy, Weather};
use lobar_tests::kit;
use lobar_tests::rig::{Rig, ScriptedEngine};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::block_in_place;
use tokio::time::sleep;

const UPLOADS: u64 = 40;
/// Every twentieth is no picture.
const BROKEN: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(180);
/// After how long without any movement a settlement must have been lost, if nothing is in hand.
const UNHEARD: Duration = Duration::from_secs(10);
/// Longer than any lease of the rig.
const PAST_EVERY_LEASE: Duration = Duration::from_secs(25 * 3600);

/// A system whose store is PostgreSQL, reached through a proxy.
struct Fixture {
    database: Database,
    proxy: Proxy,
    rig: Arc<Rig>,
    /// The same while something is in hand.
    unheard: Duration,
}

/// Where the queues are.
#[derive(Clone, Copy, PartialEq)]
enum Queues {
    Elsewhere,
    InThisDatabase,
}

impl Fixture {
    async fn open(cluster: &Arc<Cluster>, queues: Queues) -> Self {
        let database = cluster.database();
        let server = format!("127.0.0.1:{}", cluster.port()).parse().expect("an address");
        let proxy = Proxy::open(server).await;
        let url = database.url_through(proxy.address.port());
        let queue = (queues == Queues::InThisDatabase).then_some(url.as_str());
        let rig = Arc::new(Rig::open_on(Some(&url), queue).await);
        // Queues elsewhere hear every settlement: there, it is only a machine with too much to do.
        let unheard = if queue.is_some() { UNHEARD } else { Duration::from_secs(60) };
        Self { database, proxy, rig, unheard }
    }

    /// How many uploads have not ended and how many messages there still are, and how many images are in
    /// hand; `None` while nobody answers.
    async fn left(&self, uploads: usize) -> Option<(u64, u64)> {
        let overview = self.rig.store.inner.overview().await.ok()?;
        let count = |wanted: fn(&State) -> bool| -> u64 {
            overview.by_state.iter().filter(|(state, _)| wanted(state)).map(|(_, n)| n).sum()
        };
        let ended = count(|state| state.is_terminal());
        let unadmitted = (uploads as u64).abs_diff(ended + count(|state| !state.is_terminal()));
        let mut left = unadmitted + count(|state| !state.is_terminal());
        let (stat, routine) = (&self.rig.jobs.stat.inner, &self.rig.jobs.routine.inner);
        for queue in [&self.rig.uploads.inner, stat, routine] {
            let depth = queue.depth().await.ok()?;
            left += depth.ready + depth.in_flight + depth.delayed;
        }
        Some((left, count(|state| *state == State::Analysing)))
    }

    /// Waits until all uploads have ended and nothing is on a queue.
    async fn until_quiet(&self, uploads: usize) {
        let (began, mut moved) = (Instant::now(), Instant::now());
        let mut before = None;
        loop {
            let left = self.left(uploads).await;
            if left.is_some_and(|(left, _)| left == 0) {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "never quiet: {:?}",
                self.rig.store.inner.overview().await
            );
            if left != before {
                (before, moved) = (left, Instant::now());
            }
            // A settlement that nobody heard leaves its lease to run out, and a job that was given up while
            // the database was away waits for the sweeper. Not while anything moves or is in hand: a lease
            // that runs out under work has another worker take the image over, and that attempt rightly
            // counts.
            let idle = left.is_some_and(|(_, in_hand)| in_hand == 0);
            let stuck = moved.elapsed() > if idle { UNHEARD } else { self.unheard };
            self.rig.clock.advance(if stuck { PAST_EVERY_LEASE } else { Duration::from_secs(1) });
            if stuck {
                moved = Instant::now();
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn is_broken(n: u64) -> bool {
    n % BROKEN == BROKEN - 1
}

/// Puts the uploads one after the other while the fault lasts.
async fn upload(rig: Arc<Rig>, seed: u64, lasts: Duration) -> Vec<(ImageId, State)> {
    let pause = lasts / UPLOADS as u32;
    let mut put = Vec::new();
    for n in 0..UPLOADS {
        let (body, state) = match is_broken(n) {
            true => (b"no picture".to_vec(), State::NeedsHuman),
            false => (kit::radiograph_jpeg(320, 300, (seed * 1_000 + n) as u32), State::Ready),
        };
        let lane = if n % 10 == 3 { Lane::Stat } else { Lane::Routine };
        let object = rig.put(&format!("incoming/north/{seed}/{n}.jpg"), lane, body).await;
        put.push((object.id(), state));
        sleep(pause).await;
    }
    put
}

/// Runs the system through a fault and accounts for every upload.
async fn survives(
    name: &str,
    cluster: &Arc<Cluster>,
    queues: Queues,
    seed: u64,
    lasts: Duration,
    fault: impl AsyncFn(&Fixture, &mut StdRng, Duration),
) {
    let house = Fixture::open(cluster, queues).await;
    let rig = &house.rig;
    let ingests = [rig.ingest(Rig::ingest_settings()), rig.ingest(Rig::ingest_settings())];
    let workers = [(); 2].map(|()| rig.work(ScriptedEngine::truthful(), Rig::worker_settings()));
    let uploading = tokio::spawn(upload(rig.clone(), seed, lasts));
    let mut random = StdRng::seed_from_u64(seed);
    fault(&house, &mut random, lasts).await;
    house.proxy.set(Weather::Fair);
    let put = uploading.await.expect("uploaded");
    let recovering = Instant::now();
    let finished = match rig.store.inner.overview().await {
        Ok(overview) => {
            overview.by_state.iter().filter(|(s, _)| s.is_terminal()).map(|(_, n)| n).sum()
        }
        Err(_) => 0,
    };
    house.until_quiet(put.len()).await;
    let took = recovering.elapsed();

    let events = rig.events().await;
    let (mut lost, mut duplicated, mut unexpected, mut blamed) = (0, 0, 0, 0);
    for (id, expected) in &put {
        let image: Option<Image> = rig.store.inner.image(*id).await.expect("answers");
        let Some(image) = image else {
            lost += 1;
            continue;
        };
        unexpected += usize::from(image.state != *expected);
        blamed += usize::from(image.attempts > 1);
        let shown = events.iter().filter(|event| event.image == *id && event.state.is_terminal());
        match shown.count() {
            0 => lost += 1,
            1 => {}
            _ => duplicated += 1,
        }
    }
    unexpected += rig.store.quarantined.lock().expect("nobody panicked").len();
    println!(
        "{name}, seed {seed}: attempted {UPLOADS}, acknowledged {}, lost {lost}, duplicated {duplicated}, \
         recovered {} in {:.1} s, unexpected {unexpected}, attempts counted in vain {blamed}",
        put.len(),
        put.len() as u64 - finished,
        took.as_secs_f64(),
    );
    assert_eq!((lost, duplicated, unexpected), (0, 0, 0), "{name}, seed {seed}");
    if queues == Queues::Elsewhere {
        assert_eq!(
            blamed, 0,
            "{name}, seed {seed}: the database was away, the images are not to blame"
        );
    }
    for ingest in ingests {
        ingest.stop().await;
    }
    for worker in workers {
        worker.stop().await.expect("a clean stop");
    }
}

/// Until the time is over, one thing after the other.
async fn again_and_again(lasts: Duration, one: impl AsyncFnMut()) {
    let (began, mut one) = (Instant::now(), one);
    while began.elapsed() < lasts {
        one().await;
    }
}

async fn restart(house: &Fixture, random: &mut StdRng, away: Duration) {
    let cluster = house.database.cluster();
    block_in_place(|| if random.random_bool(0.5) { cluster.kill() } else { cluster.stop() });
    sleep(away).await;
    cluster.start_again().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_or_stopped_and_started_again() {
    let cluster = Cluster::start(&[]).await;
    for seed in 0..3 {
        let lasts = Duration::from_secs(6);
        survives("down", &cluster, Queues::Elsewhere, seed, lasts, async |house, random, lasts| {
            again_and_again(lasts, async || {
                let away = Duration::from_millis(random.random_range(200..2_500));
                restart(house, random, away).await;
                sleep(Duration::from_millis(random.random_range(200..1_500))).await;
            })
            .await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn down_for_half_a_minute() {
    let cluster = Cluster::start(&[]).await;
    let lasts = Duration::from_secs(32);
    survives("down 30 s", &cluster, Queues::Elsewhere, 7, lasts, async |house, random, _| {
        sleep(Duration::from_secs(1)).await;
        restart(house, random, Duration::from_secs(30)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_only_for_a_while() {
    let cluster = Cluster::start(&[]).await;
    for seed in 0..3 {
        let lasts = Duration::from_secs(5);
        survives(
            "read-only",
            &cluster,
            Queues::Elsewhere,
            seed,
            lasts,
            async |house, random, lasts| {
                again_and_again(lasts, async || {
                    for only in ["on", "off"] {
                        let set =
                            format!("alter system set default_transaction_read_only = {only}");
                        block_in_place(|| {
                            house.database.sql(&set);
                            house.database.sql("select pg_reload_conf()");
                        });
                        sleep(Duration::from_millis(random.random_range(200..1_500))).await;
                    }
                })
                .await;
            },
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_commits() {
    let cluster = Cluster::start(&[]).await;
    for seed in 0..3 {
        let lasts = Duration::from_secs(6);
        survives("slow", &cluster, Queues::Elsewhere, seed, lasts, async |house, random, lasts| {
            again_and_again(lasts, async || {
                house.proxy.set(Weather::Slow(Duration::from_millis(random.random_range(5..60))));
                // Another process sits in the turn of the events.
                let held = random.random_range(1..15);
                let hold = format!(
                    "begin; select pg_advisory_xact_lock(1280262721, 1); select pg_sleep(0.{held:02}); commit"
                );
                block_in_place(|| house.database.sql(&hold));
                sleep(Duration::from_millis(random.random_range(10..300))).await;
            })
            .await;
        })
        .await;
    }
}

/// A fifth of all transactions that write events are undone at their commit, and some linger between the
/// lock of the events and that of the counts.
const UNDO: &str = "create function undo() returns trigger language plpgsql as $$
    begin
      if random() < 0.2 then raise exception 'undone' using errcode = 'serialization_failure'; end if;
      return null;
    end $$;
  create constraint trigger undo after insert on event deferrable initially deferred
    for each row execute function undo();
  create function linger() returns trigger language plpgsql as $$
    begin
      if random() < 0.3 then perform pg_sleep(0.1); end if;
      return null;
    end $$;
  create trigger linger after insert on event for each statement execute function linger()";

/// Another takes the same locks the other way round: a ring, which the server cuts where it was closed.
const ACROSS: &str = "do $$ begin
    set local deadlock_timeout = '5s';
    lock table tally in exclusive mode;
    perform pg_advisory_xact_lock(1280262721, 1);
  exception when deadlock_detected then null;
  end $$";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serialization_failures_and_deadlocks() {
    let cluster = Cluster::start(&["deadlock_timeout=50ms"]).await;
    for seed in 0..3 {
        let lasts = Duration::from_secs(5);
        survives("undone", &cluster, Queues::Elsewhere, seed, lasts, async |house, random, lasts| {
            house.database.sql(UNDO);
            again_and_again(lasts, async || {
                block_in_place(|| house.database.sql(ACROSS));
                sleep(Duration::from_millis(random.random_range(10..200))).await;
            })
            .await;
            let undone = house.database.sql(
                "drop trigger undo on event; drop trigger linger on event;
                 select deadlocks, xact_rollback from pg_stat_database where datname = current_database()",
            );
            println!("deadlocks|rollbacks: {undone}");
        })
        .await;
    }
}

async fn cut(house: &Fixture, random: &mut StdRng) {
    match random.random_range(0..6) {
        0..=2 => house.proxy.cut(),
        3 => house.proxy.set(Weather::Truncate(random.random_range(0..600))),
        4 => house.proxy.set(Weather::Down),
        _ => house.proxy.set(Weather::Blackhole),
    }
    sleep(Duration::from_millis(random.random_range(20..250))).await;
    house.proxy.set(Weather::Fair);
    sleep(Duration::from_millis(random.random_range(20..250))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut() {
    let cluster = Cluster::start(&[]).await;
    for seed in 0..4 {
        let lasts = Duration::from_secs(6);
        survives("cut", &cluster, Queues::Elsewhere, seed, lasts, async |house, random, lasts| {
            again_and_again(lasts, async || cut(house, random).await).await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_and_queues_in_the_same_database_cut_and_killed() {
    let cluster = Cluster::start(&[]).await;
    for seed in 0..3 {
        let lasts = Duration::from_secs(8);
        survives(
            "all in one",
            &cluster,
            Queues::InThisDatabase,
            seed,
            lasts,
            async |house, random, lasts| {
                again_and_again(lasts, async || {
                    if random.random_bool(0.1) {
                        restart(house, random, Duration::from_millis(300)).await;
                    }
                    cut(house, random).await;
                })
                .await;
            },
        )
        .await;
    }
}
