//! `sqs://QUEUE[?endpoint=URL&region=REGION]`.

use std::fmt;

use super::{UrlError, built_in};

/// A queue of SQS, or for the jobs the part of its name before `-stat` and `-routine`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqsUrl {
    /// What follows `sqs:`, as it was given.
    rest: String,
}

impl SqsUrl {
    /// What follows `sqs:`, for the adapter.
    pub(crate) fn rest(&self) -> &str {
        &self.rest
    }

    /// Whether the names of both lanes' queues, `QUEUE-stat` and `QUEUE-routine`, are short enough.
    pub fn has_room_for_lanes(&self) -> bool {
        check(&self.rest, "jobs-routine").is_ok()
    }

    /// What follows `sqs:`.
    pub(super) fn parse(rest: &str) -> Result<Self, UrlError> {
        built_in("sqs", "sqs", cfg!(feature = "sqs"))?;
        check(rest, "uploads")?;
        Ok(Self { rest: rest.to_owned() })
    }
}

impl fmt::Display for SqsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sqs:{}", self.rest)
    }
}

/// Whether the adapter can read it, as the queue `name`.
#[cfg(feature = "sqs")]
fn check(rest: &str, name: &str) -> Result<(), UrlError> {
    let options = lobar_sqs::SqsOptions::parse(rest, name, &lobar_aws::Access::default());
    options.map(drop).map_err(|error| UrlError::malformed("sqs", error.source.to_string()))
}

#[cfg(not(feature = "sqs"))]
fn check(_rest: &str, _name: &str) -> Result<(), UrlError> {
    Ok(())
}

#[cfg(all(test, feature = "sqs"))]
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
