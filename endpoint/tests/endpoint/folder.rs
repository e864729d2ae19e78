//! A part of a bucket, read as a folder.

use futures::StreamExt as _;
use lobar_core::image::Lane;
use lobar_core::object_store::{FetchError, ObjectStore as _, Upload};
use lobar_s3::{Listed, S3Folder};

use crate::fixture::{noise, start};

/// More than a page.
const FILES: usize = 1_005;

fn file(key: String, body: Vec<u8>) -> Upload {
    Upload { key, body: body.into(), lane: Lane::Routine, metadata: Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_listed_page_after_page_and_nothing_beside_it() {
    let home = tempfile::tempdir().expect("a folder");
    let endpoint = start(home.path()).await;
    let objects = endpoint.objects().await;
    let keys = (0..FILES).map(|n| format!("sets/a b/{n:04}.jpg"));
    let keys = keys.chain(["sets/a b2/x.jpg".into(), "sets/a".into(), "x.jpg".into()]);
    let puts = futures::stream::iter(keys).map(|key| objects.put(file(key, b"abc".to_vec())));
    let stored: Vec<_> = puts.buffer_unordered(16).collect().await;
    assert!(stored.iter().all(Result::is_ok));

    let folder = S3Folder::connect(endpoint.s3_options("xrays"), "/sets/a b/").await;
    let listed = folder.list().await.expect("listed");
    let names: Vec<_> = listed.iter().map(|one| one.name.clone()).collect();
    assert_eq!(names, (0..FILES).map(|n| format!("{n:04}.jpg")).collect::<Vec<_>>());
    let etag = "900150983cd24fb0d6963f7d28e17f72"; // MD5 of "abc"
    assert!(listed.iter().all(|one| one.bytes == 3 && one.etag == etag));
    let all = S3Folder::connect(endpoint.s3_options("xrays"), "").await;
    assert_eq!(all.list().await.expect("listed").len(), FILES + 3);
    let nothing = S3Folder::connect(endpoint.s3_options("xrays"), "sets/b").await;
    assert_eq!(nothing.list().await.expect("listed").len(), 0);
    let nowhere = S3Folder::connect(endpoint.s3_options("nowhere"), "sets").await;
    assert!(!nowhere.list().await.err().expect("refused").is_transient());
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_comes_as_it_was_listed_or_not_at_all() {
    let home = tempfile::tempdir().expect("a folder");
    let endpoint = start(home.path()).await;
    let objects = endpoint.objects().await;
    let (first, second) = (noise(300_000, 1), noise(300_000, 2));
    objects.put(file("sets/a.jpg".into(), first.clone())).await.expect("stored");
    let folder = S3Folder::connect(endpoint.s3_options("xrays"), "sets").await;
    let listed = folder.list().await.expect("listed").remove(0);
    let path = home.path().join("copy/deep/a.jpg");
    folder.fetch(&listed, &path).await.expect("fetched");
    assert!(std::fs::read(&path).expect("there") == first);

    objects.put(file("sets/a.jpg".into(), second.clone())).await.expect("stored");
    assert!(matches!(folder.fetch(&listed, &path).await, Err(FetchError::Gone)));
    assert!(std::fs::read(&path).expect("there") == first, "what was there stays");
    // A store without eTags gives whatever is there.
    let unnamed = Listed { etag: String::new(), ..listed.clone() };
    folder.fetch(&unnamed, &path).await.expect("fetched");
    assert!(std::fs::read(&path).expect("there") == second);
    let short = Listed { bytes: 299_999, ..unnamed };
    assert!(matches!(folder.fetch(&short, &path).await, Err(FetchError::TooLarge { .. })));
    let entries = std::fs::read_dir(path.parent().expect("a folder")).expect("readable");
    assert_eq!(entries.count(), 1, "nothing is left over");
    endpoint.stop().await;
}
