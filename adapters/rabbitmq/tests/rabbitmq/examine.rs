//! What the doctor says about a broker.

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lobar_core::diagnostic::{Diagnostic, Severity};
use lobar_core::queue::Settlement;
use lobar_rabbitmq::examine;
use lobar_testkit::services::free_port;
use lobar_testkit::services::rabbitmq::RabbitMq;

use crate::{Process, breakable, url_of};

fn of<'a>(checks: &'a [Diagnostic], what: &str) -> &'a Diagnostic {
    let what = format!("jobs queue: {what}");
    let found = checks.iter().find(|check| check.what == what);
    found.unwrap_or_else(|| panic!("{what} was not looked at: {checks:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_looks_at_a_broker_and_changes_nothing() {
    let broker = RabbitMq::shared().await;
    let (url, prefix) = url_of(broker);
    let checks = examine(&url, "jobs").await;
    for what in ["reachable", "version", "permissions"] {
        assert_eq!(of(&checks, what).verdict, Severity::Good, "{checks:?}");
    }
    assert!(of(&checks, "version").found.starts_with("3."), "{checks:?}");
    assert_eq!(of(&checks, "queues").verdict, Severity::Advice, "they are not there yet");

    let process = Process::open(&url).await;
    let checks = examine(&url, "jobs").await;
    assert!(checks.iter().all(|check| check.verdict == Severity::Good), "{checks:?}");

    process.send(&["garbage"]).await;
    let taken = process.take(1).await.remove(0);
    let dead = Settlement::Dead { reason: "garbage".into() };
    process.settle(&taken.receipt, dead).await.expect("settled");
    let checks = examine(&url, "jobs").await;
    let dead = of(&checks, "dead letters");
    assert_eq!(dead.verdict, Severity::Advice);
    assert!(
        dead.found.contains('1') && dead.fix.contains(&format!("{prefix}.jobs.dead")),
        "{dead:?}"
    );
    process.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_names_what_is_wrong_and_the_fix() {
    let broker = RabbitMq::shared().await;
    let (url, prefix) = url_of(broker);
    let (connection, channel) = broker.channel().await;
    let name = format!("{prefix}.jobs");
    let (options, none) = (QueueDeclareOptions::durable(), FieldTable::default());
    channel.queue_declare(name.as_str().into(), options, none).await.expect("declared");
    let checks = examine(&url, "jobs").await;
    let arguments = of(&checks, "arguments");
    assert_eq!(arguments.verdict, Severity::Fault);
    assert!(arguments.found.contains(&name) && arguments.fix.contains("delete"), "{arguments:?}");
    connection.close(200, "done".into()).await.expect("closed");

    let user = format!("{prefix}user");
    broker.ctl(&["add_user", &user, "se-cret"]).await;
    let address = broker.address();
    let url = format!("amqp://{user}:se-cret@{address}/%2f?prefix={prefix}");
    let checks = examine(&url, "jobs").await;
    assert_eq!(of(&checks, "reachable").verdict, Severity::Fault, "{checks:?}");
    broker.ctl(&["set_permissions", &user, "^nothing$", "^nothing$", "^nothing$"]).await;
    let checks = examine(&url, "jobs").await;
    let permissions = of(&checks, "permissions");
    assert_eq!(permissions.verdict, Severity::Fault);
    assert!(permissions.fix.contains("set_permissions"), "{permissions:?}");
    // What it advises is enough.
    let pattern = format!("^{prefix}");
    let write = format!("^({prefix}|amq\\.default)");
    broker.ctl(&["set_permissions", &user, &pattern, &write, &pattern]).await;
    let checks = examine(&url.replace("/%2f?", "/%2f?heartbeat=10&"), "allowed").await;
    let faults: Vec<_> = checks.iter().filter(|check| check.verdict == Severity::Fault).collect();
    assert!(faults.is_empty(), "{faults:?}");

    let nobody = format!("amqp://guest:se-cret@127.0.0.1:{}", free_port());
    for checks in
        [checks, examine(&nobody, "jobs").await, examine("amqp://a:se-cret@h?x=y", "jobs").await]
    {
        assert!(!format!("{checks:?}").contains("se-cret"), "{checks:?}");
    }
    assert_eq!(examine(&nobody, "jobs").await[0].verdict, Severity::Fault);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_sees_an_alarm() {
    let broker = breakable().await;
    let (url, _) = url_of(&broker);
    broker.starve(true).await;
    let checks = examine(&url, "jobs").await;
    broker.starve(false).await;
    let permissions = of(&checks, "permissions");
    assert_eq!(permissions.verdict, Severity::Fault, "{checks:?}");
    assert!(permissions.found.contains("alarm"), "{permissions:?}");
}
