//! The worklist on PostgreSQL reads what waits and nothing else, as the server itself tells, and is right without its indexes.

use std::time::Duration;

use lobar_core::exposure::Reader;
use lobar_core::time::Stamp;
use lobar_core::worklist::{Claiming, Urgency, Worklist};
use lobar_sql::postgres::Deferred;
use lobar_testkit::services::postgres::Cluster;
use uuid::Uuid;

use super::load::fill;
use super::plans::{EXPLAINING, explained, filters, mark};

use crate::open;

/// Enough that a scan costs more than a range; one in fifty waits.
const IMAGES: u64 = 60_000;
/// How often each page is read, so that prepared statements come to their generic plans as well.
const TIMES: usize = 8;

fn urgency() -> Urgency {
    let newest = Stamp(1_700_000_000_000_000 + 3_000_000 * IMAGES as i64);
    Urgency::at(newest, Duration::from_secs(24 * 3600), true)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_totals_and_claims_read_index_ranges_of_what_waits() {
    let cluster = Cluster::start(&EXPLAINING).await;
    let database = cluster.database();
    fill(&database, IMAGES);
    database.sql(
        "update image set read_at = finished_at
         where finished_at is not null and ('x' || substr(md5(id::text), 1, 4))::bit(16)::int % 50 > 0",
    );
    let store = open(&database.url()).await;
    // Without the indexes that `lobar migrate` makes: slower, and the same.
    let first = store.to_read(&filters()[0].1, &urgency(), None, None, 50).await.expect("a page");
    Deferred::of_this_release().run(&store).await.expect("migrated");
    database.sql("vacuum (analyze) image");
    let again = store.to_read(&filters()[0].1, &urgency(), None, None, 50).await.expect("a page");
    assert_eq!(again, first);

    let since = mark(&database);
    let reader = Reader { id: Uuid::from_u128(1), name: "ada".into() };
    for (_, filter) in filters() {
        let mut after = None;
        for _ in 0..TIMES {
            let page =
                store.to_read(&filter, &urgency(), Some("ada"), after, 50).await.expect("a page");
            after = page.next;
            let ids: Vec<_> = page.items.iter().map(|image| image.id).collect();
            store.readership(&ids).await.expect("read");
            for id in ids.iter().take(2) {
                let lease = Duration::from_secs(600);
                let claimed = store.claim_reading(*id, &reader, Claiming::Open, lease).await;
                assert!(claimed.expect("asked").is_some());
                assert!(store.release_reading(*id, &reader).await.expect("asked"));
            }
        }
    }
    store.close().await;

    let (mut all, mut of_site) = (0, 0);
    for plan in explained(&database, since) {
        let text = plan.lines().next().unwrap_or_default();
        assert!(!plan.contains("Seq Scan on image"), "{plan}");
        if text.starts_with("with range")
            || text.starts_with("with at")
            || text.contains("count(*)")
        {
            // Counted at some of the sites, the index of all may be the shorter one. A bitmap is made of an index too.
            let uses = |index: &str| {
                ["Scan using ", "Bitmap Index Scan on "]
                    .map(|words| plan.matches(&format!("{words}{index} ")).count())
                    .iter()
                    .sum::<usize>()
            };
            let (indexes, of_sites) = (uses("image_waiting"), uses("image_waiting_by_site"));
            assert!(indexes + of_sites > 0, "{plan}");
            (all, of_site) = (all + indexes, of_site + of_sites);
        }
    }
    assert!(all > 0 && of_site > 0, "both indexes are used: {all}, {of_site}");
}
