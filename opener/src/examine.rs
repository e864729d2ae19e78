//! What `lobar doctor` asks of the parts that the settings name: a URL's scheme picks who is asked.

use lobar_core::check::Check;
use lobar_core::failure::PortError;

use crate::opener::{OpenError, Opener};
use crate::{postgres, rabbitmq, redis, sqs};

/// Looks at the store.
pub async fn store(opener: &Opener, url: &str) -> Vec<Check> {
    let what = "store";
    if let "postgres" | "postgresql" = scheme(url) {
        return postgres::examine(what, url).await;
    }
    let opened = opener.store("store", url).await;
    let Ok(store) = opened else { return vec![unopened(what, opened.err())] };
    match store.overview().await {
        Ok(_) => vec![Check::good(what, format!("{} answers", scheme(url)))],
        Err(error) => vec![silent(what, &error)],
    }
}

/// Looks at the queue `name` of the setting `setting`.
pub async fn queue(opener: &Opener, setting: &'static str, url: &str, name: &str) -> Vec<Check> {
    let what = format!("{setting}: queue {name}");
    match scheme(url) {
        "postgres" | "postgresql" => return postgres::examine(&what, url).await,
        "amqp" | "amqps" => return rabbitmq::examine(url, name).await,
        "sqs" => return sqs::examine(after_scheme(url), name, opener.access()).await,
        _ => {}
    }
    let opened = opener.queue(setting, url, name).await;
    let Ok(queue) = opened else { return vec![unopened(&what, opened.err())] };
    match queue.depth().await {
        Ok(depth) if depth.dead > 0 => vec![Check::advice(
            what,
            format!("{} answers; {} messages were put aside", scheme(url), depth.dead),
            "Look at why: each was kept with its reason.",
        )],
        Ok(_) => vec![Check::good(what, format!("{} answers", scheme(url)))],
        Err(error) => vec![silent(&what, &error)],
    }
}

/// Looks at the signal.
pub async fn signal(opener: &Opener, url: &str) -> Vec<Check> {
    let what = "signal";
    if let "redis" | "rediss" = scheme(url) {
        return redis::examine(url).await;
    }
    let opened = opener.signal("signal", url);
    let Ok(signal) = opened else { return vec![unopened(what, opened.err())] };
    match signal.publish().await {
        Ok(()) => vec![Check::good(what, format!("{} answers", scheme(url)))],
        Err(error) => vec![silent(what, &error)],
    }
}

/// A URL's first word; the rest may hold a password.
fn scheme(url: &str) -> &str {
    url.split_once(':').map_or("", |(scheme, _)| scheme)
}

fn after_scheme(url: &str) -> &str {
    url.split_once(':').map_or("", |(_, rest)| rest)
}

fn unopened(what: &str, error: Option<OpenError>) -> Check {
    let found = error.map(|error| error.to_string()).unwrap_or_default();
    Check::fault(what, found, "Mend the setting, or start the service that it names.")
}

fn silent(what: &str, error: &PortError) -> Check {
    let fix = if error.is_transient() {
        "Start the service, or open the way to it."
    } else {
        "Mend the setting or the service's configuration: it will fail again in the same way."
    };
    Check::fault(what, error.to_string(), fix)
}
