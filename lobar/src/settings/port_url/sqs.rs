//! `sqs://QUEUE[?endpoint=URL&region=REGION]`.

use std::fmt;

use super::UrlError;

/// The longest name of a queue
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>).
const LONGEST: usize = 80;

/// A queue of SQS, or for the jobs the part of its name before `-stat` and `-routine`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqsUrl {
    /// What follows `sqs:`, as it was given.
    rest: String,
    queue: String,
}

impl SqsUrl {
    /// Whether the names of both lanes' queues, `QUEUE-stat` and `QUEUE-routine`, are short enough.
    pub fn has_room_for_lanes(&self) -> bool {
        self.queue.len() + "-routine".len() <= LONGEST
    }

    /// What follows `sqs:`.
    pub(super) fn parse(rest: &str) -> Result<Self, UrlError> {
        let malformed = |why| UrlError::Malformed { scheme: "sqs", why };
        let url = rest.strip_prefix("//").unwrap_or(rest);
        let (queue, parameters) = url.split_once('?').unwrap_or((url, ""));
        let queue = queue.trim_end_matches('/');
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if queue.is_empty() {
            return Err(malformed("it names no queue; the form is sqs://QUEUE"));
        }
        if queue.len() > LONGEST || !queue.chars().all(allowed) {
            return Err(malformed("a queue's name has letters, digits, - and _, at most 80"));
        }
        for parameter in parameters.split('&').filter(|one| !one.is_empty()) {
            if !matches!(parameter.split_once('='), Some(("endpoint" | "region", value)) if !value.is_empty())
            {
                return Err(malformed("its parameters are endpoint and region, each with a value"));
            }
        }
        Ok(Self { rest: rest.to_owned(), queue: queue.to_owned() })
    }
}

impl fmt::Display for SqsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sqs:{}", self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queues_of_the_lanes_have_longer_names() {
        let room =
            |length| SqsUrl::parse(&"q".repeat(length)).expect("a name").has_room_for_lanes();
        assert!(room(72) && !room(73));
    }

    #[test]
    fn a_queue_has_a_name_that_queues_may_have_and_parameters_that_are_known() {
        for rest in ["//lobar-uploads", "lobar", "//q/", "//q?endpoint=http%3A%2F%2Fx&region=r"] {
            assert!(SqsUrl::parse(rest).is_ok(), "{rest}");
        }
        let long = format!("//{}", "q".repeat(81));
        for rest in ["", "//", "//a b", "//q?endpoint=", "//q?visibility=9", "//q?region", &long] {
            assert!(SqsUrl::parse(rest).is_err(), "{rest}");
        }
    }
}
