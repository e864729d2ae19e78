//! What URLs become, and which are refused.

use std::sync::Arc;

use lobar_core::time::SystemClock;
use lobar_opener::Opener;

fn opener() -> Opener {
    Opener::new(Arc::new(SystemClock))
}

#[test]
fn without_a_service_between_processes_there_is_no_cache_and_no_roster() {
    let opener = opener();
    assert!(opener.cache("signal", "poll:").expect("opens").is_none());
    assert!(opener.presence("signal", "poll:").expect("opens").is_none());
    for refused in [
        opener.cache("signal", "valkyrie://user:secret@host").err(),
        opener.presence("signal", "valkyrie://user:secret@host").err(),
        opener.signal("signal", "redis://user:secret@").err(),
    ] {
        let text = refused.expect("refused").to_string();
        assert!(text.contains("signal") && !text.contains("secret"), "{text}");
    }
}

#[tokio::test]
async fn a_url_of_no_adapter_is_refused_by_name_and_tells_no_secret() {
    let opener = opener();
    let refused = opener.store("store", "oracle://user:secret@host/db").await.err();
    let text = refused.expect("refused").to_string();
    assert!(text.contains("store") && text.contains("oracle") && text.contains("sqlite"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    assert!(opener.queue("jobs", "queues.db", "jobs-stat").await.is_err());
    assert!(opener.signal("signal", "sqlite:x").is_err());
}

#[tokio::test]
async fn an_error_names_the_setting_and_never_shows_the_password() {
    for url in [
        "postgres://lobar:secret@127.0.0.1:many/nowhere",
        "postgresql://lobar:secret@127.0.0.1:1/nowhere?sslmode=secret",
    ] {
        let refused = opener().store("store", url).await.err().expect("refused");
        let text = format!("{refused} {refused:?}");
        assert!(text.contains("store") && !text.contains("secret"), "{text}");
    }
}

/// `cargo test -p lobar-opener --no-default-features`
#[cfg(not(feature = "rabbitmq"))]
#[tokio::test]
async fn a_url_whose_adapter_was_not_built_in_is_refused_with_the_feature_to_build_with() {
    let refused = opener().queue("jobs", "amqps://user:secret@host/%2f", "jobs").await.err();
    let text = refused.expect("refused").to_string();
    for word in ["jobs", "built without amqps:", "--features rabbitmq"] {
        assert!(text.contains(word), "{word} is missing: {text}");
    }
    assert!(!text.contains("secret"), "{text}");
    // Built in or not, a broker is no store.
    let refused = opener().store("store", "amqp://host").await.err().expect("refused");
    assert!(refused.to_string().contains("no adapter for `amqp:`"), "{refused}");
}
