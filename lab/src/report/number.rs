//! Counts as a reader wants them, beside the figures of [`lobar_model::card::number`].

pub(super) use lobar_model::card::number::{figure, percent, range, with_interval};

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
    fn counts_read_as_a_person_writes_them() {
        assert_eq!(
            ["0", "999", "1,000", "1234567"].map(|it| count(it.replace(',', "").parse().unwrap())),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(of(1, "image", "images"), "1 image");
    }
}
