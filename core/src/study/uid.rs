//! Unique identifiers of DICOM.

use std::fmt;

use uuid::Uuid;

/// A UID (PS3.5, 9.1): numbers with dots between them, at most 64 characters. Components with leading zeros, which the
/// standard forbids, are kept as they are: there are modalities that write them, and they name something.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(String);

impl Uid {
    /// The UID in a text, without the zero bytes and spaces that pad it; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_end_matches(['\0', ' ']).trim_start();
        let number =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        (text.len() <= 64 && text.split('.').all(number)).then(|| Self(text.to_owned()))
    }

    /// The UID of a UUID (PS3.5, B.2): `2.25.` and its 128 bits as a decimal number.
    pub fn of(uuid: Uuid) -> Self {
        Self(format!("2.25.{}", uuid.as_u128()))
    }

    /// As text. UIDs of studies, series and instances are personal: they name an examination.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Uid(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_taken_away_and_what_is_no_uid_is_refused() {
        for text in
            ["1.2.840.10008.1.1", "1.2.840.10008.1.1\0", "1.2.840.10008.1.1 ", " 1.2.840.10008.1.1"]
        {
            assert_eq!(Uid::parse(text).expect("a UID").as_str(), "1.2.840.10008.1.1");
        }
        assert!(Uid::parse("1.02.3").is_some(), "written by some modalities");
        for text in ["", ".", "1..2", "1.2.", "1.a", "../1", &"1".repeat(65)] {
            assert!(Uid::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_uid_of_a_uuid_is_that_of_the_standard() {
        let uuid = Uuid::parse_str("f81d4fae-7dec-11d0-a765-00a0c91e6bf6").expect("a UUID");
        assert_eq!(Uid::of(uuid).as_str(), "2.25.329800735698586629295641978511506172918");
    }

    #[test]
    fn debug_says_nothing() {
        assert_eq!(format!("{:?}", Uid::parse("1.2.3")), "Some(Uid(…))");
    }
}
