//! What URLs become, and which are refused.

use std::sync::Arc;

#[cfg(feature = "sqlite")]
use lobar_core::failure::chain;
use lobar_core::time::SystemClock;
use lobar_opener::Opener;
#[cfg(feature = "sqlite")]
use lobar_opener::url::SqliteFile;
use lobar_opener::url::{QueueUrl, SignalUrl, StoreUrl, UrlError};

#[test]
fn without_a_service_between_processes_there_is_no_cache_and_no_presence() {
    let opener = Opener::new(Arc::new(SystemClock));
    assert!(opener.cache("signal", &SignalUrl::Poll).expect("opens").is_none());
    assert!(opener.presence("signal", &SignalUrl::Poll).expect("opens").is_none());
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn the_ports_of_one_file_share_its_connections() {
    let folder = tempfile::tempdir().expect("a folder");
    let url: StoreUrl =
        format!("sqlite:{}", folder.path().join("x.db").display()).parse().expect("a URL");
    let opener = Opener::new(Arc::new(SystemClock));
    let store = opener.database("store", &url).await.expect("opens");
    let again = opener.database("store", &url).await.expect("opens");
    assert!(Arc::ptr_eq(&store, &again));
    opener.queue("jobs", &url.into(), "jobs-stat").await.expect("opens");
    opener.close().await;
}

#[test]
fn what_the_adapter_cannot_read_is_refused_before_anything_is_opened_and_tells_no_secret() {
    let refused = |error: Option<UrlError>| {
        let text = error.expect("refused").to_string();
        assert!(!text.contains("secret"), "{text}");
        text
    };
    let store = |text: &str| refused(text.parse::<StoreUrl>().err());
    let queue = |text: &str| refused(text.parse::<QueueUrl>().err());
    if cfg!(feature = "postgres") {
        store("postgres://lobar:secret@127.0.0.1:many/nowhere");
        let text = store("postgresql://lobar:secret@127.0.0.1:1/nowhere?sslmode=secret");
        assert!(text.contains("verify-full"), "{text}");
    }
    if cfg!(feature = "rabbitmq") {
        let text = queue("amqp://user:secret@host/%2f?prefetch=9");
        assert!(text.contains("unknown parameter `prefetch`"), "{text}");
    }
    if cfg!(feature = "sqs") {
        assert!(queue("sqs://").contains("sqs://QUEUE"));
    }
}

/// `cargo test -p lobar-opener --no-default-features`
#[cfg(not(feature = "rabbitmq"))]
#[test]
fn a_url_whose_adapter_was_not_built_in_is_refused_with_the_feature_to_build_with() {
    let refused = "amqps://user:secret@host/%2f".parse::<QueueUrl>().expect_err("refused");
    let text = refused.to_string();
    for word in ["built without amqps:", "--features rabbitmq"] {
        assert!(text.contains(word), "{word} is missing: {text}");
    }
    assert!(!text.contains("secret"), "{text}");
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_file_that_cannot_be_opened_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lobar.db");
    std::fs::write(&file, "no database, but longer than the header of one is. ".repeat(40))
        .expect("written");
    let url = StoreUrl::Sqlite(SqliteFile::at(file.clone()));
    let refused = Opener::new(Arc::new(SystemClock)).database("store", &url).await;
    let text = chain(&refused.err().expect("refused"));
    for word in ["setting store", &file.display().to_string(), "may write"] {
        assert!(text.contains(word), "{word} is missing: {text}");
    }
}
