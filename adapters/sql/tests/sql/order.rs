//! The event stream is in the order of commits, with many processes and some slow ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lobar_core::event::{Event, Seq};
use lobar_core::image::{Lane, NewImage, Reason};
use lobar_core::object::ObjectVersion;
use lobar_core::store::{Basis, Claim, Completion, Outcome, Store};
use lobar_testkit::services::postgres::Cluster;

use crate::open;

const WRITERS: usize = 8;
const ROUNDS: usize = 25;

/// Holds some transactions open for a while after they have written their events.
const SLOW: &str = "create function linger() returns trigger language plpgsql as $$
    begin
      if random() < 0.15 then perform pg_sleep(0.06); end if;
      return null;
    end $$;
  create trigger linger after insert on event for each statement execute function linger()";

fn object(writer: usize, round: usize) -> ObjectVersion {
    ObjectVersion {
        bucket: "xrays".into(),
        key: format!("incoming/{writer}/{round}.jpg"),
        version: Some("v1".into()),
        etag: None,
        sequencer: None,
        size: None,
    }
}

/// One image after the other, from admission to completion.
async fn write(store: Arc<dyn Store>, writer: usize) {
    for round in 0..ROUNDS {
        let object = object(writer, round);
        let id = object.id();
        store.admit(&[NewImage { object, lane: Lane::Routine }]).await.expect("admitted");
        let Claim::Granted(claimed) = store.claim(&[id], 9).await.expect("claimed").remove(0)
        else {
            panic!("granted")
        };
        let outcome = Outcome::NeedsHuman { reason: Reason::Blank, detail: String::new() };
        let done =
            Completion { id, fence: claimed.fence, outcome, trace: None, basis: Basis::default() };
        assert_eq!(store.complete(&[done]).await.expect("completed"), [true]);
    }
}

/// Reads on from the last event seen, until there will be no more.
async fn follow(store: Arc<dyn Store>, done: Arc<AtomicBool>) -> Vec<Event> {
    let mut followed = Vec::<Event>::new();
    loop {
        let ending = done.load(Ordering::SeqCst);
        let last = followed.last().map_or(Seq(0), |event| event.seq);
        let more = store.events(last, 50).await.expect("events");
        if more.is_empty() && ending {
            return followed;
        }
        followed.extend(more);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_resumes_misses_nothing_of_many_processes_with_slow_commits() {
    let database = Cluster::shared().await.database();
    database.sql(SLOW);
    let url = database.url();
    let mut processes = Vec::new();
    let done = Arc::new(AtomicBool::new(false));
    let reader = open(&url).await;
    processes.push(reader.clone());
    let reading = tokio::spawn(follow(reader.clone(), done.clone()));
    let mut writing = Vec::new();
    for writer in 0..WRITERS {
        let store = open(&url).await;
        processes.push(store.clone());
        writing.push(tokio::spawn(write(store, writer)));
    }
    for writing in writing {
        writing.await.expect("a writer");
    }
    done.store(true, Ordering::SeqCst);
    let followed = reading.await.expect("the reader");
    let whole = reader.events(Seq(0), usize::MAX).await.expect("events");
    let missed = whole.len() - followed.len();
    println!("{} events of {WRITERS} processes: missed {missed}", whole.len());
    assert_eq!(whole.len(), WRITERS * ROUNDS * 3);
    assert_eq!(missed, 0);
    assert_eq!(followed, whole);

    // And the counts, which are moved in the same turn, are those of the table.
    let wrong = database.sql(
        "select count(*) from tally full join
           (select coalesce(site, '') as site, lane, flag, count(*) as images,
              case when finished_at is null then 'unfinished' else state end as stage
            from image group by 1, 2, 3, 5) as counted using (site, stage, flag, lane)
         where coalesce(tally.images, 0) <> coalesce(counted.images, 0)",
    );
    assert_eq!(wrong, "0", "every count is right");
    for process in processes {
        process.close().await;
    }
}
