//! What is done to each attribute.
//!
//! `PROFILE` has the attributes of Table E.1-1 that occur in CR, DX and SC images, with the standard's action beside
//! ours; `SAFE` those that the standard leaves as they are and that an image needs. Everything else is removed.

mod codes;
mod profile;
mod safe;

use dicom_core::Tag;

pub(crate) use codes::CODES;
pub use profile::PROFILE;
pub use safe::SAFE;

use crate::form::Form;

/// What is done to an attribute.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// It goes, with all that is in it.
    Remove,
    /// It stays without a value.
    Empty,
    /// It gets the patient's pseudonym.
    Pseudonym,
    /// Each UID is replaced, the same one always in the same way.
    Uid,
    /// A date (DA), moved or gone.
    Date(Otherwise),
    /// A time of day (TM), kept where dates are moved, or gone.
    Time(Otherwise),
    /// A date with a time (DT), moved or gone.
    Moment(Otherwise),
    /// Values of this form stay, others go.
    Text(Form, Otherwise),
    /// Binary numbers.
    Number,
    /// The values of a lookup table, as many as its descriptor says.
    LookupTable,
    /// Codes that are known here stay, with the meaning that is written here.
    Codes,
    /// Each item is cleaned by rules of its own.
    Items(&'static [(Tag, Rule)]),
    /// The image itself.
    Pixels,
}

/// What becomes of an attribute whose value cannot stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// It goes.
    Removed,
    /// It stays without a value: the standard asks for it (type 2).
    Emptied,
}

/// The rule of an attribute of the data set itself.
pub(crate) fn rule(tag: Tag) -> Rule {
    let profile = PROFILE.iter().find(|(known, _, _)| *known == tag).map(|(_, _, rule)| *rule);
    profile.unwrap_or_else(|| rule_in(SAFE, tag))
}

/// The rule of an attribute within these.
pub(crate) fn rule_in(rules: &[(Tag, Rule)], tag: Tag) -> Rule {
    rules.iter().find(|(known, _)| *known == tag).map_or(Rule::Remove, |(_, rule)| *rule)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_attribute_is_named_twice_and_none_is_private() {
        let tags: Vec<Tag> =
            PROFILE.iter().map(|row| row.0).chain(SAFE.iter().map(|row| row.0)).collect();
        assert_eq!(tags.iter().collect::<BTreeSet<_>>().len(), tags.len());
        assert!(tags.iter().all(|tag| tag.group() % 2 == 0));
    }

    /// The actions of E.1-1: an attribute may always be treated as one of those that stand in its row.
    #[test]
    fn what_is_done_is_one_of_the_actions_that_the_standard_allows() {
        for (tag, action, rule) in PROFILE {
            let has = |letter: &str| action.split('/').any(|one| one == letter);
            let allowed = match rule {
                Rule::Remove => has("X"),
                Rule::Empty | Rule::Pseudonym => has("Z") || has("D"),
                Rule::Uid => has("U"),
                Rule::Items(_) => has("U*"),
                Rule::Date(otherwise) | Rule::Time(otherwise) | Rule::Moment(otherwise) => {
                    has(if *otherwise == Otherwise::Removed { "X" } else { "Z" })
                }
                _ => false,
            };
            assert!(allowed, "{tag}: {action} {rule:?}");
        }
    }
}
