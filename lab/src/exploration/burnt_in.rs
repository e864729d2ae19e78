//! Text in the films' corners, against labels and splits.

use serde::Serialize;

use super::PictureRecord;
use crate::dataset::{Class, Corner, Split};

/// Films with text in one corner, in one split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BurntIn {
    /// The corner.
    pub corner: Corner,
    /// The split.
    pub split: Split,
    /// Films labelled normal that have text there.
    pub normal: u64,
    /// All films labelled normal.
    pub of_normal: u64,
    /// Films labelled pneumonia that have text there.
    pub pneumonia: u64,
    /// All films labelled pneumonia.
    pub of_pneumonia: u64,
}

impl BurntIn {
    /// How many times more often the ill have text there than the normal: the ratio of the odds, with half a film
    /// added to every count (Haldane 1956), so that none is no division by nothing.
    #[must_use]
    pub fn odds_ratio(&self) -> f64 {
        let odds = |with: u64, all: u64| (with as f64 + 0.5) / ((all - with) as f64 + 0.5);
        odds(self.pneumonia, self.of_pneumonia) / odds(self.normal, self.of_normal)
    }
}

/// Each corner that has text anywhere, in each split.
pub(super) fn burnt_in(records: &[PictureRecord]) -> Vec<BurntIn> {
    let mut all = Vec::new();
    for corner in Corner::ALL {
        if !records.iter().any(|it| it.text.contains(&corner)) {
            continue;
        }
        for split in Split::ALL {
            let count = |class: Class, with: bool| {
                let of = records.iter().filter(|it| it.split == split && it.class == class);
                of.filter(|it| !with || it.text.contains(&corner)).count() as u64
            };
            let found = BurntIn {
                corner,
                split,
                normal: count(Class::Normal, true),
                of_normal: count(Class::Normal, false),
                pneumonia: count(Class::Pneumonia, true),
                of_pneumonia: count(Class::Pneumonia, false),
            };
            if found.of_normal + found.of_pneumonia > 0 {
                all.push(found);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::duplicates::tests::record;
    use super::*;

    #[test]
    fn text_that_the_ill_have_more_often_has_an_odds_ratio_above_one() {
        let mut records: Vec<PictureRecord> = (0..8)
            .map(|n| record(n, if n < 4 { Class::Normal } else { Class::Pneumonia }, Split::Train))
            .collect();
        for at in [0, 4, 5, 6] {
            records[at].text = vec![Corner::LowerRight];
        }
        let found = burnt_in(&records);
        assert_eq!(found.len(), 1);
        let train = found[0];
        assert_eq!(
            (train.normal, train.of_normal, train.pneumonia, train.of_pneumonia),
            (1, 4, 3, 4)
        );
        // (3.5 / 1.5) / (1.5 / 3.5) = 5.44
        assert!((train.odds_ratio() - 49.0 / 9.0).abs() < 1e-9);
    }
}
