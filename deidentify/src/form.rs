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
    /// A decimal number (DS) below ten millions: no date, and not much else, can be written as one.
    Number,
    /// A whole number (IS) of up to seven digits, without a sign, for the same reason.
    Whole,
    /// A number that counts series and images: up to five digits.
    Counter,
}

impl Form {
    /// Whether a value, without its padding, is of this form.
    pub(crate) fn takes(self, value: &str) -> bool {
        match self {
            Form::Terms(terms) => terms.contains(&value),
            Form::Direction => is_direction(value),
            Form::StandardUid => is_standard_uid(value),
            Form::Number => is_number(value),
            Form::Whole => is_whole(value, 7),
            Form::Counter => is_whole(value, 5),
        }
    }

    /// The most values that an attribute may have.
    pub(crate) fn most(self) -> usize {
        match self {
            Form::Counter => 1,
            Form::Whole => 2,
            Form::Number => 8,
            Form::Terms(_) | Form::Direction | Form::StandardUid => 16,
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
        && value.parse::<f64>().is_ok_and(|number| number.abs() < 1e7)
}

fn is_whole(value: &str, digits: usize) -> bool {
    (1..=digits).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit())
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
        for date in ["19640812", "019640812", "1.9640812e7", "NaN", "1e400"] {
            assert!(!Form::Number.takes(date) && !Form::Whole.takes(date), "{date}");
        }
        assert!(Form::Whole.takes("1250000") && !Form::Whole.takes("1.5"));
        assert!(Form::Counter.takes("30001") && !Form::Counter.takes("640812"));
        assert!(Form::StandardUid.takes("1.2.840.10008.5.1.4.1.1.1"));
        assert!(!Form::StandardUid.takes("1.2.840.10008.19950720112207"), "a date can be in it");
    }
}
