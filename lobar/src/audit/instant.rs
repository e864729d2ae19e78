//! Times as exports tell them, and as the command line takes them.

use lobar_core::time::Stamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use lobar_api::read_instant as read;

/// RFC 3339, UTC. A time that it cannot tell is that of 1970.
pub fn rfc3339(at: Stamp) -> String {
    let instant = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000);
    let instant = instant.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    instant.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_to_the_microsecond() {
        assert_eq!(rfc3339(Stamp(1_772_355_900_000_250)), "2026-03-01T09:05:00.00025Z");
    }
}
