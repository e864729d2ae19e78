//! Every call that ingest and worker make on a port, answered with every kind of error: permanent, a
//! conflict, something unreadable; for one image, and for all for a while. Each image ends once, or its
//! message is put aside with a reason; nobody else is hurt; and nothing is tried without a bound.
//!
//! The calls are found by running the roles once without errors, so that a new one is among them.

#![allow(clippy::print_stdout)] // the counters are to be read

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use lobar_core::engine::EngineError;
use lobar_core::image::{Lane, NewImage, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::probe;
use lobar_core::queue::Outgoing;
use lobar_ingest::{IngestSettings, Retention};
use lobar_tests::kit;
use lobar_tests::rig::{Count, Kind, Plan, Rig, Scope, ScriptedEngine};
use lobar_worker::WorkerSettings;
use uuid::Uuid;

/// Short, so that what is not settled comes again soon; the clock goes as fast as time does.
const LEASE: Duration = Duration::from_secs(1);
/// Calls that fail before a fault that is everybody's has passed.
const FOR_A_WHILE: u32 = 20;
/// Calls about one image that may fail until it has ended.
const TRIES: u32 = 60;
/// Takeovers by a rival: each costs an attempt, and it does not do so for ever.
const RIVALS: u32 = 2;
/// Scenarios that run side by side: they wait more than they work.
const AT_ONCE: usize = 6;

/// A probe that arrives among the uploads.
const PROBE: Uuid = Uuid::from_u128(7);

/// Calls on these ports that are other roles'.
const OF_OTHERS: [&str; 8] = [
    "store.image",
    "store.list",
    "store.events",
    "store.overview",
    "objects.put",
    "objects.presign_put",
    "signal.subscribe",
    "uploads.send",
];

/// Every call on the ports that the roles have.
const CALLS: [&str; 37] = [
    "store.admit",
    "store.remove",
    "store.claim",
    "store.complete",
    "store.count_attempts",
    "store.release",
    "store.retry",
    "store.sweep",
    "store.image",
    "store.list",
    "store.events",
    "store.newest_position",
    "store.overview",
    "store.quarantine",
    "store.prune",
    "store.note_probe",
    "uploads.send",
    "uploads.receive",
    "uploads.extend",
    "uploads.settle",
    "jobs-stat.send",
    "jobs-stat.receive",
    "jobs-stat.extend",
    "jobs-stat.settle",
    "jobs-stat.depth",
    "jobs-routine.send",
    "jobs-routine.receive",
    "jobs-routine.extend",
    "jobs-routine.settle",
    "jobs-routine.depth",
    "objects.fetch",
    "objects.asked",
    "objects.current",
    "objects.put",
    "objects.presign_put",
    "objects.check",
    "signal.publish",
];

/// What was uploaded, and what lies on the queues before the roles start.
struct Uploads {
    victim: ObjectVersion,
    /// What must be `ready` whatever happens to the victim.
    others: Vec<ImageId>,
    /// Its removal is notified too, and may come before or after its result.
    removed: ImageId,
}

fn picture(seed: u32) -> Vec<u8> {
    kit::radiograph_jpeg(320, 300, seed)
}

async fn upload(rig: &Rig) -> Uploads {
    let victim = rig.put("incoming/north/victim.jpg", Lane::Routine, picture(1)).await;
    let mut others = Vec::new();
    for (key, seed) in
        [("incoming/north/b.jpg", 2), ("incoming/north/c.jpg", 3), ("incoming/north/stat/d.jpg", 4)]
    {
        others.push(rig.put(key, Lane::Routine, picture(seed)).await.id());
    }
    let removed = rig.put("incoming/north/removed.jpg", Lane::Routine, picture(5)).await;
    let told = async |count| {
        let all = async || rig.uploads.inner.depth().await.expect("answers").ready == count;
        rig.until("the bucket told of all", all).await;
    };
    told(5).await;
    // An image that was admitted and whose job was lost: one for the sweeper.
    let lost = rig.objects.inner.put(lobar_core::object_store::Upload {
        key: "incoming/north/lost.jpg".into(),
        body: picture(6).into(),
        lane: Lane::Routine,
        metadata: Default::default(),
    });
    let lost = NewImage { object: lost.await.expect("stored"), lane: Lane::Routine };
    // Calls are counted from the plan on: none of the bucket's may come after it.
    told(6).await;
    others.push(lost.object.id());
    rig.store.inner.admit(&[lost]).await.expect("admitted");
    let deleted = serde_json::json!({ "Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectRemoved:Delete",
        "s3": { "bucket": { "name": removed.bucket }, "object": {
            "key": removed.key, "versionId": removed.version, "sequencer": "0",
        } },
    }] });
    let probe = serde_json::json!({ "Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": { "bucket": { "name": removed.bucket }, "object": {
            "key": probe::key(PROBE), "eTag": "d41d8cd98f00b204e9800998ecf8427e", "size": 0,
        } },
    }] });
    let messages = [deleted.to_string(), probe.to_string(), "not a notification".to_owned()];
    let messages = messages.into_iter().map(Outgoing::now).collect();
    assert!(rig.uploads.inner.send(messages).await.iter().all(Result::is_ok));
    Uploads { victim, others, removed: removed.id() }
}

/// What goes wrong in every scenario, so that the roles make every call that they can.
fn weather() -> Vec<Plan> {
    let once = |call: &str, kind, scope| Plan { call: call.into(), kind, scope };
    vec![
        // An outage of the store makes ingest ask for its end.
        once("store.admit", Kind::Transient, Scope::All(1)),
        // An image is given back; its fetch is rejected, and the bucket asked.
        once("objects.fetch", Kind::Transient, Scope::Victim(1)),
        once("objects.fetch", Kind::Permanent, Scope::Victim(1)),
    ]
}

/// An engine that fails once on the victim.
fn engine() -> ScriptedEngine {
    let limits = lobar_imaging::Limits::default();
    let victim = lobar_imaging::prepare(&picture(1), &limits).expect("a radiograph").input;
    let mut failures = 2; // the batch, and its half
    ScriptedEngine::new(move |batch| {
        if batch.contains(&victim) && failures > 0 {
            failures -= 1;
            return Err(EngineError::Batch { size: batch.len(), why: "as told".into() });
        }
        ScriptedEngine::answer(batch)
    })
}

/// Runs both roles until everything has ended; the calls they made.
async fn run(plan: Option<Plan>) -> BTreeMap<String, Count> {
    let rig = Rig::open().await;
    let what = format!("{plan:?}");
    let uploads = upload(&rig).await;
    let mut plans = weather();
    plans.extend(plan.clone());
    rig.injector.plan(&uploads.victim, plans);
    rig.objects.answering.off();
    rig.objects.flowing.off();
    let ingest = rig.ingest(IngestSettings {
        lease: LEASE,
        receivers: 1,
        sweep_every: Duration::from_millis(100),
        sweep_after: Duration::from_secs(1),
        retention: Retention { events: Some(Duration::from_secs(86_400)), ..Retention::default() },
        prune_every: Duration::from_millis(200),
        ..Rig::ingest_settings()
    });
    let worker = rig.work(engine(), WorkerSettings { lease: LEASE, ..Rig::worker_settings() });
    // Objects are slow until leases had to be kept.
    let extended = async |names: &[&str]| {
        let counts = rig.injector.counts();
        names.iter().all(|name| counts.contains_key(*name))
    };
    let slow = Duration::from_secs(4);
    let wait = rig.until_in_time("kept", async || extended(&["uploads.extend"]).await);
    let _ = tokio::time::timeout(slow, wait).await;
    rig.objects.answering.on();
    let both = ["jobs-stat.extend", "jobs-routine.extend"];
    let wait = rig.until_in_time("kept", async || extended(&both).await);
    let _ = tokio::time::timeout(slow, wait).await;
    rig.objects.flowing.on();

    rig.until_in_time(&what, async || has_ended(&rig, &uploads).await).await;
    account(&rig, &uploads, plan.as_ref()).await;
    ingest.stop().await;
    worker.stop().await.expect("a clean stop");
    rig.injector.counts()
}

/// Messages that were put aside, besides the one that is no notification.
fn aside(rig: &Rig) -> usize {
    let mut aside = rig.store.quarantined.lock().expect("nobody panicked").len();
    for queue in [&rig.uploads, &rig.jobs.stat, &rig.jobs.routine] {
        aside += queue.dead.lock().expect("nobody panicked").len();
    }
    aside
}

async fn is_over(rig: &Rig, image: ImageId) -> bool {
    let image = rig.store.inner.image(image).await.expect("answers");
    image.is_some_and(|image| image.state.is_terminal())
}

async fn has_ended(rig: &Rig, uploads: &Uploads) -> bool {
    let mut over = is_over(rig, uploads.removed).await;
    for image in &uploads.others {
        over &= is_over(rig, *image).await;
    }
    let aside = aside(rig);
    over && aside >= 1 && (is_over(rig, uploads.victim.id()).await || aside >= 2)
}

async fn account(rig: &Rig, uploads: &Uploads, plan: Option<&Plan>) {
    let what = format!("{plan:?}");
    let injected = rig.injector.injected();
    assert!(injected <= TRIES, "{what}: {injected} calls failed before it ended");
    let garbage = |plan: &Plan| plan.kind == Kind::Unreadable && plan.call == "objects.fetch";
    let for_all = plan.is_some_and(|plan| matches!(plan.scope, Scope::All(_)));
    let mut good = uploads.others.clone();
    if (for_all || plan.is_none()) && is_over(rig, uploads.victim.id()).await {
        good.push(uploads.victim.id());
    }
    for image in &good {
        let state = rig.image(*image).await.state;
        let expected = if for_all && plan.is_some_and(garbage) { state } else { State::Ready };
        assert_eq!(state, expected, "{what}: an image was hurt");
    }
    // Only a store that rejects the probe for good makes ingest give it up.
    let given_up = plan.is_some_and(|plan| {
        plan.call == "store.note_probe" && [Kind::Permanent, Kind::Unreadable].contains(&plan.kind)
    });
    if !given_up {
        let noted = async || rig.store.inner.take_probe(PROBE).await.expect("answers");
        rig.until_in_time("the probe's arrival is noted", noted).await;
    }
    let events = rig.events().await;
    for image in good.iter().chain([&uploads.victim.id()]) {
        let ends = events.iter().filter(|e| e.image == *image && e.state.is_terminal()).count();
        assert!(ends <= 1, "{what}: an image ended {ends} times");
    }
    for queue in [&rig.uploads, &rig.jobs.stat, &rig.jobs.routine] {
        for (reason, _) in queue.dead.lock().expect("nobody panicked").iter() {
            assert!(!reason.is_empty(), "{what}: put aside without a reason");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_of_every_call_ends_and_hurts_nobody_else() {
    let calls = run(None).await;
    let made: Vec<&str> = calls.keys().map(String::as_str).collect();
    for call in CALLS {
        let of_others = OF_OTHERS.contains(&call);
        assert!(
            made.contains(&call) != of_others,
            "{call}: not made, or by a role that should not"
        );
    }
    assert!(made.iter().all(|call| CALLS.contains(call)), "a call that is not listed: {made:?}");

    let mut plans = Vec::new();
    for (call, count) in &calls {
        for kind in Kind::FAULTS {
            let plan = |scope| Plan { call: call.clone(), kind, scope };
            let is_rival = kind == Kind::Conflict;
            plans.push(plan(Scope::All(if is_rival { RIVALS } else { FOR_A_WHILE })));
            let garbled = kind == Kind::Unreadable && call.ends_with(".receive");
            if count.has_items || garbled {
                let often = if is_rival { RIVALS } else { u32::MAX };
                plans.push(plan(Scope::Victim(often)));
            }
        }
    }
    let scenarios = plans.len();
    let runs = stream::iter(plans).map(|plan| async {
        // What it finds wrong is told when all others have run.
        let what = format!("{plan:?}");
        AssertUnwindSafe(run(Some(plan))).catch_unwind().await.err().map(|_| what)
    });
    let runs = runs.buffer_unordered(AT_ONCE).filter_map(std::future::ready);
    let failed: Vec<String> = runs.collect().await;
    assert!(failed.is_empty(), "{} of {scenarios} failed:\n{}", failed.len(), failed.join("\n"));
    println!("{} calls, {scenarios} scenarios: lost 0, hurt 0, without an end 0", made.len());
}
