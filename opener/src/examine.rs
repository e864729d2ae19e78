//! Diagnostics of `lobar doctor` for every dependency in the settings; the URL's scheme picks the
//! adapter.

use std::fmt::Display;

use lobar_core::diagnostic::Diagnostic;
use lobar_core::failure::PortError;

#[cfg(feature = "postgres")]
use lobar_sql::postgres;

use crate::url::{QueueUrl, SignalUrl, StoreUrl};
use crate::{OpenError, Opener};

/// Looks at the store.
pub async fn store(opener: &Opener, url: &StoreUrl) -> Vec<Diagnostic> {
    let what = "store";
    #[cfg(feature = "postgres")]
    if let StoreUrl::Postgres(server) = url {
        return postgres::examine(what, server.reveal()).await;
    }
    let opened = opener.database("store", url).await;
    let Ok(store) = opened else { return vec![unopened(what, opened.err())] };
    match store.overview().await {
        Ok(_) => vec![Diagnostic::good(what, format!("{} answers", scheme(url)))],
        Err(error) => vec![silent(what, &error)],
    }
}

/// Looks at the queue `name` of the setting `setting`.
pub async fn queue(
    opener: &Opener,
    setting: &'static str,
    url: &QueueUrl,
    name: &str,
) -> Vec<Diagnostic> {
    let what = format!("{setting}: queue {name}");
    match url {
        #[cfg(feature = "postgres")]
        QueueUrl::Postgres(server) => return postgres::examine(&what, server.reveal()).await,
        #[cfg(feature = "rabbitmq")]
        QueueUrl::RabbitMq(server) => return lobar_rabbitmq::examine(server.reveal(), name).await,
        #[cfg(feature = "sqs")]
        QueueUrl::Sqs(queue) => {
            return lobar_sqs::examine(queue.rest(), name, opener.access()).await;
        }
        _ => {}
    }
    let opened = opener.queue(setting, url, name).await;
    let Ok(queue) = opened else { return vec![unopened(&what, opened.err())] };
    match queue.depth().await {
        Ok(depth) if depth.dead > 0 => vec![Diagnostic::advice(
            what,
            format!("{} answers; {} messages were put aside", scheme(url), depth.dead),
            "Look at why: each was kept with its reason.",
        )],
        Ok(_) => vec![Diagnostic::good(what, format!("{} answers", scheme(url)))],
        Err(error) => vec![silent(&what, &error)],
    }
}

/// The ARN of the uploads queue that `url` names, which buckets announce to by; `None` where it has none, or cannot be
/// asked.
pub async fn uploads_arn(opener: &Opener, url: &QueueUrl) -> Option<String> {
    match url {
        #[cfg(feature = "sqs")]
        QueueUrl::Sqs(queue) => lobar_sqs::arn(queue.rest(), "uploads", opener.access()).await,
        _ => {
            let _ = opener;
            None
        }
    }
}

/// Looks at the quarantine of the store.
pub async fn quarantine(opener: &Opener, url: &StoreUrl) -> Option<Diagnostic> {
    // A store that does not answer is told of by itself.
    let quarantine = opener.database("store", url).await.ok()?;
    let waiting = quarantine.waiting().await.ok()?;
    let what = "quarantine";
    if waiting.is_empty() {
        return Some(Diagnostic::good(what, "empty"));
    }
    let by_reason: Vec<String> =
        waiting.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let found = format!("messages that are not analysed: {}", by_reason.join(", "));
    let fix = "`lobar quarantine list` shows them; mend what is at fault, then `lobar quarantine replay`.";
    Some(Diagnostic::advice(what, found, fix))
}

/// Looks at requests for storage commitment that wait, and those that were given up.
pub async fn commitments(opener: &Opener, url: &StoreUrl) -> Option<Diagnostic> {
    let commitments = opener.database("store", url).await.ok()?;
    let found = commitments.commitments().await.ok()?;
    let what = "storage commitment";
    let text = format!(
        "{} requests wait for their report; {} were given up in thirty days",
        found.waiting, found.given_up
    );
    if found.given_up == 0 {
        return Some(Diagnostic::good(what, text));
    }
    let fix = "Modalities that got no report for a day have to ask again: the log of the role dicom names them; see that they \
               answer at the address= of their entry in LOBAR_DICOM_PEERS.";
    Some(Diagnostic::advice(what, text, fix))
}

/// Looks at the signal.
pub async fn signal(opener: &Opener, url: &SignalUrl) -> Vec<Diagnostic> {
    let what = "signal";
    #[cfg(feature = "redis")]
    if let SignalUrl::Redis(server) = url {
        return lobar_redis::examine(server.reveal()).await;
    }
    let opened = opener.signal("signal", url);
    let Ok(signal) = opened else { return vec![unopened(what, opened.err())] };
    match signal.publish().await {
        Ok(()) => vec![Diagnostic::good(what, format!("{} answers", scheme(url)))],
        Err(error) => vec![silent(what, &error)],
    }
}

fn unopened(what: &str, error: Option<OpenError>) -> Diagnostic {
    let found = error.map(|error| error.to_string()).unwrap_or_default();
    Diagnostic::fault(what, found, "Mend the setting, or start the service that it names.")
}

fn silent(what: &str, error: &PortError) -> Diagnostic {
    let fix = if error.is_transient() {
        "Start the service, or open the way to it."
    } else {
        "Mend the setting or the service's configuration: it will fail again in the same way."
    };
    Diagnostic::fault(what, error.to_string(), fix)
}

/// A URL's scheme, which is told without the rest.
fn scheme(url: &impl Display) -> String {
    let text = url.to_string();
    text.split_once(':').map_or(text.clone(), |(scheme, _)| scheme.to_owned())
}
