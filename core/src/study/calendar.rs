//! Dates and times as DICOM writes them, and ages.

use crate::time::Stamp;

/// When a study was made, in its own local time as if that were UTC: a date (`YYYYMMDD`) and a time (`HHMMSS`, or as much
/// of it as there is). `None` where the date is none.
pub fn made_at(date: Option<&str>, time: Option<&str>) -> Option<Stamp> {
    let (year, month, day) = parts(date?)?;
    let time = time.unwrap_or_default();
    let part = |range: std::ops::Range<usize>| {
        time.get(range).and_then(|part| part.parse::<i64>().ok()).unwrap_or(0)
    };
    let seconds = (part(0..2) * 60 + part(2..4)) * 60 + part(4..6);
    Some(Stamp((days(year, month, day) * 86_400 + seconds) * 1_000_000))
}

/// The age on a day (`YYYYMMDD`) of who was born on another, as DICOM writes ages (PS3.5, 6.2, AS): in years from two
/// years on, in months from one month on, else in days. `None` where a date is none, or the birth comes after.
pub fn age_on(day: &str, birth_date: &str) -> Option<String> {
    let ((year, month, date), (born_year, born_month, born_date)) =
        (parts(day)?, parts(birth_date)?);
    let months = (year - born_year) * 12 + month - born_month - i64::from(date < born_date);
    let age = days(year, month, date) - days(born_year, born_month, born_date);
    match (age, months) {
        (..0, _) => None,
        (_, 24..) => Some(format!("{:03}Y", (months / 12).min(999))),
        (_, 1..) => Some(format!("{months:03}M")),
        _ => Some(format!("{age:03}D")),
    }
}

/// The day of a moment, `YYYYMMDD`, UTC.
pub fn day_of(stamp: Stamp) -> String {
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": civil_from_days.
    let z = stamp.0.div_euclid(86_400_000_000) + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}")
}

/// The time of day of a moment, `HHMMSS`, UTC.
pub fn time_of(stamp: Stamp) -> String {
    let seconds = stamp.0.div_euclid(1_000_000).rem_euclid(86_400);
    format!("{:02}{:02}{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

fn parts(date: &str) -> Option<(i64, i64, i64)> {
    let digits = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
    let part = |range: std::ops::Range<usize>| date.get(range).and_then(|part| part.parse().ok());
    if !digits {
        return None;
    }
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    ((1..=12).contains(&month) && (1..=31).contains(&day)).then_some((year, month, day))
}

/// Days since 1970-01-01 of a day of the Gregorian calendar (the same paper: days_from_civil).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let yoe = year.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        assert_eq!(made_at(Some("19700101"), None), Some(Stamp(0)));
        assert_eq!(made_at(Some("20000229"), Some("000000")), Some(Stamp(951_782_400_000_000)));
        assert_eq!(made_at(Some("20260301"), Some("0905")), Some(Stamp(1_772_355_900_000_000)));
        assert_eq!(made_at(Some("20261301"), None), None);
        assert_eq!(made_at(None, Some("0905")), None);
        for day in ["19700101", "20000229", "20240301", "19691231", "18991231"] {
            let last = made_at(Some(day), Some("235959")).expect("a day");
            assert_eq!((day_of(last).as_str(), time_of(last).as_str()), (day, "235959"));
        }
    }

    #[test]
    fn ages_are_counted_by_birthdays() {
        for (day, born, age) in [
            ("20260301", "20260301", Some("000D")),
            ("20260301", "20260210", Some("019D")),
            ("20260301", "20260201", Some("001M")),
            ("20260228", "20240301", Some("023M")),
            ("20260301", "20240301", Some("002Y")),
            ("20260301", "20210302", Some("004Y")),
            ("20260301", "19260301", Some("100Y")),
            ("20260301", "20260302", None),
            ("20260301", "x", None),
        ] {
            assert_eq!(age_on(day, born).as_deref(), age, "{born} on {day}");
        }
    }
}
