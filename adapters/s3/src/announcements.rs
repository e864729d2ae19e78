//! Whether what a bucket announces reaches the uploads queue: its notification configuration held against the queue that
//! ingest reads, and against the keys of uploads. Pure.

use aws_sdk_s3::operation::get_bucket_notification_configuration::GetBucketNotificationConfigurationOutput;
use aws_sdk_s3::types::{Event, NotificationConfigurationFilter};
use lobar_core::diagnostic::Diagnostic;

/// What the keys of uploads begin with.
const UPLOADS: &str = "incoming/";
/// The events that make an object, without the sign for all of them.
const CREATED: [&str; 4] = ["Put", "Post", "Copy", "CompleteMultipartUpload"];
const REMOVED: [&str; 2] = ["Delete", "DeleteMarkerCreated"];

/// One entry of a configuration: what is announced of which keys, and to whom.
#[derive(Clone, Debug, Default)]
struct Route {
    /// The queue's ARN; `None` for a topic, of which nobody knows where it leads.
    queue: Option<String>,
    events: Vec<String>,
    prefix: String,
    suffix: String,
}

/// How many of the uploads an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Covers {
    None,
    Some,
    All,
}

impl Route {
    fn new(
        queue: Option<&str>,
        events: &[Event],
        filter: Option<&NotificationConfigurationFilter>,
    ) -> Self {
        let rules = filter.and_then(|filter| filter.key()).map(|key| key.filter_rules());
        let value = |name: &str| {
            let mut named = rules.unwrap_or_default().iter().filter(|rule| {
                rule.name().is_some_and(|known| known.as_str().eq_ignore_ascii_case(name))
            });
            named.next().and_then(|rule| rule.value()).unwrap_or_default().to_owned()
        };
        Self {
            queue: queue.map(str::to_owned),
            events: events.iter().map(|event| event.as_str().to_owned()).collect(),
            prefix: value("prefix"),
            suffix: value("suffix"),
        }
    }

    fn covers(&self) -> Covers {
        match self.suffix.is_empty() {
            true if UPLOADS.starts_with(&self.prefix) => Covers::All,
            _ if UPLOADS.starts_with(&self.prefix) || self.prefix.starts_with(UPLOADS) => {
                Covers::Some
            }
            _ => Covers::None,
        }
    }

    /// Of which keys it is, for people.
    fn keys(&self) -> String {
        match (self.prefix.as_str(), self.suffix.as_str()) {
            ("", "") => "all keys".into(),
            (prefix, "") => format!("keys that begin with {prefix}"),
            ("", suffix) => format!("keys that end in {suffix}"),
            (prefix, suffix) => format!("keys that begin with {prefix} and end in {suffix}"),
        }
    }
}

/// Looks at a configuration. `uploads` is the ARN of the queue that ingest reads, where that has one.
pub(crate) fn examine(
    found: &GetBucketNotificationConfigurationOutput,
    uploads: Option<&str>,
    bucket: &str,
) -> Vec<Diagnostic> {
    if found.event_bridge_configuration().is_some() {
        let told = "all events go to EventBridge; whether its rule leads to the uploads queue is seen by \
                    `lobar doctor --probe`";
        return vec![Diagnostic::good("bucket: notifications", told)];
    }
    let queues = found.queue_configurations().iter();
    let queues = queues.map(|one| Route::new(Some(one.queue_arn()), one.events(), one.filter()));
    let topics = found.topic_configurations().iter();
    let topics = topics.map(|one| Route::new(None, one.events(), one.filter()));
    let routes: Vec<Route> = queues.chain(topics).collect();
    vec![
        created(&routes, uploads, bucket),
        match events(&reaching(&routes, uploads), Covers::Some, "ObjectRemoved", &REMOVED) {
            missing if missing.is_empty() => Diagnostic::good(DELETED, "all"),
            missing => {
                let found = format!("not of {}", missing.join(", "));
                Diagnostic::advice(DELETED, found, remedy("ObjectRemoved", uploads, bucket))
            }
        },
    ]
}

const NEW: &str = "bucket: notifications of new objects";
const DELETED: &str = "bucket: notifications of deleted objects";

fn created(routes: &[Route], uploads: Option<&str>, bucket: &str) -> Diagnostic {
    let reaching = reaching(routes, uploads);
    let missing = |covers| events(&reaching, covers, "ObjectCreated", &CREATED);
    if missing(Covers::All).is_empty() {
        return Diagnostic::good(NEW, "all");
    }
    let fix = remedy("ObjectCreated", uploads, bucket);
    let of = |routes: &[&Route]| {
        let keys: Vec<String> = routes.iter().map(|route| route.keys()).collect();
        keys.join(", of ")
    };
    if missing(Covers::Some).is_empty() {
        let some: Vec<&Route> =
            reaching.iter().copied().filter(|route| route.covers() == Covers::Some).collect();
        let found = format!("only of {}: other uploads are not seen", of(&some));
        return Diagnostic::advice(NEW, found, fix);
    }
    let missing = missing(Covers::Some);
    let elsewhere: Vec<&str> = routes
        .iter()
        .filter_map(|route| route.queue.as_deref())
        .filter(|queue| uploads.is_some_and(|ours| ours != *queue))
        .collect();
    let found = if missing.len() < CREATED.len() {
        format!("not of {}", missing.join(", "))
    } else if !reaching.is_empty() && reaching.iter().all(|route| route.covers() == Covers::None) {
        format!("only of {}; uploads begin with {UPLOADS}", of(&reaching))
    } else if let (Some(ours), false) = (uploads, elsewhere.is_empty()) {
        format!("they go to {}, and ingest reads {ours}", elsewhere.join(", "))
    } else {
        "none".into()
    };
    Diagnostic::fault(NEW, found, fix)
}

/// The entries whose messages ingest may get.
fn reaching<'a>(routes: &'a [Route], uploads: Option<&str>) -> Vec<&'a Route> {
    let ours = |route: &&Route| match (&route.queue, uploads) {
        (Some(queue), Some(ours)) => queue == ours,
        _ => true,
    };
    routes.iter().filter(ours).collect()
}

/// The events of a family that entries about so many uploads do not announce.
fn events<'a>(routes: &[&Route], covers: Covers, family: &str, names: &[&'a str]) -> Vec<&'a str> {
    let about = routes.iter().filter(|route| route.covers() >= covers);
    let events: Vec<&str> =
        about.flat_map(|route| route.events.iter().map(String::as_str)).collect();
    missing(&events, family, names)
}

fn remedy(family: &str, uploads: Option<&str>, bucket: &str) -> String {
    let queue = uploads.unwrap_or("the uploads queue");
    format!(
        "notify {queue} of s3:{family}:* without a filter, or with the prefix {UPLOADS} (aws s3api \
         put-bucket-notification-configuration --bucket {bucket}), and let the queue's policy allow \
         sqs:SendMessage to s3.amazonaws.com"
    )
}

/// The events of a family that nobody is notified of.
fn missing<'a>(events: &[&str], family: &str, names: &[&'a str]) -> Vec<&'a str> {
    let notified = |name: &str| {
        let event = |last: &str| format!("s3:{family}:{last}");
        events.contains(&event("*").as_str()) || events.contains(&event(name).as_str())
    };
    names.iter().copied().filter(|name| !notified(name)).collect()
}

#[cfg(test)]
mod tests {
    use lobar_core::diagnostic::Severity;

    use super::*;

    const OURS: &str = "arn:aws:sqs:eu-central-1:1:uploads";

    fn route(queue: &str, prefix: &str, suffix: &str) -> Route {
        Route {
            queue: Some(queue.into()),
            events: vec!["s3:ObjectCreated:*".into()],
            prefix: prefix.into(),
            suffix: suffix.into(),
        }
    }

    fn judged(routes: &[Route]) -> (Severity, String) {
        let judged = created(routes, Some(OURS), "xrays");
        (judged.verdict, judged.found)
    }

    #[test]
    fn a_family_is_covered_by_its_star_or_by_each_of_its_events() {
        assert!(missing(&["s3:ObjectRemoved:*"], "ObjectRemoved", &REMOVED).is_empty());
        let each = ["s3:ObjectRemoved:Delete", "s3:ObjectRemoved:DeleteMarkerCreated"];
        assert!(missing(&each, "ObjectRemoved", &REMOVED).is_empty());
        let left = missing(&["s3:ObjectCreated:Put"], "ObjectCreated", &CREATED);
        assert_eq!(left, ["Post", "Copy", "CompleteMultipartUpload"]);
    }

    #[test]
    fn notifications_to_our_queue_of_every_upload_are_good_whatever_else_is_notified() {
        for prefix in ["", "in", "incoming/"] {
            assert_eq!(judged(&[route(OURS, prefix, "")]).0, Severity::Good, "{prefix}");
        }
        let others = [route("arn:aws:sqs:eu-central-1:1:audit", "", ""), route(OURS, "", "")];
        assert_eq!(judged(&others).0, Severity::Good);
        let topic = Route { queue: None, ..route(OURS, "", "") };
        assert_eq!(judged(&[topic]).0, Severity::Good, "nobody knows where a topic leads");
    }

    #[test]
    fn notifications_to_another_queue_are_a_fault_that_names_both() {
        let (severity, found) = judged(&[route("arn:aws:sqs:eu-central-1:1:other", "", "")]);
        assert_eq!(severity, Severity::Fault);
        assert!(found.contains(":other") && found.contains(OURS), "{found}");
        let (severity, _) = judged(&[route("arn:aws:sqs:eu-west-1:1:uploads", "", "")]);
        assert_eq!(severity, Severity::Fault, "the same name in another region");
    }

    #[test]
    fn a_filter_that_excludes_uploads_is_a_fault_and_one_that_takes_some_is_told() {
        let (severity, found) = judged(&[route(OURS, "archive/", "")]);
        assert_eq!(severity, Severity::Fault);
        assert!(found.contains("archive/") && found.contains(UPLOADS), "{found}");
        for (prefix, suffix) in [("incoming/north/", ""), ("", ".dcm"), ("incoming/", ".jpg")] {
            let (severity, found) = judged(&[route(OURS, prefix, suffix)]);
            assert_eq!(severity, Severity::Advice, "{prefix} {suffix}");
            assert!(found.contains(prefix) && found.contains(suffix), "{found}");
        }
    }

    #[test]
    fn a_bucket_that_announces_nothing_or_not_all_kinds_is_a_fault() {
        assert_eq!(judged(&[]), (Severity::Fault, "none".into()));
        let puts = Route { events: vec!["s3:ObjectCreated:Put".into()], ..route(OURS, "", "") };
        let (severity, found) = judged(&[puts]);
        assert_eq!(severity, Severity::Fault);
        assert!(found.contains("CompleteMultipartUpload"), "{found}");
    }
}
