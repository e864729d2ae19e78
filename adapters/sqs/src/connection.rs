//! The SDK clients and attributes of one SQS queue.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use lobar_core::failure::PortError;
use lobar_core::log_filter;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

use super::error::SqsError;
use super::options::SqsOptions;

const OPEN: &str = "sqs queue: open";
/// The longest that SQS lets a receive wait.
pub(super) const LONGEST_POLL: Duration = Duration::from_secs(20);
/// What every queue takes, and what SQS takes at most, in one message and in one batch alike.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
const EVERY_QUEUE_TAKES: usize = 256 << 10;
const SQS_TAKES: usize = 1 << 20;
/// Where the region is of no consequence, but the SDK wants one.
const ANY_REGION: &str = "us-east-1";

/// Attributes of a queue, as SQS names and writes them.
pub(super) type Attributes = HashMap<QueueAttributeName, String>;

/// How to ask. Three tempers, since a throttled extension must hurry and a throttled receive must not.
#[derive(Clone)]
pub(super) struct Clients {
    /// For receives: the answer may take its wait longer.
    pub(super) polling: Client,
    /// For sends and deletes.
    pub(super) patient: Client,
    /// For leases.
    pub(super) eager: Client,
    log: Dispatch,
}

/// A queue that was found.
pub(super) struct Connection {
    pub(super) clients: Clients,
    /// Its URL.
    pub(super) url: String,
    /// Its dead-letter queue's URL.
    pub(super) dead_letters: String,
    /// The largest message, in bytes.
    pub(super) largest: usize,
    /// The largest batch, in bytes.
    pub(super) largest_batch: usize,
}

impl Clients {
    pub(super) async fn connect(options: &SqsOptions) -> Self {
        let log = log_filter::ours_only();
        let mut access = options.access.clone();
        if options.endpoint.is_some() {
            access.region.get_or_insert_with(|| ANY_REGION.to_owned());
        }
        let (connect, attempt) = (options.connect_timeout, options.attempt_timeout);
        let retry = |first: u64, longest: u64, more: u32| {
            RetryConfig::standard()
                .with_max_attempts(options.attempts + more)
                .with_initial_backoff(Duration::from_millis(first))
                .with_max_backoff(Duration::from_millis(longest))
        };
        let patient = retry(500, 10_000, 0);
        let shared =
            lobar_aws::config(access, patient, lobar_aws::timeouts(connect, attempt), &log).await;
        let client = |change: &dyn Fn(&mut aws_sdk_sqs::config::Builder)| {
            let mut config = aws_sdk_sqs::config::Builder::from(&shared);
            // Set to none, it would hide the environment's AWS_ENDPOINT_URL_SQS.
            if let Some(endpoint) = &options.endpoint {
                config.set_endpoint_url(Some(endpoint.clone()));
            }
            change(&mut config);
            Client::from_conf(config.build())
        };
        let polling = lobar_aws::timeouts(connect, attempt + LONGEST_POLL);
        Self {
            polling: client(&|config| {
                config.set_timeout_config(Some(polling.clone()));
            }),
            patient: client(&|_| {}),
            eager: client(&|config| {
                config.set_retry_config(Some(retry(50, 1_000, 2)));
                config.set_timeout_config(Some(lobar_aws::timeouts(connect, attempt / 2)));
            }),
            log,
        }
    }

    /// Makes one call, without the SDK's own log lines: those hold bodies of messages.
    pub(super) async fn call<T, E: aws_sdk_sqs::error::ProvideErrorMetadata>(
        &self,
        call: impl Future<
            Output = Result<
                T,
                aws_sdk_sqs::error::SdkError<E, aws_sdk_sqs::config::http::HttpResponse>,
            >,
        >,
    ) -> Result<T, SqsError> {
        // The SDK's futures are tens of kilobytes.
        let call = Box::pin(call.with_subscriber(self.log.clone()));
        call.await.map_err(|error| SqsError::of(&error))
    }

    /// The URL of a queue.
    pub(super) async fn url(&self, queue: &str, owner: Option<&str>) -> Result<String, SqsError> {
        let ask = self.patient.get_queue_url().queue_name(queue);
        let ask = ask.set_queue_owner_aws_account_id(owner.map(str::to_owned));
        let found = self.call(ask.send()).await?;
        found.queue_url().map(str::to_owned).ok_or(SqsError::Unreadable)
    }

    /// All attributes of a queue.
    pub(super) async fn attributes(&self, url: &str) -> Result<Attributes, SqsError> {
        let ask = self.patient.get_queue_attributes().queue_url(url);
        let found = self.call(ask.attribute_names(QueueAttributeName::All).send()).await?;
        Ok(found.attributes().cloned().unwrap_or_default())
    }
}

/// The name and the account of the queue that an ARN names: `arn:aws:sqs:REGION:ACCOUNT:NAME`.
pub(super) fn of_arn(arn: &str) -> Option<(&str, &str)> {
    let (rest, name) = arn.rsplit_once(':')?;
    let (_, account) = rest.rsplit_once(':')?;
    (!name.is_empty()).then_some((name, account))
}

/// Where a queue's dead letters go (an ARN), and after how many receives.
pub(super) fn redrive(attributes: &Attributes) -> Option<(String, u64)> {
    let policy = attributes.get(&QueueAttributeName::RedrivePolicy)?;
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    let arn = policy.get("deadLetterTargetArn")?.as_str()?.to_owned();
    let receives = policy.get("maxReceiveCount")?;
    // Written as a number or as a text, as whoever set it wrote it.
    let receives = receives.as_u64().or_else(|| receives.as_str()?.parse().ok())?;
    Some((arn, receives))
}

/// A whole number among the attributes.
pub(super) fn number(attributes: &Attributes, name: &QueueAttributeName) -> Option<u64> {
    attributes.get(name)?.parse().ok()
}

impl Connection {
    pub(super) async fn open(options: SqsOptions) -> Result<Self, PortError> {
        let queue = &options.queue;
        if queue.ends_with(".fifo") {
            return Err(PortError::permanent(OPEN, fifo(queue)));
        }
        let clients = Clients::connect(&options).await;
        let opened = |refusal: SqsError| refused(refusal, queue);
        let url = clients.url(queue, None).await.map_err(opened)?;
        let attributes = clients.attributes(&url).await.map_err(opened)?;
        if attributes.get(&QueueAttributeName::FifoQueue).is_some_and(|fifo| fifo == "true") {
            return Err(PortError::permanent(OPEN, fifo(queue)));
        }
        let Some((arn, _)) = redrive(&attributes) else {
            return Err(PortError::permanent(OPEN, no_dead_letters(queue)));
        };
        let (name, account) = of_arn(&arn).unwrap_or((arn.as_str(), ""));
        let owner = Some(account).filter(|account| !account.is_empty());
        let dead_letters = clients.url(name, owner).await;
        let dead_letters = dead_letters.map_err(|refusal| refused(refusal, name))?;
        let largest = number(&attributes, &QueueAttributeName::MaximumMessageSize);
        let largest = largest.and_then(|bytes| usize::try_from(bytes).ok());
        let largest = largest.unwrap_or(EVERY_QUEUE_TAKES);
        let largest_batch = largest.clamp(EVERY_QUEUE_TAKES, SQS_TAKES);
        Ok(Self { clients, url, dead_letters, largest, largest_batch })
    }
}

pub(super) fn fifo(queue: &str) -> String {
    format!(
        "{queue} is a FIFO queue, on which one slow image holds up the others and S3 cannot notify; \
         make a standard queue"
    )
}

pub(super) fn no_dead_letters(queue: &str) -> String {
    format!(
        "{queue} has no dead-letter queue, where messages that nobody can read are kept; make one \
         and name it: aws sqs set-queue-attributes --queue-url URL --attributes \
         '{{\"RedrivePolicy\":\"{{\\\"deadLetterTargetArn\\\":\\\"ARN\\\",\\\"maxReceiveCount\\\":\\\"5\\\"}}\"}}'"
    )
}

pub(super) fn missing(queue: &str) -> String {
    format!(
        "there is no queue {queue} in this account and region; make it, or correct the URL \
         (region and endpoint may be given in it: sqs://{queue}?region=REGION)"
    )
}

pub(super) fn denied(queue: &str, actions: &str) -> String {
    format!("these credentials may not use {queue}; allow them {actions}")
}

fn refused(refusal: SqsError, queue: &str) -> PortError {
    if refusal.is_missing_queue() {
        PortError::permanent(OPEN, missing(queue))
    } else if refusal.is_denied() {
        PortError::permanent(OPEN, denied(queue, "sqs:GetQueueUrl and sqs:GetQueueAttributes"))
    } else {
        refusal.into_port(OPEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_policy_is_read_however_its_number_is_written() {
        for receives in ["5", "\"5\""] {
            let policy = format!(
                r#"{{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123:d","maxReceiveCount":{receives}}}"#
            );
            let attributes = HashMap::from([(QueueAttributeName::RedrivePolicy, policy)]);
            let (arn, receives) = redrive(&attributes).expect("a policy");
            assert_eq!((of_arn(&arn), receives), (Some(("d", "123")), 5));
        }
        assert!(redrive(&HashMap::new()).is_none());
    }
}
