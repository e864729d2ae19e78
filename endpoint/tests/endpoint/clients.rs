//! Clients that are not ours.

use std::fs;

use crate::fixture::{aws, http, noise, python, start, try_aws};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_aws_cli_stores_lists_fetches_and_removes() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let url = endpoint.url();
    let files = folder.path().join("files");
    fs::create_dir_all(files.join("deeper")).expect("a folder");
    // The empty file comes first: after the answer to it the CLI's connections must still be good.
    // 20 MiB is sent as a multipart upload, the others in one piece.
    let sizes = [("large.bin", 20 << 20), ("small é+%.jpg", 1000), ("empty", 0)];
    for (seed, (name, size)) in (1..).zip(sizes) {
        fs::write(files.join(name), noise(size, seed)).expect("a file");
    }
    fs::write(files.join("deeper/last.txt"), "text").expect("a file");
    let files = files.to_str().expect("text").to_owned();

    aws(&url, &["s3", "cp", "--recursive", &files, "s3://xrays/incoming/north/"]).await;
    let listing = aws(&url, &["s3", "ls", "--recursive", "s3://xrays/"]).await;
    assert_eq!(listing.lines().count(), 4, "{listing}");
    assert!(listing.contains("20971520 incoming/north/large.bin"), "{listing}");
    let shallow = aws(&url, &["s3", "ls", "s3://xrays/incoming/north/"]).await;
    assert!(shallow.contains("PRE deeper/"), "{shallow}");

    let back = folder.path().join("back");
    let back_text = back.to_str().expect("text");
    aws(&url, &["s3", "cp", "--recursive", "s3://xrays/incoming/north/", back_text]).await;
    for (seed, (name, size)) in (1..).zip(sizes) {
        assert!(fs::read(back.join(name)).expect("a file") == noise(size, seed), "{name}");
    }

    // More than 8 MB is copied in parts, and its tags are asked for.
    aws(&url, &["s3", "cp", "s3://xrays/incoming/north/large.bin", "s3://xrays/copied.bin"]).await;
    aws(&url, &["s3", "mv", "s3://xrays/copied.bin", "s3://xrays/copy.bin"]).await;
    let signed = aws(&url, &["s3", "presign", "s3://xrays/copy.bin"]).await;
    let got = http().get(signed.trim()).send().await.expect("an answer");
    assert_eq!(got.status(), 200);
    assert!(got.bytes().await.expect("a body")[..] == noise(20 << 20, 1)[..]);

    aws(&url, &["s3", "rm", "--recursive", "s3://xrays/"]).await;
    let listing = aws(&url, &["s3api", "list-objects-v2", "--bucket", "xrays"]).await;
    assert!(!listing.contains("Contents"), "{listing}");
    let versions = aws(&url, &["s3api", "list-object-versions", "--bucket", "xrays"]).await;
    assert_eq!(versions.matches("\"IsLatest\": true").count(), 6, "{versions}");

    let tags = ["s3api", "get-bucket-tagging", "--bucket", "xrays"];
    let refused = try_aws(&url, &tags).await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("NotImplemented"));
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_finds_the_behaviour_of_s3() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    python(&endpoint.url(), "s3_boto3.py").await;
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_described_as_those_of_a_private_bucket() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    python(&endpoint.url(), "s3_described.py").await;
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunked_body_is_taken_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    python(&endpoint.url(), "s3_chunked.py").await;
    let listing = aws(&endpoint.url(), &["s3", "ls", "s3://xrays/"]).await;
    let stored: Vec<_> = listing.lines().filter_map(|line| line.split(' ').next_back()).collect();
    assert_eq!(stored, ["plain", "right", "signed"]);
    endpoint.stop().await;
}
