//! What `lobar doctor` looks at. Nothing is received, sent or changed: permissions are asked for with
//! requests that SQS refuses after it has let the caller in.

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    QueueAttributeName as Name, SendMessageBatchRequestEntry,
};
use lobar_aws::Access;
use lobar_core::diagnostic::Diagnostic;

use super::batch::MOST;
use super::connection::{self, Attributes, Clients, number, of_arn, redrive};
use super::error::SqsError;
use super::options::SqsOptions;

/// Fewer receives than this lead good messages into the dead-letter queue when a few processes are
/// killed in a row.
const ENOUGH_RECEIVES: u64 = 5;
/// Visibility timeouts, in seconds, that nothing speaks against. Lobar sets its own on every receive;
/// the queue's holds for others, such as the console.
const VISIBILITY: std::ops::RangeInclusive<u64> = 10..=3600;
const NOBODY: &str = "no-such-receipt";

/// Examines the queue that the port `name` (`uploads`, `jobs-stat`, `jobs-routine`) has in the setting
/// `url` (what follows `sqs:`).
pub async fn examine(url: &str, name: &str, access: &Access) -> Vec<Diagnostic> {
    let of = |what: &str| format!("{name} queue: {what}");
    let options = match SqsOptions::parse(url, name, access) {
        Ok(options) => options,
        Err(error) => {
            return vec![Diagnostic::fault(of("URL"), "cannot be read", error.source.to_string())];
        }
    };
    let clients = Clients::connect(&options).await;
    let queue = options.queue.as_str();
    let found = match clients.url(queue, None).await {
        Ok(url) => clients.attributes(&url).await.map(|attributes| (url, attributes)),
        Err(refusal) => Err(refusal),
    };
    let (url, attributes) = match found {
        Ok(found) => found,
        Err(refusal) => return vec![unreachable(of("reachable"), queue, &refusal)],
    };
    let mut checks = vec![Diagnostic::good(of("reachable"), format!("{queue} answers"))];
    if queue.ends_with(".fifo") || attributes.get(&Name::FifoQueue).is_some_and(|v| v == "true") {
        checks.push(Diagnostic::fault(of("kind"), "FIFO", connection::fifo(queue)));
    }
    checks.extend(Box::pin(permissions(&clients, &url, queue, name)).await);
    checks.push(visibility(&attributes, of("visibility timeout")));
    checks.extend(dead_letters(&clients, queue, &attributes, name).await);
    checks
}

/// The ARN of the queue that the port `name` has in the setting `url`; `None` where it cannot be asked.
pub async fn arn(url: &str, name: &str, access: &Access) -> Option<String> {
    let options = SqsOptions::parse(url, name, access).ok()?;
    let clients = Clients::connect(&options).await;
    let url = clients.url(&options.queue, None).await.ok()?;
    clients.attributes(&url).await.ok()?.remove(&Name::QueueArn)
}

fn unreachable(what: String, queue: &str, refusal: &SqsError) -> Diagnostic {
    let found = refusal.to_string();
    if refusal.is_missing_queue() {
        Diagnostic::fault(what, "there is no such queue", connection::missing(queue))
    } else if refusal.is_denied() {
        let actions = "sqs:GetQueueUrl and sqs:GetQueueAttributes";
        Diagnostic::fault(what, found, connection::denied(queue, actions))
    } else {
        let fix = "see that the network lets this machine reach SQS, and that AWS_REGION and the \
                   credentials are set (AWS_ENDPOINT_URL_SQS where the endpoint is not Amazon's)";
        Diagnostic::fault(what, found, fix)
    }
}

async fn permissions(clients: &Clients, url: &str, queue: &str, name: &str) -> Vec<Diagnostic> {
    let (receive, delete, hide, send) = tokio::join!(
        may_receive(clients, url),
        may_delete(clients, url),
        may_hide(clients, url),
        may_send(clients, url),
    );
    let must = [
        (receive, "sqs:ReceiveMessage"),
        (delete, "sqs:DeleteMessage"),
        (hide, "sqs:ChangeMessageVisibility"),
    ];
    let mut checks = Vec::new();
    for (answer, action) in must {
        let what = format!("{name} queue: {action}");
        checks.push(permitted(answer, what, |what, found| {
            Diagnostic::fault(what, found, connection::denied(queue, action))
        }));
    }
    let what = format!("{name} queue: sqs:SendMessage");
    checks.push(permitted(send, what, |what, found| match name {
        "uploads" => Diagnostic::advice(
            what,
            found,
            "allow sqs:SendMessage too: without it a message that is given back counts as received",
        ),
        _ => Diagnostic::fault(what, found, connection::denied(queue, "sqs:SendMessage")),
    }));
    checks
}

fn permitted(
    answer: Result<(), SqsError>,
    what: String,
    denied: impl Fn(String, String) -> Diagnostic,
) -> Diagnostic {
    match answer {
        Err(refusal) if refusal.is_denied() => denied(what, refusal.to_string()),
        Err(refusal) if refusal.is_transient() => {
            Diagnostic::fault(what, refusal.to_string(), "try again: SQS could not be asked")
        }
        // Refused for what the request says, not for who says it.
        _ => Diagnostic::good(what, "allowed"),
    }
}

async fn may_receive(clients: &Clients, url: &str) -> Result<(), SqsError> {
    // More than SQS gives at once.
    let most = i32::try_from(MOST).unwrap_or(i32::MAX) + 1;
    let ask = clients.patient.receive_message().queue_url(url).max_number_of_messages(most);
    clients.call(ask.send()).await.map(drop)
}

async fn may_delete(clients: &Clients, url: &str) -> Result<(), SqsError> {
    let entry = DeleteMessageBatchRequestEntry::builder().id("0").receipt_handle(NOBODY);
    let entry = entry.build().map_err(|_| SqsError::Unbuildable)?;
    let ask = clients.patient.delete_message_batch().queue_url(url).entries(entry);
    let answer = clients.call(ask.send()).await?;
    answer.failed().first().map_or(Ok(()), |failed| Err(SqsError::entry(failed)))
}

async fn may_hide(clients: &Clients, url: &str) -> Result<(), SqsError> {
    let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id("0").visibility_timeout(30);
    let entry = entry.receipt_handle(NOBODY).build().map_err(|_| SqsError::Unbuildable)?;
    let ask = clients.patient.change_message_visibility_batch().queue_url(url).entries(entry);
    let answer = clients.call(ask.send()).await?;
    answer.failed().first().map_or(Ok(()), |failed| Err(SqsError::entry(failed)))
}

async fn may_send(clients: &Clients, url: &str) -> Result<(), SqsError> {
    // A character that no message may hold.
    let entry = SendMessageBatchRequestEntry::builder().id("0").message_body("\u{1}");
    let entry = entry.build().map_err(|_| SqsError::Unbuildable)?;
    let ask = clients.patient.send_message_batch().queue_url(url).entries(entry);
    let answer = clients.call(ask.send()).await?;
    answer.failed().first().map_or(Ok(()), |failed| Err(SqsError::entry(failed)))
}

fn visibility(attributes: &Attributes, what: String) -> Diagnostic {
    let seconds = number(attributes, &Name::VisibilityTimeout).unwrap_or(30);
    let found = format!("{seconds} s");
    if VISIBILITY.contains(&seconds) {
        return Diagnostic::good(what, found);
    }
    let fix = "set VisibilityTimeout to 30: Lobar sets its own with every receive, but the console \
               and other tools take the queue's";
    Diagnostic::advice(what, found, fix)
}

async fn dead_letters(
    clients: &Clients,
    queue: &str,
    attributes: &Attributes,
    name: &str,
) -> Vec<Diagnostic> {
    let of = |what: &str| format!("{name} queue: {what}");
    let Some((arn, receives)) = redrive(attributes) else {
        let fix = connection::no_dead_letters(queue);
        return vec![Diagnostic::fault(of("dead-letter queue"), "none", fix)];
    };
    let mut checks = Vec::new();
    let found = format!("{receives}");
    checks.push(if receives >= ENOUGH_RECEIVES {
        Diagnostic::good(of("maxReceiveCount"), found)
    } else {
        let fix = format!(
            "set maxReceiveCount in the RedrivePolicy of {queue} to {ENOUGH_RECEIVES} or more: a \
             process that is killed costs each of its messages one receive"
        );
        Diagnostic::fault(of("maxReceiveCount"), found, fix)
    });
    let (dead, account) = of_arn(&arn).unwrap_or((arn.as_str(), ""));
    let owner = Some(account).filter(|account| !account.is_empty());
    let asked = match clients.url(dead, owner).await {
        Ok(url) => clients.attributes(&url).await.map(|attributes| (url, attributes)),
        Err(refusal) => Err(refusal),
    };
    let (url, dead_attributes) = match asked {
        Ok(found) => found,
        Err(refusal) => {
            checks.push(unreachable(of("dead-letter queue"), dead, &refusal));
            return checks;
        }
    };
    checks.push(Diagnostic::good(of("dead-letter queue"), dead));
    let what = of("dead-letter queue: sqs:SendMessage");
    checks.push(permitted(may_send(clients, &url).await, what, |what, found| {
        Diagnostic::fault(what, found, connection::denied(dead, "sqs:SendMessage"))
    }));
    checks.push(retention(attributes, &dead_attributes, dead, of("dead-letter queue: retention")));
    let waiting = number(&dead_attributes, &Name::ApproximateNumberOfMessages).unwrap_or(0);
    let what = of("dead letters");
    checks.push(match waiting {
        0 => Diagnostic::good(what, "none"),
        _ => Diagnostic::advice(
            what,
            format!("{waiting}"),
            format!(
                "read them (aws sqs receive-message on {dead}; the attribute lobar.reason says why \
                 where Lobar put one aside), mend the cause, and move them back (aws sqs \
                 start-message-move-task)"
            ),
        ),
    });
    checks
}

/// A dead letter's clock does not restart: it is as old as the message was.
fn retention(source: &Attributes, dead: &Attributes, queue: &str, what: String) -> Diagnostic {
    let of = |attributes| number(attributes, &Name::MessageRetentionPeriod).unwrap_or(345_600);
    let (source, dead) = (of(source), of(dead));
    let found = format!("{dead} s, the queue's own is {source} s");
    if dead > source {
        return Diagnostic::good(what, found);
    }
    let fix = format!(
        "set MessageRetentionPeriod of {queue} to 1209600 (14 days): a dead letter keeps its age, so \
         that it would be deleted before anybody looks"
    );
    Diagnostic::fault(what, found, fix)
}
