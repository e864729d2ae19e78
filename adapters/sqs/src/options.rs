//! Which queue, and how patiently it is asked.

use std::time::Duration;

use lobar_aws::Access;
use lobar_core::failure::PortError;

/// The longest that SQS keeps a lease, extensions included.
const TWELVE_HOURS: Duration = Duration::from_secs(12 * 3600);

/// Where a queue is.
#[derive(Clone, Debug)]
pub struct SqsOptions {
    /// The queue's name.
    pub queue: String,
    /// Another endpoint than Amazon's, as a URL; without one, the environment's.
    pub endpoint: Option<String>,
    /// Who asks, and in which region.
    pub access: Access,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long one attempt may take until its answer begins; a poll may take its wait longer.
    pub attempt_timeout: Duration,
    /// Attempts of one operation, the first included.
    pub attempts: u32,
    /// How long a lease may last in all: SQS's twelve hours. Tests shorten it.
    pub longest_lease: Duration,
}

impl SqsOptions {
    /// The usual patience, for this queue.
    pub fn new(queue: impl Into<String>) -> Self {
        Self {
            queue: queue.into(),
            endpoint: None,
            access: Access::default(),
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(10),
            attempts: 4,
            longest_lease: TWELVE_HOURS,
        }
    }

    /// Reads `//QUEUE?endpoint=URL&region=REGION`, what follows `sqs:` in a setting. `name` is the
    /// queue's name in this program: `uploads` has the queue to itself, while `jobs-stat` and
    /// `jobs-routine` share the setting, and so become `QUEUE-stat` and `QUEUE-routine`.
    ///
    /// # Errors
    /// Permanent, for a name that no queue can have, and for a parameter that is not known.
    pub fn parse(url: &str, name: &str, access: &Access) -> Result<Self, PortError> {
        let refused = |why: &str| PortError::permanent("sqs queue: open", why.to_owned());
        let url = url.strip_prefix("//").unwrap_or(url);
        let (queue, parameters) = url.split_once('?').unwrap_or((url, ""));
        let queue = queue.trim_end_matches('/');
        let lane = name.strip_prefix("jobs-").map(|lane| format!("-{lane}")).unwrap_or_default();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if queue.is_empty() || !queue.chars().all(allowed) || queue.len() + lane.len() > 80 {
            return Err(refused(
                "the URL is to be sqs://QUEUE with the queue's name, or for the jobs the part of it \
                 before -stat and -routine: letters, digits, - and _, at most 80 in all",
            ));
        }
        let mut options = Self::new(format!("{queue}{lane}"));
        options.access = access.clone();
        for parameter in parameters.split('&').filter(|one| !one.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = decoded(value).filter(|value| !value.is_empty());
            match (key, value) {
                ("endpoint", Some(value)) => options.endpoint = Some(value),
                ("region", Some(value)) => options.access.region = Some(value),
                _ => {
                    return Err(refused(
                        "the URL's parameters are endpoint and region, their values percent-encoded",
                    ));
                }
            }
        }
        Ok(options)
    }
}

/// A parameter's value without its percent-encoding.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = value.bytes();
    let mut plain = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, name: &str) -> Result<SqsOptions, PortError> {
        SqsOptions::parse(url, name, &Access::default())
    }

    #[test]
    fn uploads_have_a_queue_and_each_lane_of_the_jobs_has_one() {
        assert_eq!(parse("//lobar-uploads", "uploads").expect("a queue").queue, "lobar-uploads");
        assert_eq!(parse("//lobar/", "jobs-stat").expect("a queue").queue, "lobar-stat");
        assert_eq!(parse("lobar", "jobs-routine").expect("a queue").queue, "lobar-routine");
    }

    #[test]
    fn an_endpoint_and_a_region_may_be_named() {
        let url = "//q?endpoint=http%3A%2F%2F127.0.0.1%3a4566&region=eu-central-1";
        let options = parse(url, "uploads").expect("readable");
        assert_eq!(options.endpoint.as_deref(), Some("http://127.0.0.1:4566"));
        assert_eq!(options.access.region.as_deref(), Some("eu-central-1"));
    }

    #[test]
    fn the_settings_region_holds_where_the_url_names_none() {
        let access = Access { region: Some("eu-west-1".into()), credentials: None };
        let options = SqsOptions::parse("//q", "uploads", &access).expect("readable");
        assert_eq!(options.access.region.as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn what_names_no_queue_is_refused() {
        for url in ["", "//", "//a b", "//q?endpoint=", "//q?visibility=9", "//q?endpoint=%zz"] {
            assert!(parse(url, "uploads").is_err(), "{url}");
        }
        assert!(parse(&"q".repeat(76), "jobs-stat").is_err(), "too long with its lane");
    }
}
