//! Double reading: how far the readers of an image have come, by their verdicts on what it shows now. Pure.
//!
//! Where a site asks for it, two readers read an image, neither knowing what the other said. Where they differ a third
//! one decides, who sees both. A reader's newest verdict counts for that reader; one that was withdrawn counts for none.

use crate::finding::Label;
use crate::time::Stamp;

/// How many readers read an image for themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Readers {
    /// The newest verdict is that of the image.
    #[default]
    One,
    /// Two must agree, or a third decides.
    Two,
}

impl Readers {
    /// How many.
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// As it is kept; verdicts of earlier releases have none.
    pub fn of_number(number: Option<i64>) -> Self {
        match number {
            Some(2) => Self::Two,
            _ => Self::One,
        }
    }
}

/// A verdict that counts, as far as it matters here.
#[derive(Clone, PartialEq, Eq)]
pub struct Given {
    /// Whose: a user's name.
    pub reader: String,
    /// What it comes to; `None` for not assessable.
    pub label: Option<Label>,
    /// When.
    pub at: Stamp,
    /// How many readers the site had then.
    pub needed: Readers,
}

/// Who has read an image, by the verdicts on what it shows now.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Readings(Vec<Given>);

/// What the verdicts come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Readers are still to come.
    Open,
    /// Two readers differ, and no third has decided.
    Disagreed,
    /// It is read; the newest verdict counts.
    Settled,
}

impl Readings {
    /// Of the verdicts that count, oldest first.
    pub fn of(given: impl IntoIterator<Item = Given>) -> Self {
        let mut newest: Vec<Given> = Vec::new();
        for given in given {
            newest.retain(|earlier| earlier.reader != given.reader);
            newest.push(given);
        }
        Self(newest)
    }

    /// How many readers have given a verdict that counts.
    pub fn given(&self) -> usize {
        self.0.len()
    }

    /// The newest verdict.
    pub fn newest(&self) -> Option<&Given> {
        self.0.last()
    }

    /// Whether a reader is among them.
    pub fn include(&self, reader: &str) -> bool {
        self.0.iter().any(|given| given.reader == reader)
    }

    /// What they come to, by the number of readers that the site had with the newest.
    pub fn agreement(&self) -> Agreement {
        match self.0.as_slice() {
            [] => Agreement::Open,
            [.., newest] if newest.needed == Readers::One => Agreement::Settled,
            [_] => Agreement::Open,
            [one, other] if one.label != other.label => Agreement::Disagreed,
            _ => Agreement::Settled,
        }
    }

    /// Whether what others said is kept from a reader until they have said something themselves, where the site has so many
    /// readers. With a disagreement that ends: whoever decides sees both.
    pub fn are_kept_from(&self, reader: &str, needed: Readers) -> bool {
        needed == Readers::Two && !self.include(reader) && self.agreement() == Agreement::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(given: &[(&str, Option<Label>)], needed: Readers) -> Readings {
        Readings::of(given.iter().zip(0..).map(|((reader, label), at)| Given {
            reader: (*reader).to_owned(),
            label: *label,
            at: Stamp(at),
            needed,
        }))
    }

    const ILL: Option<Label> = Some(Label::Pneumonia);
    const WELL: Option<Label> = Some(Label::Normal);

    #[test]
    fn two_who_agree_have_read_it_and_a_third_decides_between_two_who_differ() {
        for (given, two, one) in [
            (&[][..], Agreement::Open, Agreement::Open),
            (&[("a", ILL)], Agreement::Open, Agreement::Settled),
            (&[("a", ILL), ("a", WELL)], Agreement::Open, Agreement::Settled),
            (&[("a", ILL), ("b", ILL)], Agreement::Settled, Agreement::Settled),
            (&[("a", None), ("b", None)], Agreement::Settled, Agreement::Settled),
            (&[("a", ILL), ("b", WELL)], Agreement::Disagreed, Agreement::Settled),
            (&[("a", ILL), ("b", None)], Agreement::Disagreed, Agreement::Settled),
            (&[("a", ILL), ("b", WELL), ("a", WELL)], Agreement::Settled, Agreement::Settled),
            (&[("a", ILL), ("b", WELL), ("c", None)], Agreement::Settled, Agreement::Settled),
        ] {
            assert_eq!(readings(given, Readers::Two).agreement(), two);
            assert_eq!(readings(given, Readers::One).agreement(), one);
        }
    }

    #[test]
    fn the_first_verdict_is_kept_from_the_second_reader_and_a_disagreement_from_nobody() {
        let one = readings(&[("a", ILL)], Readers::Two);
        assert!(one.are_kept_from("b", Readers::Two) && !one.are_kept_from("a", Readers::Two));
        assert!(!one.are_kept_from("b", Readers::One), "the site asks for it no more");
        let differ = readings(&[("a", ILL), ("b", WELL)], Readers::Two);
        assert!(!differ.are_kept_from("c", Readers::Two));
    }

    #[test]
    fn numbers_of_readers_read_back_and_earlier_releases_had_one() {
        for readers in [Readers::One, Readers::Two] {
            assert_eq!(Readers::of_number(Some(readers.number().into())), readers);
        }
        assert_eq!(Readers::of_number(None), Readers::One);
    }
}
