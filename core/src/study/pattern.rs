//! Wildcards (PS3.4, C.2.2.2.4).

use std::fmt;

/// A text to match by: `*` stands for any characters, also none, `?` for one.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// As it is written.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has no wildcards.
    pub fn is_exact(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// Whether everything matches: nothing is asked for, or `*`.
    pub fn is_universal(&self) -> bool {
        self.0.bytes().all(|byte| byte == b'*')
    }

    /// What every match begins with.
    pub fn prefix(&self) -> &str {
        self.0.split(['*', '?']).next().unwrap_or_default()
    }

    /// The same, but for what is done to its text.
    pub fn map(&self, change: impl FnOnce(&str) -> String) -> Self {
        Self(change(&self.0))
    }

    /// Whether a text matches. In time that grows with the lengths of both, multiplied.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text): (Vec<char>, Vec<char>) =
            (self.0.chars().collect(), text.chars().collect());
        let (mut at, mut place) = (0, 0);
        // Where the last `*` stands, and up to where it reaches.
        let mut star: Option<(usize, usize)> = None;
        while place < text.len() {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at, place));
                    at += 1;
                }
                Some(one) if *one == '?' || *one == text[place] => {
                    at += 1;
                    place += 1;
                }
                _ => {
                    let Some((back, reached)) = star else { return false };
                    star = Some((back, reached + 1));
                    (at, place) = (back + 1, reached + 1);
                }
            }
        }
        pattern[at..].iter().all(|one| *one == '*')
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pattern(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters_and_question_marks_for_one() {
        for (pattern, text) in [
            ("OT", "OT"),
            ("O?", "OT"),
            ("*", ""),
            ("*", "OT"),
            ("**T", "OT"),
            ("a*b*c", "aXbbYc"),
            ("?", "é"),
        ] {
            assert!(Pattern::new(pattern).matches(text), "{pattern} {text}");
        }
        for (pattern, text) in [("OT", "ot"), ("O", "OT"), ("?", ""), ("a*b", "abc"), ("", "a")] {
            assert!(!Pattern::new(pattern).matches(text), "{pattern} {text}");
        }
        let hostile = Pattern::new("*a".repeat(500));
        assert!(!hostile.matches(&"b".repeat(500)));
    }

    #[test]
    fn what_every_match_begins_with_is_known() {
        assert_eq!(Pattern::new("Do*e").prefix(), "Do");
        assert_eq!(Pattern::new("?oe").prefix(), "");
        assert!(Pattern::new("").is_universal() && Pattern::new("**").is_universal());
        assert!(!Pattern::new("*?").is_universal() && Pattern::new("Doe").is_exact());
    }
}
