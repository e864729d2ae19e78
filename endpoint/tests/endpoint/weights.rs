//! Weights files on the endpoint, in its second bucket.

use lobar_core::object_store::FetchError;
use lobar_core::weights::WeightFiles;
use lobar_s3::S3Weights;

use crate::fixture::{Running, noise, start};

const KEY: &str = "resnet50-2/0123abcd.safetensors";
const LIMIT: u64 = 8 << 20;

async fn weights(endpoint: &Running, prefix: &str) -> S3Weights {
    S3Weights::connect(endpoint.s3_options("lobar-models"), prefix).await
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_come_back_as_they_were_stored_and_nobody_hears_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let body = noise(3 << 20, 1);
    let original = folder.path().join("original");
    std::fs::write(&original, &body).expect("written");
    let copy = folder.path().join("cache/deep/copy");
    for prefix in ["", "models/of/ours"] {
        let weights = weights(&endpoint, prefix).await;
        assert!(matches!(weights.fetch(KEY, &copy, LIMIT).await, Err(FetchError::Missing)));
        weights.put(KEY, &original).await.expect("stored");
        weights.put(KEY, &original).await.expect("stored again");
        weights.fetch(KEY, &copy, LIMIT).await.expect("fetched");
        assert!(std::fs::read(&copy).expect("there") == body);
        std::fs::remove_file(&copy).expect("removed");
    }
    assert!(endpoint.events(0).await.is_empty(), "a model was announced as an upload");
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_beyond_the_limit_leaves_nothing_behind_and_what_was_there_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let weights = weights(&endpoint, "").await;
    let original = folder.path().join("original");
    std::fs::write(&original, noise(100_000, 2)).expect("written");
    weights.put(KEY, &original).await.expect("stored");
    let cache = folder.path().join("cache");
    let copy = cache.join("copy");
    let refused = weights.fetch(KEY, &copy, 99_999).await;
    assert!(matches!(refused, Err(FetchError::TooLarge { limit: 99_999 })), "{refused:?}");
    assert!(names(&cache).is_empty());
    weights.fetch(KEY, &copy, 100_000).await.expect("at the limit");
    assert!(weights.fetch("nobody/knows.safetensors", &copy, LIMIT).await.is_err());
    assert_eq!(names(&cache), ["copy"]);
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_not_there_is_not_stored_and_an_endpoint_that_is_away_is_said_to_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let weights = weights(&endpoint, "").await;
    let original = folder.path().join("original");
    assert!(!weights.put(KEY, &original).await.expect_err("no file").is_transient());
    std::fs::write(&original, "weights").expect("written");
    endpoint.stop().await;
    assert!(weights.put(KEY, &original).await.expect_err("away").is_transient());
    let copy = folder.path().join("copy");
    let Err(FetchError::Port(error)) = weights.fetch(KEY, &copy, LIMIT).await else {
        panic!("nothing answers any more")
    };
    assert!(error.is_transient() && !copy.exists());
}
