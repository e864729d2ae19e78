//! The OpenTelemetry collector that spans are sent to.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// The base address of a collector: `http://HOST[:PORT]`, with or without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector(Url);

impl Collector {
    /// Where traces go: `/v1/traces` below the base, as the OTLP specification has it.
    #[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "nothing is sent"))]
    pub fn traces(&self) -> String {
        format!("{}/v1/traces", self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for Collector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text itself is not repeated: it may hold a password.
        let wrong =
            |why: &str| format!("it is no collector's address, such as http://HOST:4318: {why}");
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("OTLP is spoken over http or https here"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("it would show its password in every output of the settings"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("/v1/traces is put behind it"));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_go_below_the_address_that_is_given() {
        for (given, traces) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://collector/", "http://collector/v1/traces"),
            ("https://example.org/otlp", "https://example.org/otlp/v1/traces"),
        ] {
            let collector: Collector = given.parse().expect("an address");
            assert_eq!(collector.traces(), traces);
            assert_eq!(collector.to_string(), given.trim_end_matches('/'));
        }
    }

    #[test]
    fn what_is_no_address_of_a_collector_is_refused_and_no_password_is_repeated() {
        for wrong in ["", "collector:4318", "grpc://collector:4317", "http://", "http://c/?a=b"] {
            assert!(wrong.parse::<Collector>().is_err(), "{wrong:?}");
        }
        let error = "http://me:pass@collector".parse::<Collector>().expect_err("refused");
        assert!(!error.contains("pass@"), "{error}");
    }
}
