//! Titles of application entities.

use std::fmt;
use std::str::FromStr;

/// The title of an application entity (PS3.5, 6.2, AE): 1 to 16 printable ASCII characters but for the backslash. Spaces
/// around it do not count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AeTitle(String);

impl AeTitle {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AeTitle {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim_matches([' ', '\0']);
        let printable = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b'\\';
        match (1..=16).contains(&text.len()) && text.bytes().all(printable) {
            true => Ok(Self(text.to_owned())),
            false => Err("an AE title is 1 to 16 printable ASCII characters without a backslash"),
        }
    }
}

impl fmt::Display for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_taken_away_and_what_is_no_title_is_refused() {
        assert_eq!("  ROOM 1 ".parse::<AeTitle>().expect("a title").as_str(), "ROOM 1");
        for text in ["", "   ", "SEVENTEEN_LETTERS", "A\\B", "A\nB", "J\u{fc}RGEN"] {
            assert!(text.parse::<AeTitle>().is_err(), "{text:?}");
        }
    }
}
