//! The key of an object as S3 writes it into an event: form-encoded UTF-8.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// S3's own limit on a key, in bytes of UTF-8.
pub(crate) const LONGEST: usize = 1024;

/// Reverses the event's encoding: `+` is a space, `%XX` is a byte, everything else is itself.
/// `None` when the bytes are not UTF-8. A `%` without two hexadecimal digits stands for itself, and a
/// key with what no encoding leaves (a space, a letter beyond ASCII) was not encoded: so are some
/// emulators' keys, unless they hold nothing but a `+` to tell.
pub(crate) fn decode(encoded: &str) -> Option<String> {
    if encoded.chars().any(|c| c == ' ' || !c.is_ascii()) {
        return Some(encoded.to_owned());
    }
    let spaced = encoded.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned)
}

/// Whether a decoded key can be the name of an object. A zero byte cannot: S3's own answers are XML,
/// and databases refuse it.
pub(crate) fn is_valid(key: &str) -> bool {
    !key.is_empty() && key.len() <= LONGEST && !key.contains('\0')
}

#[cfg(test)]
mod tests {
    use lobar_core::notification::encode_key as encode;

    use super::*;

    #[test]
    fn plus_is_a_space_and_percent_is_a_byte() {
        let key = decode("in/a+b%2Bc+%C3%A9/x%26y%25.dcm");
        assert_eq!(key.as_deref(), Some("in/a b+c é/x&y%.dcm"));
        assert_eq!(decode("in%2Fa%20b.png").as_deref(), Some("in/a b.png"));
        assert_eq!(decode("%c3%A9").as_deref(), Some("é"));
    }

    #[test]
    fn a_key_that_was_encoded_is_read_back() {
        for key in ["in/a b+c é/x&y%.dcm", "100%", "%41", "a//b", "日本"] {
            assert_eq!(decode(&encode(key)).as_deref(), Some(key));
        }
        assert_eq!(encode("in/a b+c"), "in/a+b%2Bc");
    }

    #[test]
    fn a_percent_sign_without_digits_stands_for_itself() {
        assert_eq!(decode("100%").as_deref(), Some("100%"));
        assert_eq!(decode("%zz%4").as_deref(), Some("%zz%4"));
        assert_eq!(decode("%+1").as_deref(), Some("% 1"));
    }

    #[test]
    fn a_key_that_nobody_encoded_is_taken_as_it_is() {
        assert_eq!(decode("a b+c%20d").as_deref(), Some("a b+c%20d"));
        assert_eq!(decode("é+%41").as_deref(), Some("é+%41"));
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_no_key() {
        assert_eq!(decode("%ff%fe"), None);
    }

    #[test]
    fn empty_long_and_zero_byte_keys_are_refused() {
        assert!(!is_valid(""));
        assert!(!is_valid("a\0b"));
        assert!(is_valid(&"k".repeat(LONGEST)));
        assert!(!is_valid(&"k".repeat(LONGEST + 1)));
        assert!(is_valid("../../etc/passwd"));
        assert!(is_valid("/leading"));
    }
}
