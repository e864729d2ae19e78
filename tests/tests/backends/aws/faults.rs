//! T7 and T8 of the fault list: whatever SQS and S3 do, every upload ends once. Each with several seeds,
//! and with its account printed.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_testkit::services::http_proxy::{Fault, Request, Response, edit_messages, fail_entries};
use lobar_tests::kit;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;

use super::fixture::Cloud;

const UPLOADS: u32 = 40;

/// What Jepsen prints.
#[derive(Default)]
struct Account {
    attempted: u64,
    acknowledged: u64,
    lost: u64,
    duplicated: u64,
    /// Handled although they had come before, or had failed before.
    recovered: u64,
    /// Images that nobody uploaded.
    unexpected: u64,
}

impl Account {
    fn print(&self, test: &str, seed: u64, faults: &BTreeMap<&'static str, u64>) {
        println!(
            "{test} seed {seed}: attempted {}, acknowledged {}, lost {}, duplicated {}, recovered {}, \
             unexpected {}; faults {faults:?}",
            self.attempted,
            self.acknowledged,
            self.lost,
            self.duplicated,
            self.recovered,
            self.unexpected
        );
    }

    fn assert_clean(&self) {
        assert_eq!((self.lost, self.duplicated, self.unexpected), (0, 0, 0));
        assert_eq!(self.acknowledged, u64::from(UPLOADS));
    }
}

/// Counts what was done to the roles.
#[derive(Clone, Default)]
struct Faults(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Faults {
    fn count(&self, fault: &'static str) {
        *self.0.lock().expect("whole").entry(fault).or_default() += 1;
    }

    fn all(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().expect("whole").clone()
    }
}

/// Uploads under the rule of `fault`, which passes in the end, and waits until everything is finished.
async fn run(
    test: &str,
    seed: u64,
    fault: impl Fn(&mut Request, &mut StdRng, &Faults) -> Fault + Send + 'static,
) -> Account {
    let cloud = Cloud::open(true).await;
    let faults = Faults::default();
    let random = StdRng::seed_from_u64(seed);
    let counted = faults.clone();
    let calls = Arc::new(AtomicU64::new(0));
    let passed = calls.clone();
    let mut random = random;
    cloud.proxy.rule(move |request| {
        passed.fetch_add(1, Ordering::Relaxed);
        fault(request, &mut random, &counted)
    });
    let ingesting = [cloud.ingest(cloud.ingest_settings()), cloud.ingest(cloud.ingest_settings())];
    let working = [cloud.work(), cloud.work()];
    let mut account = Account::default();
    let mut uploaded: HashSet<ImageId> = HashSet::new();
    for one in 0..UPLOADS {
        let site = ["north", "south", "north/stat"][one as usize % 3];
        account.attempted += 1;
        let body = kit::radiograph_jpeg(160, 150, one);
        let object = cloud.put(&format!("incoming/{site}/a b+{one}.jpg"), body).await;
        uploaded.insert(object.id());
        account.acknowledged += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cloud.until_quiet(u64::from(UPLOADS)).await;
    let handled: f64 =
        ingesting.iter().map(|one| one.metric("lobar_ingest_admissions_total", |_| true)).sum();
    account.recovered = (handled as u64).saturating_sub(account.acknowledged);
    for one in working {
        one.stop().await.expect("a graceful stop");
    }
    for one in ingesting {
        one.stop().await;
    }
    let ends = cloud.ends().await;
    for id in &uploaded {
        let image = cloud.image(*id).await;
        account.recovered += u64::from(image.attempts > 1);
        match (image.state, ends.get(id).copied().unwrap_or(0)) {
            (State::Ready, 1) => {}
            (State::Ready, 2..) => account.duplicated += 1,
            (state, times) => {
                println!("{id} ended {times} times, in {state:?}");
                account.lost += 1;
            }
        }
    }
    account.unexpected = ends.keys().filter(|id| !uploaded.contains(id)).count() as u64;
    account.print(test, seed, &faults.all());
    assert!(faults.all().values().sum::<u64>() > 20, "it was a bad day");
    cloud.proxy.fair();
    cloud.close().await;
    account
}

/// One of the things that SQS does to its clients.
fn sqs(request: &mut Request, random: &mut StdRng, faults: &Faults) -> Fault {
    if request.action().is_empty() || !random.random_bool(0.3) {
        return Fault::Pass;
    }
    let seed = random.random();
    match (request.action(), random.random_range(0..8)) {
        (_, 0) => {
            faults.count("throttled");
            Fault::Answer(Response::sqs(400, "RequestThrottled"))
        }
        (_, 1) => {
            faults.count("5xx");
            Fault::Answer(Response::sqs(503, "ServiceUnavailable"))
        }
        (_, 2) => {
            faults.count("answer lost");
            Fault::Lose
        }
        ("ReceiveMessage", 3) => {
            faults.count("visibility lost");
            let mut asked = request.json();
            asked["VisibilityTimeout"] = json!(1);
            request.set_json(&asked);
            Fault::Pass
        }
        ("ReceiveMessage", 4) => {
            faults.count("reordered and doubled");
            edit_messages(move |messages| {
                let again = messages.clone();
                messages.extend(again);
                messages.shuffle(&mut StdRng::seed_from_u64(seed));
            })
        }
        ("ReceiveMessage", 5) => {
            faults.count("stale receipt");
            edit_messages(|messages| {
                for message in messages.iter_mut().step_by(2) {
                    message["ReceiptHandle"] = json!("stale");
                }
            })
        }
        ("ReceiveMessage", _) => {
            faults.count("late");
            Fault::Late(Duration::from_millis(300))
        }
        (_, 3 | 4) => {
            faults.count("entries failed");
            let mut random = StdRng::seed_from_u64(seed);
            fail_entries(request, "InternalError", false, move || random.random_bool(0.5))
        }
        ("DeleteMessageBatch" | "ChangeMessageVisibilityBatch", _) => {
            faults.count("receipt refused");
            let mut random = StdRng::seed_from_u64(seed);
            fail_entries(request, "ReceiptHandleIsInvalid", true, move || random.random_bool(0.3))
        }
        _ => Fault::Pass,
    }
}

/// One of the things that S3 does to its clients. What the roles would take for an answer about the
/// object (404, 403) is said for a moment only to a HEAD, which has no consequence.
fn s3(request: &mut Request, random: &mut StdRng, faults: &Faults) -> Fault {
    if !request.action().is_empty() || !random.random_bool(0.5) {
        return Fault::Pass;
    }
    match (request.method.as_str(), random.random_range(0..8)) {
        ("HEAD", 0..=2) => {
            faults.count("HEAD denied");
            Fault::Answer(Response::s3(403, ""))
        }
        ("HEAD", 3) => {
            faults.count("HEAD not found");
            Fault::Answer(Response::s3(404, ""))
        }
        (_, 0 | 1) => {
            faults.count("500");
            Fault::Answer(Response::s3(500, "InternalError"))
        }
        (_, 2) => {
            faults.count("503");
            Fault::Answer(Response::s3(503, "SlowDown"))
        }
        (_, 3) => {
            faults.count("answer lost");
            Fault::Lose
        }
        ("GET", 4 | 5) => {
            faults.count("truncated");
            Fault::Truncate(random.random_range(0..2_000))
        }
        ("GET", 6) => {
            faults.count("slow body");
            Fault::Drip(16, Duration::from_millis(100))
        }
        ("GET", _) => {
            faults.count("late");
            Fault::Late(Duration::from_millis(500))
        }
        _ => Fault::Pass,
    }
}

macro_rules! seeds {
    ($($name:ident: $test:literal, $fault:ident, $seed:literal;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                run($test, $seed, $fault).await.assert_clean();
            }
        )+
    };
}

seeds! {
    sqs_on_a_bad_day_loses_and_doubles_nothing_seed_1: "T7", sqs, 1;
    sqs_on_a_bad_day_loses_and_doubles_nothing_seed_2: "T7", sqs, 2;
    sqs_on_a_bad_day_loses_and_doubles_nothing_seed_3: "T7", sqs, 3;
    s3_on_a_bad_day_loses_and_doubles_nothing_seed_1: "T8", s3, 1;
    s3_on_a_bad_day_loses_and_doubles_nothing_seed_2: "T8", s3, 2;
    s3_on_a_bad_day_loses_and_doubles_nothing_seed_3: "T8", s3, 3;
}

/// Between its event and the fetch an object may be denied, deleted or overwritten: each has its word.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_says_of_an_object_becomes_its_reason() {
    let cloud = Cloud::open(false).await;
    let ingesting = cloud.ingest(cloud.ingest_settings());
    let picture = |seed| kit::radiograph_jpeg(160, 150, seed);
    let denied = cloud.put("incoming/north/denied.jpg", picture(1)).await.id();
    let missing = cloud.put("incoming/north/missing.jpg", picture(2)).await.id();
    let overwritten = cloud.put("incoming/north/overwritten.jpg", picture(3)).await.id();
    cloud.until_admitted(3).await;
    ingesting.stop().await;
    // Nobody hears of these two, so that the worker is the first to find out.
    let s3 = cloud.ministack.s3().await;
    let key = "incoming/north/missing.jpg";
    s3.delete_object().bucket(&cloud.bucket).key(key).send().await.expect("deleted");
    cloud.put("incoming/north/overwritten.jpg", picture(4)).await;
    cloud.proxy.rule(|request| match request.target.contains("denied.jpg") {
        true => Fault::Answer(Response::s3(403, "AccessDenied")),
        false => Fault::Pass,
    });
    let working = cloud.work();
    super::fixture::until("all three ended", async || cloud.ends().await.len() == 3).await;
    let word = async |id| {
        let image = cloud.image(id).await;
        (image.state, image.reason.map(lobar_core::image::Reason::code))
    };
    assert_eq!(word(denied).await, (State::NeedsHuman, Some("access_denied")));
    assert_eq!(word(missing).await, (State::NeedsHuman, Some("object_missing")));
    assert_eq!(word(overwritten).await, (State::Superseded, None));
    working.stop().await.expect("a graceful stop");
    cloud.close().await;
}
