//! One run: clients and faults at once, then silence, then the count.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lobar_tests::kit::Client;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::account::{Account, History};
use super::bucket::Bucket;
use super::clients::{Subscriber, all_events, lock, stored, upload};
use super::inject::carry_out;
use super::invariants::{Item, Violation};
use super::plan::{PATIENT, Plan, SITES, files};
use super::schedule::Schedule;
use super::system::System;

/// How long faults come for.
const LENGTH: Duration = Duration::from_secs(60);
/// For how long nothing may change until it counts as quiet: longer than the api takes to look at the store when
/// nobody tells it to.
const STILL: Duration = Duration::from_secs(5);
/// What each site does to the bucket in that time.
const STEPS: usize = 80;
/// How long everything may take to come to an end after the last fault, on a busy machine.
const QUIET: Duration = Duration::from_secs(300);
/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(180);

/// Runs a seed and answers its counters, and what must not be.
pub(crate) async fn run(seed: u64) -> (Account, Vec<Violation>) {
    let schedule = Schedule::of(seed, LENGTH);
    print!("{schedule}");
    let system = Arc::new(System::open(seed).await);
    until_ready(&system).await;

    let (bucket, files) = (Arc::new(Mutex::new(Bucket::default())), Arc::new(files()));
    let mut uploads = JoinSet::new();
    for site in 0..SITES.len() {
        let plan = Plan::of(seed, site, STEPS, LENGTH);
        uploads.spawn(upload(system.clone(), plan, files.clone(), bucket.clone()));
    }
    let mut clients = JoinSet::new();
    let subscribers = SITES.map(|site| {
        let subscriber = Subscriber { site, told: Arc::default(), readings: Arc::default() };
        let subscriber = Arc::new(subscriber);
        let (system, one) = (system.clone(), subscriber.clone());
        clients.spawn(async move {
            tokio::join!(one.follow(&system), one.look(&system), one.list(&system));
        });
        subscriber
    });
    let looked_after = system.clone();
    clients.spawn(async move {
        loop {
            looked_after.look_after();
            sleep(Duration::from_millis(200)).await;
        }
    });

    carry_out(&system, &schedule).await;
    let ended = Instant::now();
    uploads.join_all().await;
    let last = until_quiet(&system, &bucket, &subscribers).await;
    let quiet_after = ended.elapsed().saturating_sub(STILL);
    // A client that panicked has seen what is no event stream and no list.
    while let Some(client) = clients.try_join_next() {
        client.expect("clients go on for ever");
    }
    let history = history(&system, &bucket, &subscribers, last).await;
    clients.shutdown().await;

    system.read_logs(PATIENT);
    let mut violations = system.told();
    violations.extend(history.violations().into_iter().filter(|one| !system.told().contains(one)));
    if !violations.is_empty() {
        system.keep_logs(seed);
        tell_of(&history, &violations);
    }
    let account = Account::of(&history, &violations);
    let (faults, attempted) = (schedule.steps.len(), system.attempted());
    (Account { seed, faults, attempted, quiet_after, ..account }, violations)
}

async fn until_ready(system: &System) {
    let (client, began) = (Client::new(&system.url()), Instant::now());
    // Workers are known when they are ready for work.
    let workers = |page: &Value| page["workers"].as_u64().or(page["workers"]["now"].as_u64());
    loop {
        let queues = client.try_get("/v1/queues").await;
        if queues.as_ref().and_then(workers) == Some(2) {
            return;
        }
        system.look_after();
        if began.elapsed() > START || !system.told().is_empty() {
            system.keep_logs(0);
            panic!("the system does not become ready: {queues:?}");
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until no notification waits, every stored version is known and no work is open, and every subscriber has
/// seen the last event; answers its number.
async fn until_quiet(
    system: &System,
    bucket: &Mutex<Bucket>,
    subscribers: &[Arc<Subscriber>],
) -> i64 {
    let (client, began) = (Client::new(&system.url()), Instant::now());
    let versions = stored(system).await.len();
    let (mut since, mut still) = (Instant::now(), -1);
    loop {
        let (last, why) = open_work(system, &client, versions).await;
        let behind = subscribers
            .iter()
            .filter(|one| lock(&one.told).last().map_or(0, |told| told.seq) != last)
            .count();
        if why.is_some() || behind > 0 || last != still {
            (since, still) = (Instant::now(), last);
        } else if since.elapsed() > STILL {
            return last;
        }
        if began.elapsed() > QUIET {
            let acknowledged = lock(bucket).acknowledged();
            let why =
                format!("{why:?}; {behind} subscribers are behind; {acknowledged} acknowledged");
            system.tell(Violation::NotQuiet { why });
            return last;
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// The number of the last event, and what is still open.
async fn open_work(system: &System, client: &Client, versions: usize) -> (i64, Option<String>) {
    let waiting = waiting_notifications(system).await;
    let known = client.try_get("/v1/images?limit=1").await;
    let open = client.try_get("/v1/images?limit=1&status=queued,analysing").await;
    let (Some(known), Some(open)) = (known, open) else { return (-1, Some("no answer".into())) };
    let total = |page: &Value| page["total"].as_u64().expect("a number") as usize;
    // A version that was put and superseded is an image like any other.
    let missing = versions.saturating_sub(total(&known));
    let quiet = waiting == 0 && missing == 0 && total(&open) == 0;
    let why = format!("{waiting} notifications wait, {missing} missing, {} open", total(&open));
    (known["last_event"].as_i64().expect("a number"), (!quiet).then_some(why))
}

async fn waiting_notifications(system: &System) -> usize {
    let attributes = system.s3.attributes(&system.queue.url).await;
    let counts = attributes
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("ApproximateNumberOfMessages"));
    counts.map(|(_, count)| count.parse::<usize>().unwrap_or(0)).sum()
}

async fn history(
    system: &System,
    bucket: &Mutex<Bucket>,
    subscribers: &[Arc<Subscriber>],
    last: i64,
) -> History {
    let client = Client::new(&system.url());
    let models = client.get("/v1/models").await;
    let models: HashSet<String> = sha256s(&models).collect();
    let (events, stored) = (all_events(system, last).await, stored(system).await);
    let images = client.images().await.iter().map(Item::read).collect();
    let of_each = |one: &Arc<Subscriber>| (one.site.to_owned(), lock(&one.told).clone());
    History {
        bucket: lock(bucket).clone(),
        stored,
        events,
        subscribers: subscribers.iter().map(of_each).collect::<BTreeMap<_, _>>(),
        readings: subscribers.iter().flat_map(|one| lock(&one.readings).clone()).collect(),
        images,
        models,
    }
}

fn sha256s(models: &Value) -> impl Iterator<Item = String> {
    let all = models["items"].as_array().or(models["models"].as_array()).or(models.as_array());
    let all = all.expect("a list of models").iter();
    all.filter_map(|model| model["sha256"].as_str().map(str::to_owned))
        .collect::<Vec<_>>()
        .into_iter()
}

/// What the images passed through that something is wrong with.
fn tell_of(history: &History, violations: &[Violation]) {
    for violation in violations {
        println!("  {violation:?}");
        let text = format!("{violation:?}");
        let images = history.images.iter().map(|item| item.image.as_str());
        for image in images.filter(|image| text.contains(image)) {
            println!("    {:?}", history.bucket.story(image));
        }
        let concerned = history.events.iter().filter(|told| text.contains(&told.image));
        for told in concerned {
            println!("    event {}: {}", told.seq, told.status);
        }
    }
}
