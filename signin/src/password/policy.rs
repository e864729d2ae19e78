//! Which passwords are taken, after NIST SP 800-63B, section 3.1.1.2: length counts, kinds of characters do not, and
//! what a guesser tries first is refused.

use super::normalized;

/// Shortest password, in characters.
pub const SHORTEST: usize = 12;

/// Longest password, in characters.
pub const LONGEST: usize = 128;

/// Fewest different characters.
const DIFFERENT: usize = 5;

/// Shortest word of a name that a password must not contain: shorter ones are in it by chance.
const WORD: usize = 4;

/// What is this service's own, and of no use in a password for it.
const OWN_WORDS: &[&str] = &["lobar"];

/// The commonest passwords of at least [`SHORTEST`] characters in lists of leaked ones, in lower case.
const COMMON: &[&str] = &[
    "0987654321qwerty",
    "1q2w3e4r5t6y7u8i",
    "1qaz2wsx3edc4rfv",
    "1qazxsw23edc",
    "abcd12345678",
    "abcdefgh1234",
    "administrator",
    "administrator1",
    "basketball12",
    "changeme1234",
    "changemenow1",
    "football1234",
    "iloveyou1234",
    "iloveyouforever",
    "letmein12345",
    "letmeinplease",
    "liverpool123",
    "passw0rd1234",
    "password1234",
    "password12345",
    "password123456",
    "passwordpassword",
    "princess1234",
    "q1w2e3r4t5y6",
    "qazwsxedcrfv",
    "qwerty123456",
    "qwerty1234567",
    "qwertyqwerty",
    "qwertyuiop123",
    "qwertyuiopasdfghjkl",
    "radiology123",
    "hospital1234",
    "sunshine1234",
    "superman1234",
    "trustno1trustno1",
    "unbelievable",
    "welcome12345",
    "welcome123456",
    "zaq12wsxcde3",
    "zxcvbnm12345",
];

/// Rows that a finger runs along, in both directions.
const ROWS: &[&str] = &[
    "0123456789012345678901234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
];

/// Why a password is not taken. It says nothing of the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// Fewer than [`SHORTEST`] characters.
    #[error("the password is too short: take at least {SHORTEST} characters; a few words do well")]
    Short,
    /// More than [`LONGEST`] characters.
    #[error("the password is too long: take at most {LONGEST} characters")]
    Long,
    /// It holds a control character, which no form can be trusted to send twice alike.
    #[error("the password holds a control character: leave out tabs and line breaks")]
    Unprintable,
    /// One of the commonest, a row of keys, or few characters again and again.
    #[error("the password is among those that are guessed first: take another one")]
    Common,
    /// It contains the account's name or this service's.
    #[error("the password contains the name of the account or of Lobar: take another one")]
    Name,
}

/// Whether this password is taken for the account of this name.
///
/// # Errors
/// Why not.
pub fn accept(password: &str, name: &str) -> Result<(), Weakness> {
    let password = normalized(password).ok_or(Weakness::Long)?;
    let length = password.chars().count();
    if length < SHORTEST {
        return Err(Weakness::Short);
    }
    if length > LONGEST {
        return Err(Weakness::Long);
    }
    if password.chars().any(char::is_control) {
        return Err(Weakness::Unprintable);
    }
    let password = password.to_lowercase();
    let mut characters: Vec<char> = password.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    if characters.len() < DIFFERENT || COMMON.contains(&password.as_str()) || is_row(&password) {
        return Err(Weakness::Common);
    }
    if words(name).iter().any(|word| password.contains(word.as_str())) {
        return Err(Weakness::Name);
    }
    Ok(())
}

fn is_row(password: &str) -> bool {
    let backwards: String = password.chars().rev().collect();
    ROWS.iter().any(|row| row.contains(password) || row.contains(&backwards))
}

/// The name and its longer words, in lower case, and this service's own.
fn words(name: &str) -> Vec<String> {
    let name = normalized(name).unwrap_or_default().to_lowercase();
    let parts = name.split(|c: char| !c.is_alphanumeric()).chain([name.as_str()]);
    let long = parts.filter(|word| word.chars().count() >= WORD).map(str::to_owned);
    long.chain(OWN_WORDS.iter().map(|word| (*word).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_all_that_a_password_needs() {
        for good in
            ["correct horse battery", "abcdefghijkm", "ein langer Satz mit Ü", &"añb1c".repeat(25)]
        {
            assert_eq!(accept(good, "jane"), Ok(()), "{good}");
        }
    }

    #[test]
    fn length_is_counted_in_characters_after_normalization() {
        assert_eq!(accept("elf zeichen", "jane"), Err(Weakness::Short));
        // Twelve characters to the eye, written as letters and combining marks.
        assert_eq!(accept("u\u{308}a\u{308}bcdefo\u{308}gh", "jane"), Err(Weakness::Short));
        assert_eq!(accept("u\u{308}a\u{308}bcdefo\u{308}ghxyz", "jane"), Ok(()));
        assert_eq!(accept(&"abcdefg".repeat(19), "jane"), Err(Weakness::Long));
        // One character that becomes eighteen.
        assert_eq!(accept(&"\u{fdfa}".repeat(20), "jane"), Err(Weakness::Long));
        assert_eq!(accept(&"a".repeat(1_000_000), "jane"), Err(Weakness::Long));
    }

    #[test]
    fn what_is_guessed_first_is_refused() {
        let rows =
            ["123456789012", "QWERTYUIOPasdf", "zyxwvutsrqpon", "aaaaaaaaaaaaaaaa", "abababababab"];
        for bad in COMMON.iter().copied().chain(rows).chain(["Password1234"]) {
            assert_eq!(accept(bad, "jane"), Err(Weakness::Common), "{bad}");
        }
        assert_eq!(accept("tab\tin the middle", "jane"), Err(Weakness::Unprintable));
    }

    #[test]
    fn every_common_password_is_long_enough_to_matter_and_in_lower_case() {
        for common in COMMON {
            assert!(common.chars().count() >= SHORTEST, "{common}");
            assert_eq!(*common, common.to_lowercase());
        }
    }

    #[test]
    fn a_password_does_not_contain_the_name_of_its_account() {
        for (password, name) in [
            ("I am JANE.DOE today", "jane.doe"),
            ("xx-janet-xx-yy", "Janet Doe"),
            ("my Lobar account", "jane"),
            ("Mu\u{308}ller und Sohn", "Dr. Müller"),
        ] {
            assert_eq!(accept(password, name), Err(Weakness::Name), "{password}");
        }
        assert_eq!(accept("drought and rain", "Dr X"), Ok(()), "short words are there by chance");
    }
}
