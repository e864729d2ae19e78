//! What `lobar doctor` looks at. Nothing is stored: whether storing is allowed is asked with a multipart
//! upload that is given up at once, which makes no object and no event.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::BucketVersioningStatus;
use lobar_core::diagnostic::Diagnostic;
use tracing::instrument::WithSubscriber as _;

use super::S3ObjectStore;
use super::error::S3Error;

/// A key that nobody has: its name is the question, and the answer is not there.
const PROBE: &str = "lobar-doctor/no-such-object";
/// The events that make an object, without the sign for all of them.
const CREATED: [&str; 4] = ["Put", "Post", "Copy", "CompleteMultipartUpload"];
const REMOVED: [&str; 2] = ["Delete", "DeleteMarkerCreated"];

impl S3ObjectStore {
    /// Examines the uploads bucket: whether it can be reached, read and written to, whether it says
    /// what is stored in it, and whether it keeps versions.
    pub async fn examine(&self) -> Vec<Diagnostic> {
        let head = self.client.head_bucket().bucket(&self.bucket).send();
        if let Err(refusal) = self.ask(head).await {
            return vec![self.unreachable(&refusal)];
        }
        let reachable = Diagnostic::good("bucket: reachable", format!("{} answers", self.bucket));
        let mut checks = vec![reachable];
        checks.push(Box::pin(self.reading()).await);
        checks.push(Box::pin(self.storing()).await);
        checks.extend(Box::pin(self.notifications()).await);
        checks.push(Box::pin(self.versions()).await);
        checks
    }

    async fn ask<T, E: ProvideErrorMetadata>(
        &self,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, S3Error> {
        let answer = Box::pin(call.with_subscriber(self.log.clone())).await;
        answer.map_err(|error| S3Error::of(&error))
    }

    fn unreachable(&self, refusal: &S3Error) -> Diagnostic {
        let bucket = &self.bucket;
        let fix = match refusal {
            S3Error::Answered { status: 404, .. } => format!(
                "there is no bucket {bucket} here: make it, or correct LOBAR_BUCKET and \
                 LOBAR_S3_ENDPOINT"
            ),
            S3Error::Answered { status: 401 | 403, .. } => format!(
                "the bucket belongs to somebody else, or these credentials lack s3:ListBucket on \
                 {bucket}"
            ),
            S3Error::Answered { status: 301, .. } => {
                "the bucket is in another region: correct AWS_REGION".to_owned()
            }
            _ => "see that the network lets this machine reach S3, and that AWS_REGION, \
                  LOBAR_S3_ENDPOINT and the credentials are right"
                .to_owned(),
        };
        Diagnostic::fault("bucket: reachable", refusal.to_string(), fix)
    }

    async fn reading(&self) -> Diagnostic {
        const WHAT: &str = "bucket: s3:GetObject";
        let get = self.client.get_object().bucket(&self.bucket).key(PROBE).send();
        match self.ask(get).await {
            Ok(_) | Err(S3Error::Answered { status: 404, .. }) => Diagnostic::good(WHAT, "allowed"),
            Err(refusal) => Diagnostic::fault(
                WHAT,
                refusal.to_string(),
                format!(
                    "allow s3:GetObject and s3:GetObjectVersion on arn:aws:s3:::{0}/* and \
                     s3:ListBucket on arn:aws:s3:::{0} (without the last, S3 says `denied` of an \
                     object that is not there)",
                    self.bucket
                ),
            ),
        }
    }

    async fn storing(&self) -> Diagnostic {
        const WHAT: &str = "bucket: s3:PutObject";
        let begin = self.client.create_multipart_upload().bucket(&self.bucket).key(PROBE).send();
        let begun = match self.ask(begin).await {
            Ok(begun) => begun,
            Err(refusal) => {
                let fix = format!(
                    "allow s3:PutObject on arn:aws:s3:::{}/* to the processes with the role api, \
                     which store what is uploaded through the page; the others need it not",
                    self.bucket
                );
                return Diagnostic::advice(WHAT, refusal.to_string(), fix);
            }
        };
        let end = self.client.abort_multipart_upload().bucket(&self.bucket).key(PROBE);
        let end = end.set_upload_id(begun.upload_id().map(str::to_owned));
        // Left behind, it is an unfinished upload without parts, which costs nothing.
        match self.ask(end.send()).await {
            Ok(_) => Diagnostic::good(WHAT, "allowed"),
            Err(refusal) => Diagnostic::advice(
                WHAT,
                format!("allowed, but not s3:AbortMultipartUpload: {refusal}"),
                "allow s3:AbortMultipartUpload as well, or have a lifecycle rule remove unfinished \
                 uploads",
            ),
        }
    }

    async fn notifications(&self) -> Vec<Diagnostic> {
        const WHAT: &str = "bucket: notifications";
        let ask = self.client.get_bucket_notification_configuration().bucket(&self.bucket).send();
        let found = match self.ask(ask).await {
            Ok(found) => found,
            Err(refusal) => {
                let fix = "allow s3:GetBucketNotification, so that this can be checked";
                return vec![Diagnostic::advice(WHAT, refusal.to_string(), fix)];
            }
        };
        if found.event_bridge_configuration().is_some() {
            return vec![Diagnostic::good(WHAT, "all events go to EventBridge")];
        }
        let queues = found.queue_configurations().iter();
        let topics = found.topic_configurations().iter();
        let events: Vec<&str> = queues
            .flat_map(|one| one.events())
            .chain(topics.flat_map(|one| one.events()))
            .map(|event| event.as_str())
            .collect();
        let fix = |family: &str| {
            format!(
                "notify the uploads queue of s3:{family}:* (aws s3api \
                 put-bucket-notification-configuration --bucket {}), and let the queue's policy \
                 allow sqs:SendMessage to s3.amazonaws.com",
                self.bucket
            )
        };
        let mut checks = Vec::new();
        let what = "bucket: notifications of new objects";
        checks.push(match missing(&events, "ObjectCreated", &CREATED) {
            missing if missing.is_empty() => Diagnostic::good(what, "all"),
            missing if missing.len() == CREATED.len() => {
                Diagnostic::fault(what, "none", fix("ObjectCreated"))
            }
            missing => {
                let found = format!("not of {}", missing.join(", "));
                Diagnostic::fault(what, found, fix("ObjectCreated"))
            }
        });
        let what = "bucket: notifications of deleted objects";
        checks.push(match missing(&events, "ObjectRemoved", &REMOVED) {
            missing if missing.is_empty() => Diagnostic::good(what, "all"),
            missing => {
                let found = format!("not of {}", missing.join(", "));
                Diagnostic::advice(what, found, fix("ObjectRemoved"))
            }
        });
        checks
    }

    async fn versions(&self) -> Diagnostic {
        const WHAT: &str = "bucket: versioning";
        let ask = self.client.get_bucket_versioning().bucket(&self.bucket).send();
        let fix = format!(
            "turn it on (aws s3api put-bucket-versioning --bucket {} --versioning-configuration \
             Status=Enabled): without it, two uploads of one key at almost the same time may give \
             one event, and an overwritten image cannot be read any more",
            self.bucket
        );
        match self.ask(ask).await {
            Ok(found) => match found.status() {
                Some(BucketVersioningStatus::Enabled) => Diagnostic::good(WHAT, "on"),
                Some(_) => Diagnostic::advice(WHAT, "suspended", fix),
                None => Diagnostic::advice(WHAT, "off", fix),
            },
            Err(refusal) => Diagnostic::advice(
                WHAT,
                refusal.to_string(),
                "allow s3:GetBucketVersioning, so that this can be checked",
            ),
        }
    }
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
    use super::*;

    #[test]
    fn a_family_is_covered_by_its_star_or_by_each_of_its_events() {
        assert!(missing(&["s3:ObjectRemoved:*"], "ObjectRemoved", &REMOVED).is_empty());
        let each = ["s3:ObjectRemoved:Delete", "s3:ObjectRemoved:DeleteMarkerCreated"];
        assert!(missing(&each, "ObjectRemoved", &REMOVED).is_empty());
        let left = missing(&["s3:ObjectCreated:Put"], "ObjectCreated", &CREATED);
        assert_eq!(left, ["Post", "Copy", "CompleteMultipartUpload"]);
    }
}
