//! What is refused at start, by name and with what to do.

use std::sync::Arc;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lobar_core::failure::PortError;
use lobar_core::time::SystemClock;
use lobar_rabbitmq::RabbitBrokers;
use lobar_testkit::services::free_port;
use lobar_testkit::services::rabbitmq::RabbitMq;

use crate::{Process, url_of};

async fn refused(url: &str) -> PortError {
    let brokers = RabbitBrokers::default();
    let opened = brokers.queue(url, "jobs", Arc::new(SystemClock)).await;
    opened.err().expect("it was to be refused")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_with_other_arguments_is_refused_by_name_and_harms_no_other() {
    let broker = RabbitMq::shared().await;
    let (url, prefix) = url_of(broker);
    let neighbour = Process::open(&url_of(broker).0).await;
    let (connection, channel) = broker.channel().await;
    let name = format!("{prefix}.jobs");
    let (options, none) = (QueueDeclareOptions::durable(), FieldTable::default());
    channel.queue_declare(name.as_str().into(), options, none).await.expect("declared");
    let error = refused(&url).await;
    let text = error.to_string();
    assert!(!error.is_transient(), "{text}");
    for word in [name.as_str(), "inequivalent arg", "delete it", "prefix"] {
        assert!(text.contains(word), "{word} is missing: {text}");
    }
    neighbour.send(&["still here"]).await;
    neighbour.take(1).await;
    connection.close(200, "done".into()).await.expect("closed");
    neighbour.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_user_or_virtual_host_is_refused_and_no_password_told() {
    let broker = RabbitMq::shared().await;
    let address = broker.address();
    for url in [
        format!("amqp://guest:se-cret@{address}/%2f"),
        format!("amqp://guest:guest@{address}/nowhere?prefix=se-cret"),
    ] {
        let error = refused(&url).await;
        let text = error.to_string();
        assert!(!error.is_transient() && !text.contains("se-cret"), "{text}");
        assert!(text.contains("check"), "it says what to do: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_broker_or_exchange_may_still_come() {
    let error = refused(&format!("amqp://guest:guest@127.0.0.1:{}", free_port())).await;
    assert!(error.is_transient(), "{error}");
    let broker = RabbitMq::shared().await;
    let prefix = broker.prefix();
    let error = refused(&format!("{}?queue={prefix}&exchange={prefix}-none", broker.url())).await;
    assert!(
        error.is_transient() && error.to_string().contains(&format!("{prefix}-none")),
        "{error}"
    );
}
