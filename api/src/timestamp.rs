//! Times as people and programs exchange them: RFC 3339, UTC, microseconds.

use std::num::NonZero;

use lobar_core::time::Stamp;
use time::OffsetDateTime;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};
use time::format_description::well_known::{Iso8601, Rfc3339};

/// RFC 3339 is a profile of ISO 8601; this one always has six decimal digits.
const MICROSECONDS: EncodedConfig = Config::DEFAULT
    .set_time_precision(TimePrecision::Second { decimal_digits: NonZero::new(6) })
    .encode();

/// The years that RFC 3339 can tell, 0000 to 9999, in microseconds since 1970.
const TELLABLE: (i64, i64) = (-62_167_219_200_000_000, 253_402_300_799_999_999);

/// `2026-03-01T09:05:00.000250Z`. A time that RFC 3339 cannot tell is the nearest that it can.
pub fn rfc3339(stamp: Stamp) -> String {
    let micros = stamp.0.clamp(TELLABLE.0, TELLABLE.1);
    let instant = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000);
    let instant = instant.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    instant.format(&Iso8601::<MICROSECONDS>).unwrap_or_default()
}

/// The time of a text that [`rfc3339`] made; `None` for one that is no time.
pub(crate) fn stamp(text: &str) -> Option<Stamp> {
    let micros = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos() / 1_000;
    i64::try_from(micros).ok().map(Stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_back_from_its_text() {
        for micros in [0, 1, 1_772_355_900_000_250, TELLABLE.1] {
            assert_eq!(stamp(&rfc3339(Stamp(micros))), Some(Stamp(micros)));
        }
        assert_eq!(stamp("yesterday"), None);
    }

    #[test]
    fn known_instants_read_as_the_calendar_says() {
        assert_eq!(rfc3339(Stamp(0)), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(Stamp(951_782_400_000_250)), "2000-02-29T00:00:00.000250Z");
        assert_eq!(rfc3339(Stamp(1_772_355_900_000_000)), "2026-03-01T09:05:00.000000Z");
        assert_eq!(rfc3339(Stamp(-1)), "1969-12-31T23:59:59.999999Z");
    }

    #[test]
    fn a_time_beyond_the_calendar_is_its_end() {
        assert_eq!(rfc3339(Stamp(i64::MAX)), "9999-12-31T23:59:59.999999Z");
        assert_eq!(rfc3339(Stamp(i64::MIN)), "0000-01-01T00:00:00.000000Z");
    }
}
