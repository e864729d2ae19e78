//! What `lobar doctor` finds out about queues.

use lobar_core::diagnostic::{Diagnostic, Severity};
use lobar_testkit::services::http_proxy::{Fault, HttpProxy, Response};
use lobar_testkit::services::ministack;

use crate::access;

fn of<'a>(checks: &'a [Diagnostic], what: &str) -> &'a Diagnostic {
    let found = checks.iter().find(|check| check.what.ends_with(what));
    let check = found.unwrap_or_else(|| panic!("nothing on {what}: {checks:#?}"));
    assert_eq!(check.verdict == Severity::Good, check.fix.is_empty(), "{check:?}");
    check
}

async fn examined(queue: &str, endpoint: &str, name: &str) -> Vec<Diagnostic> {
    let endpoint = endpoint.replace(':', "%3A").replace('/', "%2F");
    lobar_sqs::examine(&format!("//{queue}?endpoint={endpoint}"), name, &access()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_as_it_should_be_gets_no_word_and_nothing_is_touched() {
    let ministack = ministack::shared().await;
    let queues = ministack.queues(5).await;
    let sqs = ministack.sqs().await;
    sqs.send_message().queue_url(&queues.url).message_body("a").send().await.expect("sent");
    let checks = examined(&queues.name, &ministack.url(), "uploads").await;
    assert!(checks.iter().all(|check| check.verdict == Severity::Good), "{checks:#?}");
    assert!(checks.len() >= 9);
    let receive = sqs.receive_message().queue_url(&queues.url);
    let receive = receive.message_system_attribute_names("ApproximateReceiveCount".into());
    let message = receive.send().await.expect("received").messages()[0].clone();
    let attributes = message.attributes().expect("a count");
    assert_eq!(attributes.values().next().map(String::as_str), Some("1"), "received by nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_queue_comes_with_its_mending() {
    let ministack = ministack::shared().await;
    let sqs = ministack.sqs().await;
    let missing = examined("nobody-made-this", &ministack.url(), "uploads").await;
    assert_eq!(of(&missing, "reachable").verdict, Severity::Fault);

    let queues = ministack.queues(2).await;
    let set = |url: &str, name: &str, value: &str| {
        let set = sqs.set_queue_attributes().queue_url(url).attributes(name.into(), value);
        async move { set.send().await.expect("set") }
    };
    set(&queues.dead_url, "MessageRetentionPeriod", "345600").await;
    set(&queues.url, "VisibilityTimeout", "0").await;
    sqs.send_message().queue_url(&queues.dead_url).message_body("a").send().await.expect("sent");
    let checks = examined(&queues.name, &ministack.url(), "uploads").await;
    assert_eq!(of(&checks, "maxReceiveCount").verdict, Severity::Fault);
    assert_eq!(of(&checks, "retention").verdict, Severity::Fault);
    assert_eq!(of(&checks, "visibility timeout").verdict, Severity::Advice);
    assert_eq!(of(&checks, "dead letters").verdict, Severity::Advice);

    set(&queues.url, "RedrivePolicy", "").await;
    let checks = examined(&queues.name, &ministack.url(), "uploads").await;
    assert_eq!(of(&checks, "dead-letter queue").verdict, Severity::Fault);

    let fifo = format!("f{}.fifo", uuid::Uuid::new_v4().simple());
    let create = sqs.create_queue().queue_name(&fifo).attributes("FifoQueue".into(), "true");
    create.send().await.expect("made");
    let checks = examined(&fifo, &ministack.url(), "uploads").await;
    assert_eq!(of(&checks, "kind").verdict, Severity::Fault);

    let unreadable = lobar_sqs::examine("//a b", "uploads", &access()).await;
    assert_eq!(of(&unreadable, "URL").verdict, Severity::Fault);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_missing_permission_is_named() {
    let ministack = ministack::shared().await;
    let queues = ministack.queues(5).await;
    let proxy = HttpProxy::open(ministack.port).await;
    let lane = queues.name.clone() + "-stat";
    ministack.queues_named(&lane, 5).await;
    for (action, permission) in [
        ("ReceiveMessage", "sqs:ReceiveMessage"),
        ("DeleteMessageBatch", "sqs:DeleteMessage"),
        ("ChangeMessageVisibilityBatch", "sqs:ChangeMessageVisibility"),
        ("SendMessageBatch", "sqs:SendMessage"),
    ] {
        proxy.rule(move |request| match request.action() == action {
            true => Fault::Answer(Response::sqs(403, "AccessDenied")),
            false => Fault::Pass,
        });
        let uploads = examined(&queues.name, &proxy.url(), "uploads").await;
        let jobs = examined(&queues.name, &proxy.url(), "jobs-stat").await;
        let send = action == "SendMessageBatch";
        let expected = if send { Severity::Advice } else { Severity::Fault };
        assert_eq!(of(&uploads, &format!("uploads queue: {permission}")).verdict, expected);
        let job = of(&jobs, &format!("jobs-stat queue: {permission}"));
        assert_eq!(job.verdict, Severity::Fault);
        assert!(job.fix.contains(permission), "{job:?}");
    }
    proxy.rule(|_| Fault::Answer(Response::sqs(503, "ServiceUnavailable")));
    let away = examined(&queues.name, &proxy.url(), "uploads").await;
    assert_eq!(of(&away, "reachable").verdict, Severity::Fault);
}
