//! The header fields that tell of a limit: `RateLimit-Policy`, `RateLimit` (draft-ietf-httpapi-ratelimit-headers), and
//! `Retry-After` (RFC 9110, 10.2.3).

use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER};

use super::bucket::{Exceeded, Policy, Standing};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Whole seconds, rounded up.
pub(super) fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

impl Standing {
    /// What is left, and how long until all of it is there again.
    pub(crate) fn headers(self) -> Vec<(HeaderName, HeaderValue)> {
        limit(self.policy, self.remaining)
    }
}

impl Exceeded {
    /// When to come back.
    pub(crate) fn headers(self) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = self.policy.map(|policy| limit(policy, 0)).unwrap_or_default();
        headers.push((RETRY_AFTER, self.retry_after().into()));
        headers
    }
}

fn limit(policy: Policy, remaining: u32) -> Vec<(HeaderName, HeaderValue)> {
    let Policy { name, burst, each } = policy;
    let window = seconds(policy.window());
    let reset = seconds(each * burst.saturating_sub(remaining));
    let fields = [
        (RATE_LIMIT_POLICY, format!("\"{name}\";q={burst};w={window}")),
        (RATE_LIMIT, format!("\"{name}\";r={remaining};t={reset}")),
    ];
    let valid = |(name, text): (_, String)| Some((name, HeaderValue::from_str(&text).ok()?));
    fields.into_iter().filter_map(valid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { name: "sign-in", burst: 10, each: Duration::from_secs(6) };

    fn texts(headers: Vec<(HeaderName, HeaderValue)>) -> Vec<String> {
        let text = |(name, value): (HeaderName, HeaderValue)| {
            format!("{name}: {}", value.to_str().expect("text"))
        };
        headers.into_iter().map(text).collect()
    }

    #[test]
    fn the_fields_are_structured_as_the_draft_says() {
        let standing = Standing { policy: POLICY, remaining: 7 };
        assert_eq!(
            texts(standing.headers()),
            ["ratelimit-policy: \"sign-in\";q=10;w=60", "ratelimit: \"sign-in\";r=7;t=18"]
        );
        let wait = Duration::from_millis(5_001);
        let exceeded = Exceeded { limit: "sign-in", policy: Some(POLICY), wait };
        assert_eq!(
            texts(exceeded.headers()),
            [
                "ratelimit-policy: \"sign-in\";q=10;w=60",
                "ratelimit: \"sign-in\";r=0;t=60",
                "retry-after: 6"
            ]
        );
        assert_eq!(
            texts(Exceeded::at_once("x", Duration::from_secs(1)).headers()),
            ["retry-after: 1"]
        );
    }
}
