//! The statements of the hot paths read index ranges, as the server itself tells (`auto_explain`).

use std::collections::BTreeMap;
use std::ops::Range;

use lobar_core::access::{SiteName, Sites};
use lobar_core::event::Seq;
use lobar_core::image::{Lane, NewImage, Reason, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::position::Position;
use lobar_core::quarantine::Quarantine;
use lobar_core::queue::{Outgoing, Queue, Settlement};
use lobar_core::store::{Basis, Claim, Completion, Filter, Outcome, Retained, Store};
use lobar_core::time::{Clock, Stamp, SystemClock};
use lobar_sql::postgres::{Deferred, PgQueue};
use lobar_testkit::services::postgres::{Cluster, Database};
use std::time::Duration;

use super::load::fill;

use crate::open;

/// Settings of a server that writes every plan into its log.
pub(crate) const EXPLAINING: [&str; 4] = [
    "shared_preload_libraries=auto_explain",
    "auto_explain.log_min_duration=0",
    "auto_explain.log_nested_statements=on",
    "max_parallel_workers_per_gather=0",
];

/// Images: enough that a scan costs more than a range.
const IMAGES: u64 = 60_000;
/// How often each verb runs, so that prepared statements come to their generic plans as well.
const TIMES: usize = 8;

fn all() -> Filter {
    Filter::at(Sites::All)
}

/// Sites as [`fill`] names them.
fn sites(numbers: Range<usize>) -> Sites {
    let name = |n| SiteName::parse(&format!("site{n}")).expect("a name");
    Sites::Only(numbers.map(name).collect())
}

/// Filters as the page has them.
pub(crate) fn filters() -> Vec<(&'static str, Filter)> {
    let states = |states: &[State]| Filter { states: states.to_vec(), ..all() };
    let site = |filter: Filter| Filter { sites: sites(7..8), ..filter };
    let some = |filter: Filter| Filter { sites: sites(7..10), ..filter };
    let flagged = |filter: Filter| Filter { flagged: Some(true), ..filter };
    vec![
        ("all", all()),
        ("ready", states(&[State::Ready])),
        ("queued", states(&[State::Queued])),
        ("needs a human", states(&[State::NeedsHuman, State::Failed])),
        ("flagged", flagged(all())),
        ("one site", site(all())),
        ("one site, flagged", site(flagged(all()))),
        ("one site, unfinished", site(states(&[State::Queued, State::Analysing]))),
        ("three sites", some(all())),
        ("three sites, flagged", some(flagged(all()))),
        ("three sites, analysing", some(states(&[State::Analysing]))),
        ("thirty sites", Filter::at(sites(0..30))),
    ]
}

/// What the log says since it was this long, of statements on this database's tables.
pub(crate) fn explained(database: &Database, since: usize) -> Vec<String> {
    let log = std::fs::read(database.cluster().folder().join("log")).expect("a log");
    let text = String::from_utf8_lossy(&log[since..]).into_owned();
    let plans = text.split("Query Text: ").skip(1).map(|plan| {
        let end = plan.find("\n20").unwrap_or(plan.len());
        plan[..end].to_owned()
    });
    plans.filter(|plan| !plan.contains("pg_catalog")).collect()
}

/// How long the log is.
pub(crate) fn mark(database: &Database) -> usize {
    std::fs::metadata(database.cluster().folder().join("log")).expect("a log").len() as usize
}

fn object(n: usize) -> ObjectVersion {
    ObjectVersion {
        bucket: "xrays".into(),
        key: format!("incoming/site7/new/{n}.jpg"),
        version: Some("v1".into()),
        etag: None,
        sequencer: Some(format!("{n:018X}")),
        size: None,
    }
}

/// Older are some 1,200 of the images that are there, which are three seconds apart.
fn pruned_after() -> Duration {
    SystemClock.now().since(Stamp(1_700_000_000_000_000)) - Duration::from_secs(3_600)
}

async fn everything(store: &dyn Store, quarantine: &dyn Quarantine, queue: &dyn Queue) {
    for (_, filter) in filters() {
        let mut after = None;
        for _ in 0..TIMES {
            let page = store.list(&filter, after, 50).await.expect("listed");
            after = page.next;
        }
    }
    for round in 0..TIMES {
        let objects: Vec<ObjectVersion> = (0..4).map(|n| object(round * 4 + n)).collect();
        let new = |object: &ObjectVersion| NewImage { object: object.clone(), lane: Lane::Stat };
        store.admit(&objects.iter().map(new).collect::<Vec<_>>()).await.expect("admitted");
        store.admit(&[new(&objects[0])]).await.expect("admitted again");
        let ids: Vec<ImageId> = objects.iter().map(ObjectVersion::id).collect();
        let mut claims = store.claim(&ids, 3).await.expect("claimed");
        store.claim(&ids[..1], 0).await.expect("put in quarantine");
        let (mut held, mut done) = (Vec::new(), Vec::new());
        for claim in claims.drain(1..) {
            let Claim::Granted(claimed) = claim else { panic!("granted") };
            let outcome = Outcome::NeedsHuman { reason: Reason::Blank, detail: String::new() };
            held.push(claimed.held());
            done.push(Completion {
                id: claimed.id,
                fence: claimed.fence,
                outcome,
                trace: None,
                basis: Basis::default(),
            });
        }
        assert_eq!(store.count_attempts(&held).await.expect("counted"), [true; 3]);
        store.states(&ids).await.expect("read");
        store.release(&held[2..]).await.expect("given back");
        store.complete(&done).await.expect("completed");
        store.remove(&objects[1]).await.expect("removed");
        store.sweep(Duration::from_secs(60), 10).await.expect("swept");
        store.image(ids[0]).await.expect("read");
        store.events(Seq(7), 10).await.expect("read");
        store.resume(Position::unchecked(Seq(7)), 10).await.expect("read");
        store.newest_position().await.expect("read");
        store.overview().await.expect("read");
        for what in Retained::ALL {
            store.prune(what, pruned_after(), 2).await.expect("pruned");
        }

        for all in [false, true] {
            let newest = quarantine.list(all, None, 10).await.expect("listed");
            let last = newest.last().expect("some").id;
            quarantine.list(all, Some(last), 10).await.expect("listed");
            quarantine.entry(last).await.expect("read");
        }
        assert_eq!(quarantine.waiting().await.expect("counted").len(), 1);

        queue.send(vec![Outgoing::now("a"), Outgoing::now("b")]).await.remove(0).expect("sent");
        let lease = Duration::from_secs(60);
        let taken = queue.receive(2, Duration::ZERO, lease).await.expect("received");
        let receipts: Vec<_> = taken.iter().map(|one| one.receipt.clone()).collect();
        queue.extend(&receipts, lease).await.remove(0).expect("extended");
        let settled = vec![
            (receipts[0].clone(), Settlement::Done),
            (receipts[1].clone(), Settlement::Retry { after: lease }),
        ];
        queue.settle(settled).await.remove(0).expect("settled");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_of_the_hot_paths_reads_index_ranges() {
    let cluster = Cluster::start(&EXPLAINING).await;
    let database = cluster.database();
    fill(&database, IMAGES);
    let now = SystemClock.now().0;
    database.sql(&format!(
        "insert into message (queue, body, sent_at, ready_at)
         select case when n % 5 = 0 then 'jobs-routine' else 'jobs-stat' end, 'body', {now}, {now} - 5
         from generate_series(1, {IMAGES}) as n"
    ));
    database.sql("vacuum (analyze) message");
    // Most of what was ever put aside waits no more.
    database.sql(&format!(
        "insert into quarantine (source, reason, body, at, state)
         select 'uploads', 'wrong_source', 'body', {now},
           case when n % 1000 = 0 then 'waiting' else 'replayed' end
         from generate_series(1, {IMAGES}) as n"
    ));
    let store = open(&database.url()).await;
    Deferred::of_this_release().run(&store).await.expect("migrated");
    database.sql("vacuum (analyze) quarantine");
    let since = mark(&database);
    let queue = PgQueue::new(store.clone(), "jobs-routine");
    everything(&*store, &*store, &queue).await;
    store.close().await;

    let mut seen = BTreeMap::<String, usize>::new();
    for plan in explained(&database, since) {
        let text = plan.lines().next().unwrap_or_default();
        let scans = plan.lines().filter(|line| line.contains("Seq Scan on "));
        for scan in scans {
            // The counts are a handful of rows; the rest is large.
            let small =
                ["tally", "removal", "probe", "retention", "audit_pruned", "_sqlx_migrations"];
            // Read through once an hour, by one process.
            let of_all =
                ["delete from quarantine", "delete from exposure", "delete from first_opinion"];
            let pruned = of_all.iter().any(|start| text.starts_with(start));
            assert!(pruned || small.iter().any(|table| scan.contains(table)), "{plan}");
        }
        for used in plan.lines().filter(|line| line.contains("Index ") && line.contains(" using "))
        {
            let name = used.split(" using ").nth(1).and_then(|rest| rest.split(' ').next());
            *seen.entry(name.unwrap_or_default().to_owned()).or_default() += 1;
        }
        // Images in work are found by their ids, however many are in the same state.
        let by_id = [
            "update image set state = 'analysing'",
            "with begun (",
            "with done (",
            "with back (",
            "select id, state from image",
        ];
        if by_id.iter().any(|start| text.starts_with(start)) {
            assert!(plan.contains("image_pk") && !plan.contains("image_by_"), "{plan}");
        }
        // A range has an end: an index that is walked from one side to the other has no condition.
        let walked = plan.lines().zip(plan.lines().skip(1)).any(|(line, next)| {
            line.contains("Index")
                && line.contains(" on image")
                && !next.contains("Index Cond")
                && !plan.contains("Limit")
        });
        assert!(!walked, "{text}: {plan}");
    }
    println!("indexes used: {seen:?}");
    for index in [
        "image_newest",
        "image_by_state",
        "image_by_site",
        "image_unfinished",
        "image_oldest",
        "image_versions",
        "image_pk",
        "event_pk",
        "message_turn",
        "message_lease",
        "message_group",
        "message_pk",
        "quarantine_pk",
        "quarantine_waiting",
    ] {
        assert!(seen.contains_key(index), "{index} is used: {seen:?}");
    }
}
