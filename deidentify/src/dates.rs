//! Dates that are moved, and the forms of times (PS3.5, 6.2).

use dicom_core::chrono::{Days, NaiveDate};

/// A date (DA), as it was so many days earlier; `None` where it is none. The dots of ACR-NEMA's form are taken away.
pub(crate) fn earlier(date: &str, shift: Days) -> Option<String> {
    let digits = date.replace('.', "");
    if digits.len() != 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let date = NaiveDate::parse_from_str(&digits, "%Y%m%d").ok()?;
    let moved = date.checked_sub_days(shift)?.format("%Y%m%d").to_string();
    (moved.len() == 8).then_some(moved)
}

/// A date with a time (DT), moved in the same way; its offset from UTC, which tells of a place, is left out.
pub(crate) fn earlier_moment(moment: &str, shift: Days) -> Option<String> {
    let local = moment.split(['+', '-']).next()?;
    let (date, time) = local.split_at_checked(8)?;
    let date = earlier(date, shift)?;
    if time.is_empty() { Some(date) } else { Some(format!("{date}{}", time_of_day(time)?)) }
}

/// A time (TM) without the colons of ACR-NEMA's form; `None` where it is none.
pub(crate) fn time_of_day(time: &str) -> Option<String> {
    let plain = time.replace(':', "");
    let (whole, part) = plain.split_once('.').unwrap_or((&plain, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = matches!(whole.len(), 2 | 4 | 6) && part.len() <= 6;
    (fits && digits(whole) && digits(part)).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_moved_over_months_and_leap_days() {
        assert_eq!(earlier("20240301", Days::new(1)).as_deref(), Some("20240229"));
        assert_eq!(earlier("1995.07.20", Days::new(365)).as_deref(), Some("19940720"));
        for text in ["", "2024", "20241301", "2024030a", "Doe^Jane", "-0240301", "2024030\u{0661}"]
        {
            assert_eq!(earlier(text, Days::new(1)), None, "{text}");
        }
    }

    #[test]
    fn a_moment_loses_its_offset_and_keeps_its_time() {
        let moved = earlier_moment("20240301101500.5+0200", Days::new(1));
        assert_eq!(moved.as_deref(), Some("20240229101500.5"));
        assert_eq!(earlier_moment("20240301DOE", Days::new(1)), None);
        assert_eq!(earlier_moment("\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}", Days::new(1)), None);
    }

    #[test]
    fn a_time_is_digits() {
        assert_eq!(time_of_day("17:58:00").as_deref(), Some("175800"));
        assert_eq!(time_of_day("1758").as_deref(), Some("1758"));
        for text in ["", "1", "DOE", "12.JANE", "12.1234567"] {
            assert_eq!(time_of_day(text), None, "{text}");
        }
    }
}
