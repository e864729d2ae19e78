//! What the catalogue does on a full disk, and once there is room again. The disk is a bound on the pages of
//! the database, which SQLite answers like a full one.

use std::sync::Arc;

use lobar_core::time::SystemClock;
use s3s::S3Error;
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

use super::{Catalog, Content, New, NewPart, Versioning};
use crate::attributes::Attributes;
use crate::bodies::Bodies;
use crate::conditions::Conditions;
use crate::event::{EventName, Origin};
use crate::fault::EndpointFault;

const BUCKET: &str = "xrays";
/// More changes than fit into what a page leaves free.
const MANY: usize = 500;

async fn open() -> (TempDir, Catalog) {
    let folder = tempfile::tempdir().expect("a folder");
    let bodies = Bodies::open(folder.path().join("bodies")).expect("a folder of bodies");
    let (database, bucket) = (folder.path().join("objects.db"), BUCKET.to_owned());
    let (clock, tasks) = (Arc::new(SystemClock), TaskTracker::new());
    let catalog = Catalog::open(&database, Arc::new(bodies), clock, tasks, bucket).await;
    let catalog = catalog.expect("the database opens");
    catalog.create_bucket(BUCKET.to_owned(), Versioning::Enabled).await.expect("a bucket");
    (folder, catalog)
}

/// Bounds the database to so many pages, or to those it has where it has more: on the connection that is open, and on
/// those that follow it, since a transaction that failed closes its own.
async fn bound(catalog: &Catalog, pages: u32) {
    let options = catalog.writer.connect_options().as_ref().clone();
    catalog.writer.set_connect_options(options.pragma("max_page_count", pages.to_string()));
    let pragma = format!("pragma max_page_count = {pages}");
    let done = sqlx::query(sqlx::AssertSqlSafe(pragma)).execute(&catalog.writer).await;
    done.expect("the bound is set");
}

/// No room is what is told, and nothing else.
fn is_full(fault: EndpointFault) {
    assert_eq!(S3Error::from(fault).code().as_str(), "InsufficientStorage");
}

/// A key as long as they get, so that little fits on a page.
fn key(n: usize) -> String {
    format!("{n:01000}")
}

fn origin() -> Origin {
    Origin { peer: "127.0.0.1".to_owned(), request: "R".to_owned() }
}

fn new(n: usize) -> New {
    New {
        bucket: BUCKET.to_owned(),
        key: key(n),
        attributes: Attributes::default(),
        conditions: Conditions::default(),
        happening: EventName::Put,
        origin: origin(),
    }
}

fn part(number: usize) -> NewPart {
    let (number, etag) = (number as i64, "900150983cd24fb0d6963f7d28e17f72".to_owned());
    NewPart { number, body: None, size: 0, etag, sum: None }
}

async fn put(catalog: &Catalog, n: usize) -> Result<(), EndpointFault> {
    catalog.put(new(n), Content::default()).await.map(drop)
}

async fn delete(catalog: &Catalog, n: usize) -> Result<(), EndpointFault> {
    let keys = vec![(key(n), None)];
    catalog.delete(BUCKET.to_owned(), keys, origin()).await.map(drop)
}

async fn begin(catalog: &Catalog, n: usize) -> Result<String, EndpointFault> {
    let attributes = Attributes::default();
    catalog.begin_upload(BUCKET.to_owned(), key(n), attributes, None, false).await
}

async fn add(
    catalog: &Catalog,
    upload: &str,
    n: usize,
    number: usize,
) -> Result<(), EndpointFault> {
    let (bucket, upload) = (BUCKET.to_owned(), upload.to_owned());
    catalog.put_part(bucket, key(n), upload, part(number)).await.map(drop)
}

async fn complete(catalog: &Catalog, upload: &str, n: usize) -> Result<(), EndpointFault> {
    let wanted = vec![(1, None, None)];
    catalog.complete_upload(upload.to_owned(), new(n), wanted, None, u64::MAX).await.map(drop)
}

/// Does `change` until the disk is full, again while it is, and once there is room.
async fn fails_only_while_full(
    catalog: &Catalog,
    change: impl AsyncFn(usize) -> Result<(), EndpointFault>,
) {
    bound(catalog, 1).await;
    let mut refused = None;
    for n in 0..MANY {
        if let Err(fault) = change(n).await {
            refused = Some((n, fault));
            break;
        }
    }
    let (n, fault) = refused.expect("the disk is full at some time");
    is_full(fault);
    for _ in 0..3 {
        is_full(change(n).await.expect_err("it is still full"));
    }
    bound(catalog, u32::MAX - 1).await;
    for n in n..n + 3 {
        change(n).await.expect("there is room again");
    }
}

#[tokio::test]
async fn a_put_that_found_no_room_is_taken_once_there_is_some() {
    let (_folder, catalog) = open().await;
    fails_only_while_full(&catalog, async |n| put(&catalog, n).await).await;
}

#[tokio::test]
async fn a_delete_that_found_no_room_is_done_once_there_is_some() {
    let (_folder, catalog) = open().await;
    fails_only_while_full(&catalog, async |n| delete(&catalog, n).await).await;
}

#[tokio::test]
async fn every_step_of_a_multipart_upload_that_found_no_room_is_done_once_there_is_some() {
    let (_folder, catalog) = open().await;
    fails_only_while_full(&catalog, async |n| begin(&catalog, n).await.map(drop)).await;
    let upload = begin(&catalog, 0).await.expect("there is room");
    fails_only_while_full(&catalog, async |n| add(&catalog, &upload, 0, n + 1).await).await;

    let mut uploads = Vec::new();
    for n in 0..MANY + 3 {
        let upload = begin(&catalog, n).await.expect("there is room");
        add(&catalog, &upload, n, 1).await.expect("there is room");
        uploads.push(upload);
    }
    fails_only_while_full(&catalog, async |n| complete(&catalog, &uploads[n], n).await).await;
}

#[tokio::test]
async fn all_changes_that_a_full_disk_undoes_are_told_so() {
    let (_folder, catalog) = open().await;
    bound(&catalog, 1).await;
    let changes = (0..MANY).map(|n| put(&catalog, n));
    let outcomes = futures::future::join_all(changes).await;
    let faults: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(!faults.is_empty());
    faults.into_iter().for_each(is_full);
    is_full(put(&catalog, MANY).await.expect_err("it is still full"));
    bound(&catalog, u32::MAX - 1).await;
    put(&catalog, MANY).await.expect("there is room again");
}

#[tokio::test]
async fn a_reader_whose_transaction_broke_sees_what_is_written_later() {
    let (_folder, catalog) = open().await;
    // A request that is given up in the middle, on each connection for reading.
    for _ in 0..8 {
        let abandoned = super::transaction::Transaction::read(&catalog.readers).await;
        drop(abandoned.expect("a transaction"));
    }
    put(&catalog, 1).await.expect("stored");
    for _ in 0..8 {
        let (_, found) = catalog.find(BUCKET, &key(1), None).await.expect("readable");
        assert!(found.is_some());
    }
}
