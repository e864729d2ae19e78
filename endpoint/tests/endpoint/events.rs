//! What the endpoint puts onto the uploads queue.

use crate::fixture::{aws, noise, start};

fn seen(records: &[serde_json::Value]) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    records.iter().map(|r| (text(&r["eventName"]), text(&r["s3"]["object"]["key"]))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_of_the_bucket_is_told_once_and_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let url = endpoint.url();
    let file = folder.path().join("file");
    std::fs::write(&file, noise(9 << 20, 1)).expect("a file");
    let file = file.to_str().expect("text");
    aws(&url, &["s3api", "put-object", "--bucket", "xrays", "--key", "a b"]).await;
    aws(&url, &["s3", "cp", file, "s3://xrays/large"]).await;
    aws(
        &url,
        &[
            "s3api",
            "copy-object",
            "--bucket",
            "xrays",
            "--key",
            "c",
            "--copy-source",
            "xrays/large",
        ],
    )
    .await;
    aws(&url, &["s3api", "delete-object", "--bucket", "xrays", "--key", "c"]).await;
    // Another bucket is nobody's business.
    aws(&url, &["s3", "mb", "s3://other"]).await;
    aws(&url, &["s3api", "put-object", "--bucket", "other", "--key", "unseen"]).await;

    let events = endpoint.events(4).await;
    let expected = [
        ("ObjectCreated:Put", "a+b"),
        ("ObjectCreated:CompleteMultipartUpload", "large"),
        ("ObjectCreated:Copy", "c"),
        ("ObjectRemoved:DeleteMarkerCreated", "c"),
    ];
    let expected = expected.map(|(name, key)| (name.to_owned(), key.to_owned()));
    assert_eq!(seen(&events), expected);
    assert_eq!(events[1]["s3"]["object"]["size"], 9 << 20);
    let sequencers: Vec<_> =
        events.iter().map(|e| e["s3"]["object"]["sequencer"].to_string()).collect();
    assert!(sequencers.is_sorted(), "{sequencers:?}");

    let version = events[0]["s3"]["object"]["versionId"].as_str().expect("a version");
    let delete =
        ["s3api", "delete-object", "--bucket", "xrays", "--key", "a b", "--version-id", version];
    aws(&url, &delete).await;
    let events = endpoint.events(1).await;
    assert_eq!(seen(&events), [("ObjectRemoved:Delete".to_owned(), "a+b".to_owned())]);
    assert_eq!(events[0]["s3"]["object"]["versionId"], version);
    endpoint.stop().await;
}
