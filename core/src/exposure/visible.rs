//! What of an answer could be seen.

use std::fmt;
use std::ops::BitOr;

/// A set of parts of an answer; nothing at first. In storage it is a number of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Visible(u8);

impl Visible {
    /// Nothing of it.
    pub const NOTHING: Self = Self(0);
    /// The flag in a list.
    pub const FLAG: Self = Self(1);
    /// The word beside the picture.
    pub const WORD: Self = Self(2);
    /// The network's score, as a number or on a band.
    pub const PROBABILITY: Self = Self(4);
    /// The heatmap over the picture.
    pub const HEATMAP: Self = Self(8);
    /// What a result tells: all but the heatmap, which is sent for itself.
    pub const RESULT: Self = Self(1 | 2 | 4);

    /// The parts by their words, in the order of what they tell.
    const WORDS: [(Self, &'static str); 4] = [
        (Self::FLAG, "flag"),
        (Self::WORD, "word"),
        (Self::PROBABILITY, "probability"),
        (Self::HEATMAP, "heatmap"),
    ];

    /// Whether nothing is in it.
    pub fn is_nothing(self) -> bool {
        self == Self::NOTHING
    }

    /// Whether it has any part of `other`.
    pub fn any_of(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Its words.
    pub fn words(self) -> Vec<&'static str> {
        Self::WORDS.iter().filter(|(part, _)| self.any_of(*part)).map(|(_, word)| *word).collect()
    }

    /// The part of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(part, _)| *part)
    }

    /// As it is stored: 0 to 15.
    pub fn bits(self) -> i64 {
        self.0.into()
    }

    /// From storage. Bits that this release does not know are left out.
    pub fn of_bits(bits: i64) -> Self {
        let known = Self::WORDS.iter().filter(|(part, _)| bits & part.bits() != 0);
        known.fold(Self::NOTHING, |all, (part, _)| all | *part)
    }
}

impl BitOr for Visible {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Visible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_nothing() {
            true => f.write_str("nothing"),
            false => f.write_str(&self.words().join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_reads_back_from_its_bits_and_its_words() {
        for bits in 0..16 {
            let set = Visible::of_bits(bits);
            assert_eq!(set.bits(), bits);
            let parts = set.words().into_iter().map(|word| Visible::parse(word).expect("known"));
            assert_eq!(parts.fold(Visible::NOTHING, |all, part| all | part), set);
        }
        assert_eq!(Visible::of_bits(16 | 8), Visible::HEATMAP);
        assert_eq!(Visible::parse("everything"), None);
        assert_eq!(Visible::NOTHING.to_string(), "nothing");
    }
}
