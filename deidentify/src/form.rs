//! The only texts that are kept as they came.

/// Of which form each value of an attribute is.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// One of these terms.
    Terms(&'static [&'static str]),
    /// A direction in the patient (PS3.3, C.7.6.1.1.1): up to three of `A P L R H F`, none twice.
    Direction,
    /// A UID that the standard itself defines.
    StandardUid,
    /// A decimal or whole number (DS, IS).
    Number,
}

impl Form {
    /// Whether a value, without its padding, is of this form.
    pub(crate) fn takes(self, value: &str) -> bool {
        match self {
            Form::Terms(terms) => terms.contains(&value),
            Form::Direction => is_direction(value),
            Form::StandardUid => is_standard_uid(value),
            Form::Number => is_number(value),
        }
    }
}

fn is_direction(value: &str) -> bool {
    let letters = value.as_bytes();
    let once = |letter: &u8| letters.iter().filter(|other| *other == letter).count() == 1;
    (1..=3).contains(&letters.len())
        && letters.iter().all(|letter| b"APLRHF".contains(letter) && once(letter))
}

/// Whether it is under the standard's own root (PS3.6, A).
pub(crate) fn is_standard_uid(value: &str) -> bool {
    let number =
        |part: &str| (1..=6).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let below = value.strip_prefix("1.2.840.10008.");
    value.len() <= 64 && below.is_some_and(|rest| rest.split('.').all(number))
}

fn is_number(value: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    (1..=16).contains(&value.len())
        && value.bytes().all(known)
        && value.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_a_number_a_direction_or_a_uid() {
        for word in
            ["", "DOE", "Doe^Jane", "inf", "NaN", "infinity", "e", "12 DOE", "AA", "1.2.3", "LRAP"]
        {
            for form in [Form::Direction, Form::StandardUid] {
                assert!(!form.takes(word), "{word}");
            }
            assert!(word == "1.2.3" || !Form::Number.takes(word), "{word}");
        }
        assert!(Form::Number.takes("-1.5e3") && Form::Direction.takes("PF"));
        assert!(Form::StandardUid.takes("1.2.840.10008.5.1.4.1.1.1"));
        assert!(!Form::StandardUid.takes("1.2.840.10008.19950720112207"), "a date can be in it");
    }
}
