//! What `lobar doctor` finds out about buckets.

use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter,
    QueueConfiguration, S3KeyFilter,
};
use lobar_core::diagnostic::{Diagnostic, Severity};
use lobar_s3::S3ObjectStore;
use lobar_testkit::services::http_proxy::{Fault, HttpProxy, Response};
use lobar_testkit::services::ministack;

use crate::options;

fn of<'a>(checks: &'a [Diagnostic], what: &str) -> &'a Diagnostic {
    let found = checks.iter().find(|check| check.what.ends_with(what));
    let check = found.unwrap_or_else(|| panic!("nothing on {what}: {checks:#?}"));
    assert_eq!(check.verdict == Severity::Good, check.fix.is_empty(), "{check:?}");
    check
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_looked_at_and_nothing_is_left_in_it() {
    let ministack = ministack::shared().await;
    let queues = ministack.queues(5).await;
    let name = ministack.bucket(&queues, true).await;
    let arn = queues.arn.as_str();
    let examine = async |bucket: &str, endpoint: String| {
        let mut options = options(bucket, endpoint);
        options.attempts = 1;
        S3ObjectStore::connect(options).await.examine(Some(arn)).await
    };
    let checks = examine(&name, ministack.url()).await;
    assert!(checks.iter().all(|check| check.verdict == Severity::Good), "{checks:#?}");
    let s3 = ministack.s3().await;
    let left = s3.list_object_versions().bucket(&name).send().await.expect("listed");
    assert!(left.versions().is_empty());
    let left = s3.list_multipart_uploads().bucket(&name).send().await.expect("listed");
    assert!(left.uploads().is_empty());

    let missing = examine("nobody-made-this", ministack.url()).await;
    assert_eq!(of(&missing, "reachable").verdict, Severity::Fault);

    let plain = format!("plain-{}", uuid::Uuid::new_v4().simple());
    s3.create_bucket().bucket(&plain).send().await.expect("made");
    let checks = examine(&plain, ministack.url()).await;
    assert_eq!(of(&checks, "versioning").verdict, Severity::Advice);
    assert_eq!(of(&checks, "of new objects").verdict, Severity::Fault);
    assert_eq!(of(&checks, "of deleted objects").verdict, Severity::Advice);

    let proxy = HttpProxy::open(ministack.port).await;
    proxy.rule(|request| match request.method.as_str() {
        "GET" | "POST" => Fault::Answer(Response::s3(403, "AccessDenied")),
        _ => Fault::Pass,
    });
    let denied = examine(&name, proxy.url()).await;
    assert_eq!(of(&denied, "s3:GetObject").verdict, Severity::Fault);
    assert_eq!(of(&denied, "s3:PutObject").verdict, Severity::Advice);
    assert_eq!(of(&denied, "notifications").verdict, Severity::Advice);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_notifies_another_queue_is_at_fault() {
    let ministack = ministack::shared().await;
    let (ours, other) = (ministack.queues(5).await, ministack.queues(5).await);
    let bucket = ministack.bucket(&other, true).await;
    let store = S3ObjectStore::connect(options(&bucket, ministack.url())).await;
    let checks = store.examine(Some(&ours.arn)).await;
    let found = of(&checks, "of new objects");
    assert_eq!(found.verdict, Severity::Fault);
    assert!(found.found.contains(&other.arn) && found.found.contains(&ours.arn), "{found:?}");
    let checks = store.examine(Some(&other.arn)).await;
    assert_eq!(of(&checks, "of new objects").verdict, Severity::Good);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_whose_notifications_leave_uploads_out_is_at_fault() {
    let ministack = ministack::shared().await;
    let queues = ministack.queues(5).await;
    let bucket = ministack.bucket(&queues, true).await;
    let rule = FilterRule::builder().name(FilterRuleName::Prefix).value("archive/").build();
    let key = S3KeyFilter::builder().filter_rules(rule).build();
    let notify = QueueConfiguration::builder()
        .queue_arn(&queues.arn)
        .events(Event::from("s3:ObjectCreated:*"))
        .filter(NotificationConfigurationFilter::builder().key(key).build())
        .build()
        .expect("a notification");
    let all = NotificationConfiguration::builder().queue_configurations(notify).build();
    let s3 = ministack.s3().await;
    let put = s3.put_bucket_notification_configuration().bucket(&bucket);
    put.notification_configuration(all).send().await.expect("notifications");
    let store = S3ObjectStore::connect(options(&bucket, ministack.url())).await;
    let checks = store.examine(Some(&queues.arn)).await;
    let found = of(&checks, "of new objects");
    assert_eq!(found.verdict, Severity::Fault);
    assert!(found.found.contains("archive/"), "{found:?}");
}
