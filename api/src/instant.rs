//! Times as people give them: a day, or a second of it.

use lobar_core::time::Stamp;
use time::{Date, Month, OffsetDateTime, Time};

use crate::problem::{Kind, Problem};

/// A day, or a second of it, in UTC: `2026-03-01`, `2026-03-01T09:05:00Z`.
pub fn read(text: &str) -> Result<Stamp, String> {
    let found = parse(text);
    found.ok_or_else(|| format!("{text:?} is no time, such as 2026-03-01 or 2026-03-01T09:05:00Z"))
}

/// The time that a parameter gives, if it is there.
pub(crate) fn given(parameter: &str, text: Option<&str>) -> Result<Option<Stamp>, Problem> {
    let wrong = |why| Problem::new(Kind::BadParameter, format!("`{parameter}`: {why}."));
    text.map(read).transpose().map_err(wrong)
}

fn parse(text: &str) -> Option<Stamp> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, time.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let small = |number: u16| u8::try_from(number).ok();
    let month = Month::try_from(small(month)?).ok()?;
    let date = Date::from_calendar_date(year.into(), month, small(day)?).ok()?;
    let time = Time::from_hms(small(hour)?, small(minute)?, small(second)?).ok()?;
    let seconds = OffsetDateTime::new_utc(date, time).unix_timestamp();
    Some(Stamp(seconds.saturating_mul(1_000_000)))
}

/// Three numbers of so many digits each.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[u16; 3]> {
    let parts: Vec<&str> = text.split(between).collect();
    let parts: [&str; 3] = parts.try_into().ok()?;
    let mut numbers = [0; 3];
    for ((part, digits), number) in parts.iter().zip(digits).zip(&mut numbers) {
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_seconds_are_read_and_nothing_else_is() {
        assert_eq!(read("1970-01-01"), Ok(Stamp(0)));
        assert_eq!(read("2000-02-29"), Ok(Stamp(951_782_400_000_000)));
        assert_eq!(read("2026-03-01T09:05:00Z"), Ok(Stamp(1_772_355_900_000_000)));
        for bad in [
            "",
            "2026",
            "2026-13-01",
            "2026-02-30",
            "2026-3-1",
            "2026-03-01T09:05:00",
            "+026-03-01",
            "2026-03-01T24:00:00Z",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
