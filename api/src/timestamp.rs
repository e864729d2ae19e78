//! Times as people and programs exchange them: RFC 3339, UTC, microseconds.

use lobar_core::time::Stamp;

const DAY: i64 = 86_400;

/// `2026-03-01T09:05:00.000250Z`.
pub(crate) fn rfc3339(stamp: Stamp) -> String {
    let seconds = stamp.0.div_euclid(1_000_000);
    let micros = stamp.0.rem_euclid(1_000_000);
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let clock = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Year, month and day of a day number since 1970-01-01 (Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_read_as_the_calendar_says() {
        assert_eq!(rfc3339(Stamp(0)), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(Stamp(951_782_400_000_250)), "2000-02-29T00:00:00.000250Z");
        assert_eq!(rfc3339(Stamp(1_772_355_900_000_000)), "2026-03-01T09:05:00.000000Z");
        assert_eq!(rfc3339(Stamp(-1)), "1969-12-31T23:59:59.999999Z");
    }
}
