//! Figures as a reader wants them.

use crate::evaluation::Interval;

/// `0.978`, or a dash where there is none.
pub(super) fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"))
}

/// `0.978 (0.966 to 0.987)`.
pub(super) fn with_interval(value: Option<f64>, interval: Option<Interval>) -> String {
    match interval {
        Some(interval) => format!("{} ({})", figure(value), range(interval)),
        None => figure(value),
    }
}

/// `0.966 to 0.987`.
pub(super) fn range(Interval { low, high }: Interval) -> String {
    format!("{low:.3} to {high:.3}")
}

/// `98.2 %`.
pub(super) fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{:.1} %", value * 100.0))
}

/// `12,345`.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 image`, `2 images`.
pub(crate) fn of(value: u64, one: &str, more: &str) -> String {
    format!("{} {}", count(value), if value == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_a_person_writes_them() {
        let interval = Some(Interval { low: 0.9655, high: 0.98651 });
        assert_eq!(with_interval(Some(0.97751), interval), "0.978 (0.966 to 0.987)");
        assert_eq!(with_interval(None, None), "–");
        assert_eq!(percent(Some(0.98205)), "98.2 %");
        assert_eq!(
            ["0", "999", "1,000", "1234567"].map(|it| count(it.replace(',', "").parse().unwrap())),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(of(1, "image", "images"), "1 image");
    }
}
