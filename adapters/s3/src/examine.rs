//! What `lobar doctor` looks at. Nothing is stored: whether storing is allowed is asked with a multipart
//! upload that is given up at once, which makes no object and no event.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::BucketVersioningStatus;
use lobar_core::diagnostic::Diagnostic;
use tracing::instrument::WithSubscriber as _;

use super::S3ObjectStore;
use super::announcements;
use super::error::S3Error;

/// A key that nobody has: its name is the question, and the answer is not there. Under the prefix of all uploads, since
/// policies may allow only that; under the site of probes (`lobar_core::probe`).
pub(crate) const PROBE: &str = "incoming/lobar-doctor/no-such-object";

impl S3ObjectStore {
    /// Examines the uploads bucket: whether it can be reached, read and written to, whether it says
    /// what is stored in it to the queue whose ARN is `uploads` (any, where that is not known), and whether it keeps
    /// versions.
    pub async fn examine(&self, uploads: Option<&str>) -> Vec<Diagnostic> {
        let head = self.client.head_bucket().bucket(&self.bucket).send();
        if let Err(refusal) = self.ask(head).await {
            return vec![self.unreachable(&refusal)];
        }
        let reachable = Diagnostic::good("bucket: reachable", format!("{} answers", self.bucket));
        let mut checks = vec![reachable];
        checks.push(Box::pin(self.reading()).await);
        checks.push(Box::pin(self.storing()).await);
        checks.extend(Box::pin(self.notifications(uploads)).await);
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

    async fn notifications(&self, uploads: Option<&str>) -> Vec<Diagnostic> {
        const WHAT: &str = "bucket: notifications";
        let ask = self.client.get_bucket_notification_configuration().bucket(&self.bucket).send();
        let found = match self.ask(ask).await {
            Ok(found) => found,
            Err(refusal) => {
                let fix = "allow s3:GetBucketNotification, so that this can be checked";
                return vec![Diagnostic::advice(WHAT, refusal.to_string(), fix)];
            }
        };
        announcements::examine(&found, uploads, &self.bucket)
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
