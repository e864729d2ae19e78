//! Names as people and devices write them.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// What names are searched by: case, accents and empty components at the end are nothing to it; groups keep their `=`.
pub fn name_key(name: &str) -> String {
    let plain: String =
        name.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect();
    let group = |group: &str| {
        group.trim_matches(|c: char| c.is_whitespace()).trim_end_matches(['^', ' ']).to_owned()
    };
    let groups: Vec<String> = plain.split('=').map(group).collect();
    groups.join("=").trim_end_matches('=').to_owned()
}

/// Whether two names (PS3.5, 6.2.1) may be of one family: the family names are the same but for case, accents, how an
/// umlaut is written, and what is no letter. Of a name without `^` nobody knows which part is the family's: it is enough
/// that the other's is in it.
pub fn may_be_family(one: &str, other: &str) -> bool {
    let ((one, one_is_whole), (other, other_is_whole)) = (family(one), family(other));
    one == other
        || one.is_empty()
        || other.is_empty()
        || (one_is_whole && one.contains(&other))
        || (other_is_whole && other.contains(&one))
}

/// The family name to compare by, of the first group that has one, and whether it is the whole name.
fn family(name: &str) -> (String, bool) {
    let group = name.split('=').find(|group| !group.trim().is_empty()).unwrap_or_default();
    let (family, is_whole) = match group.split_once('^') {
        Some((family, _)) => (family, false),
        None => (group, true),
    };
    let letters = family.nfkd().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase);
    let folded: String = letters.collect();
    let folded = folded.replace('ß', "ss").replace('ø', "o").replace('æ', "a");
    (["ae", "oe", "ue"].iter().fold(folded, |text, two| text.replace(two, &two[..1])), is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_searched_without_case_and_accents() {
        for (name, key) in [
            ("Müller^Jana^^", "muller^jana"),
            (" Doe ^JANE= ", "doe ^jane"),
            ("Yamada^Tarou=山田^太郎=やまだ^たろう", "yamada^tarou=山田^太郎=やまた^たろう"),
        ] {
            assert_eq!(name_key(name), key);
        }
    }

    #[test]
    fn one_family_is_written_in_many_ways() {
        for (one, other) in [
            ("Müller^Jana", "MUELLER^JANA"),
            ("Müller^Jana", "Muller^Jana Maria"),
            ("Müller^Jana", "Müller, Jana"),
            ("Müller^Jana", "Jana Müller"),
            ("van der Berg^A", "Vanderberg^A"),
            ("Groß^A", "GROSS^A"),
            ("=山田^太郎", "山田^太郎"),
            ("", "Doe^Jane"),
            ("^Jane", "Doe^Jane"),
        ] {
            assert!(may_be_family(one, other) && may_be_family(other, one), "{one} {other}");
        }
        for (one, other) in
            [("Müller^Jana", "Doe^John"), ("Doe^Jane", "Roe^Jane"), ("Doe^Jane", "Jane Roe")]
        {
            assert!(!may_be_family(one, other) && !may_be_family(other, one), "{one} {other}");
        }
    }
}
