//! What stands behind one queue: the ladder of delays, the dead letters, a foreign exchange.

use std::time::{Duration, Instant};

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, ExchangeKind};
use lobar_core::queue::{Outgoing, Settlement};
use lobar_core::time::Stamp;
use lobar_testkit::services::rabbitmq::RabbitMq;

use crate::{LEASE, Process, SOON, url_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_delay_is_short_whatever_its_length() {
    let broker = RabbitMq::shared().await;
    let process = Process::open(&url_of(broker).0).await;
    let delays =
        [1, 100, 250, 251, 700, 1_000, 1_300, 2_600, 3_999, 5_300].map(Duration::from_millis);
    let sent_at = Instant::now();
    let messages =
        delays.iter().map(|delay| Outgoing::later(delay.as_millis().to_string(), *delay)).collect();
    assert!(process.queue.send(messages).await.iter().all(Result::is_ok));
    let mut left = delays.len();
    while left > 0 {
        let taken = process.queue.receive(10, SOON, LEASE).await.expect("received");
        assert!(!taken.is_empty(), "{left} did not come");
        let passed = sent_at.elapsed();
        for delivery in taken {
            let millis = String::from_utf8_lossy(&delivery.body).parse().expect("a number");
            let late = passed.checked_sub(Duration::from_millis(millis));
            println!("{millis} ms: late by {:?}", late.expect("none comes before its time"));
            assert_eq!(delivery.receive_count, 1);
            left -= 1;
        }
    }
    process.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_beyond_the_ladder_goes_down_it_again() {
    let broker = RabbitMq::shared().await;
    let (url, prefix) = url_of(broker);
    let process = Process::open(&url).await;
    let (connection, channel) = broker.channel().await;
    let mut headers = FieldTable::default();
    headers.insert("lobar-left".into(), AMQPValue::LongLongInt(1_500));
    let sent_at = Instant::now();
    let key = format!("{prefix}.jobs").as_str().into();
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default().with_headers(headers);
    let sent = channel.basic_publish("".into(), key, options, b"long", properties).await;
    sent.expect("sent").await.expect("sent");
    assert_eq!(process.take(1).await[0].body, "long");
    assert!(sent_at.elapsed() >= Duration::from_millis(1_500));
    connection.close(200, "done".into()).await.expect("closed");
    process.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_message_keeps_its_reason_and_its_age() {
    let broker = RabbitMq::shared().await;
    let (url, prefix) = url_of(broker);
    let process = Process::open(&url).await;
    process.send(&["garbage"]).await;
    let taken = process.take(1).await.remove(0);
    let dead = Settlement::Dead { reason: "nobody reads this — ".repeat(200) };
    process.settle(&taken.receipt, dead).await.expect("settled");
    let (connection, channel) = broker.channel().await;
    let name = format!("{prefix}.jobs.dead").as_str().into();
    let kept = channel.basic_get(name, BasicGetOptions { no_ack: true }).await;
    let kept = kept.expect("asked").expect("a dead message");
    assert_eq!(kept.data, b"garbage");
    let headers = kept.properties.headers().clone().expect("headers");
    let AMQPValue::LongString(reason) = &headers.inner()["lobar-reason"] else { panic!("a text") };
    assert!(reason.to_string().starts_with("nobody reads this"));
    assert_eq!(headers.inner()["lobar-sent"], AMQPValue::LongLongInt(taken.sent_at.0));
    connection.close(200, "done".into()).await.expect("closed");
    process.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_queue_returns_what_is_sent_and_is_declared_anew() {
    let broker = RabbitMq::shared().await;
    let (url, prefix) = url_of(broker);
    let process = Process::open(&url).await;
    process.send(&["before"]).await;
    let (connection, channel) = broker.channel().await;
    let name = format!("{prefix}.jobs").as_str().into();
    channel.queue_delete(name, QueueDeleteOptions::default()).await.expect("deleted");
    let delay = Duration::from_millis(300);
    let batch = vec![
        Outgoing::later("later", delay),
        Outgoing::now("returned"),
        Outgoing::later("later too", delay),
    ];
    let sent = process.queue.send(batch).await;
    assert!(sent[0].is_ok() && sent[2].is_ok(), "each has a result of its own: {sent:?}");
    let error = sent[1].as_ref().expect_err("there is no such queue");
    assert!(error.is_transient() && error.to_string().contains("deleted"), "{error}");
    process.send(&["after"]).await;
    let bodies = crate::bodies(&process.take(3).await);
    assert_eq!(bodies, ["after", "later", "later too"].map(String::from).into());
    connection.close(200, "done".into()).await.expect("closed");
    process.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_of_a_foreign_exchange_are_messages_like_others() {
    let broker = RabbitMq::shared().await;
    let prefix = broker.prefix();
    let (connection, channel) = broker.channel().await;
    let exchange = format!("{prefix}-minio");
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    let kind = ExchangeKind::Direct;
    let none = FieldTable::default();
    channel
        .exchange_declare(exchange.as_str().into(), kind, durable, none)
        .await
        .expect("declared");
    let url =
        format!("{}?queue={prefix}%20events&exchange={exchange}&routing_key=bucket", broker.url());
    let process = Process::open(&url).await;
    let publish = async |body: &'static [u8], properties: BasicProperties| {
        let options = BasicPublishOptions::default();
        let (exchange, key) = (exchange.as_str().into(), "bucket".into());
        let sent = channel.basic_publish(exchange, key, options, body, properties).await;
        sent.expect("sent").await.expect("sent");
    };
    publish(b"{\"Records\":[]}", BasicProperties::default().with_timestamp(1_700_000_000)).await;
    let taken = process.take(1).await.remove(0);
    assert_eq!((&taken.body[..], taken.receive_count), (&b"{\"Records\":[]}"[..], 1));
    assert_eq!(taken.sent_at, Stamp(1_700_000_000_000_000));
    process.settle(&taken.receipt, Settlement::Release).await.expect("released");
    let taken = process.take(1).await.remove(0);
    assert_eq!((taken.receive_count, taken.sent_at), (1, Stamp(1_700_000_000_000_000)));
    let retry = Settlement::Retry { after: Duration::from_millis(300) };
    process.settle(&taken.receipt, retry).await.expect("settled");
    let taken = process.take(1).await.remove(0);
    assert_eq!(taken.receive_count, 2);
    process.settle(&taken.receipt, Settlement::Done).await.expect("settled");
    publish(b"", BasicProperties::default()).await;
    assert_eq!(process.take(1).await[0].body, "");
    connection.close(200, "done".into()).await.expect("closed");
    process.close().await;
}
