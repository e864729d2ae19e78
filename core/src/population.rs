//! Whom a model was trained on, by age, and what becomes of an image of somebody else
//! (`docs/adr/0037`). A property of each model: its card states it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::study::AgeTold;

/// The warning of a result on an image that says whose it is, but not how old they were.
pub const AGE_UNKNOWN: &str = "age_unknown";

/// Ages at the study, in completed years: 1 to 5 ends on the day before the sixth birthday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ages {
    /// The youngest.
    pub from: u32,
    /// The oldest; not below `from`.
    pub to: u32,
}

impl Ages {
    /// The ages in a sentence on a population: `… aged 1 to 5 …`, in years. `None` where it names none.
    pub fn in_words(population: &str) -> Option<Self> {
        let words: Vec<&str> = population.split_whitespace().collect();
        let found = (0..words.len()).find_map(|at| {
            let number = |word: &str| {
                let word = word.trim_end_matches([',', '.', ';', ':', ')']);
                Some(word).filter(|word| word.len() <= 3)?.parse().ok()
            };
            let ["aged", from, "to", to, rest @ ..] = words.get(at..)? else { return None };
            let in_years = rest.first().is_none_or(|unit| {
                !["month", "week", "day"].iter().any(|other| unit.starts_with(other))
            });
            in_years.then_some(Self { from: number(from)?, to: number(to)? })
        });
        found.filter(|ages| ages.from <= ages.to)
    }

    fn contain(self, years: u32) -> bool {
        (self.from..=self.to).contains(&years)
    }
}

impl fmt::Display for Ages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} years", self.from, self.to)
    }
}

/// A model's population.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Population {
    /// The ages that it was trained on; `None` where its card names none: then nobody is known to be outside.
    pub ages: Option<Ages>,
}

/// Where a patient stands to a population.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is known against them.
    Inside,
    /// An age that the image tells is outside.
    Outside(Ages),
    /// The image says whose it is, but not how old they were.
    Unknown,
}

impl Population {
    /// Where a patient stands. Of two ages that contradict each other, one outside is enough.
    pub fn standing(&self, told: &AgeTold) -> Standing {
        match (self.ages, told) {
            (None, _) | (_, AgeTold::Nothing) => Standing::Inside,
            (_, AgeTold::Unknown) => Standing::Unknown,
            (Some(ages), AgeTold::Years(years)) => {
                match years.iter().all(|years| ages.contain(*years)) {
                    true => Standing::Inside,
                    false => Standing::Outside(ages),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_found_in_the_sentence_on_a_population() {
        let ages = |from, to| Some(Ages { from, to });
        assert_eq!(Ages::in_words("Children aged 1 to 5 of one centre (G), frontal."), ages(1, 5));
        assert_eq!(Ages::in_words("Adults, aged 18 to 90."), ages(18, 90));
        for none in [
            "Not stated.",
            "aged 5 to 1",
            "aged 1 to 24 months.",
            "aged one to five",
            "aged 1 to",
            "aged +1 to 9999",
        ] {
            assert_eq!(Ages::in_words(none), None, "{none}");
        }
    }

    #[test]
    fn one_age_outside_is_enough_and_without_ages_of_the_model_nobody_is_outside() {
        let population = Population { ages: Ages::in_words("aged 1 to 5") };
        let years = |years: &[u32]| population.standing(&AgeTold::Years(years.to_vec()));
        let outside = Standing::Outside(Ages { from: 1, to: 5 });
        assert_eq!([1, 5].map(|age| years(&[age])), [Standing::Inside; 2]);
        assert_eq!([0, 6, 62].map(|age| years(&[age])), [outside; 3]);
        assert_eq!((years(&[3, 62]), years(&[62, 3])), (outside, outside));
        assert_eq!(population.standing(&AgeTold::Unknown), Standing::Unknown);
        assert_eq!(population.standing(&AgeTold::Nothing), Standing::Inside);
        let any = Population::default();
        for told in [AgeTold::Unknown, AgeTold::Years(vec![62])] {
            assert_eq!(any.standing(&told), Standing::Inside);
        }
    }
}
