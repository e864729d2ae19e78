//! Single numbers of a picture that know nothing of lungs, and how far they separate classes and splits.

use serde::Serialize;

use super::PictureRecord;
use crate::dataset::{Class, Split};
use crate::evaluation::roc_auc;

type Measure = fn(&PictureRecord) -> Option<f64>;

/// What is measured, in the words of the page.
const MEASURES: [(&str, Measure); 6] = [
    ("height of the original", |it| it.original_size.map(|(_, height)| f64::from(height))),
    ("aspect ratio of the original", |it| {
        it.original_size.map(|(width, height)| f64::from(width) / f64::from(height.max(1)))
    }),
    ("bytes of the file", |it| Some(it.bytes as f64)),
    ("brightness", |it| Some(it.brightness)),
    ("contrast", |it| Some(it.contrast)),
    ("sharpness", |it| Some(it.sharpness)),
];

/// One number over the whole folder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SingleNumber {
    /// What it is.
    pub name: &'static str,
    /// Pictures of which it is known.
    pub known: u64,
    /// AUC of pneumonia against normal by this number alone, either way round; `None` unless both
    /// classes have it.
    pub auc: Option<f64>,
    /// AUC of the training folder against the test folder within one class, either way round, the
    /// larger of both classes: how far the splits differ.
    pub shift_auc: Option<f64>,
    /// How it is spread.
    pub spread: Vec<ClassSpread>,
}

/// A number within one split and class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassSpread {
    /// The split.
    pub split: Split,
    /// The class.
    pub class: Class,
    /// Pictures of which it is known; at least one.
    pub known: u64,
    /// Where they lie.
    pub spread: Spread,
}

/// Where values lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// A twentieth lies below.
    pub low: f64,
    /// Half lies below.
    pub median: f64,
    /// A twentieth lies above.
    pub high: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |share: f64| values[(last as f64 * share).round() as usize];
        Some(Self { low: at(0.05), median: at(0.5), high: at(0.95) })
    }
}

/// All of them.
pub(super) fn numbers(records: &[PictureRecord]) -> Vec<SingleNumber> {
    MEASURES.iter().map(|(name, measure)| number(name, *measure, records)).collect()
}

fn number(name: &'static str, measure: Measure, records: &[PictureRecord]) -> SingleNumber {
    let known: Vec<(&PictureRecord, f64)> =
        records.iter().filter_map(|it| Some((it, measure(it)?))).collect();
    let shift = |class: Class| {
        let of_class = known.iter().filter(|(it, _)| it.class == class && it.split != Split::Val);
        separation(of_class.map(|(it, value)| (*value, it.split == Split::Test)))
    };
    let mut spread = Vec::new();
    for split in Split::ALL {
        for class in Class::ALL {
            let of = known.iter().filter(|(it, _)| it.split == split && it.class == class);
            let values: Vec<f64> = of.map(|(_, value)| *value).collect();
            let known = values.len() as u64;
            let found = Spread::of(values);
            spread.extend(found.map(|spread| ClassSpread { split, class, known, spread }));
        }
    }
    SingleNumber {
        name,
        known: known.len() as u64,
        auc: separation(known.iter().map(|(it, value)| (*value, it.class == Class::Pneumonia))),
        shift_auc: Class::ALL.into_iter().filter_map(shift).reduce(f64::max),
        spread,
    }
}

/// AUC either way round.
fn separation(values: impl Iterator<Item = (f64, bool)>) -> Option<f64> {
    let (values, positive): (Vec<f64>, Vec<bool>) = values.unzip();
    roc_auc(&values, &positive).map(|auc| auc.max(1.0 - auc))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exploration::duplicates::tests::record;

    #[test]
    fn a_number_that_separates_classes_or_splits_is_seen_either_way_round() {
        let mut records: Vec<PictureRecord> = (0..8)
            .map(|at| {
                let split = if at < 6 { Split::Train } else { Split::Test };
                record(at, Class::ALL[at % 2], split)
            })
            .collect();
        for (at, record) in records.iter_mut().enumerate() {
            record.brightness = if record.split == Split::Test { 10.0 } else { 90.0 + at as f64 };
            let height = if record.class == Class::Normal { 900 } else { 400 };
            record.original_size = (at != 3).then_some((1200, height));
        }
        let numbers = numbers(&records);
        let of = |name: &str| numbers.iter().find(|it| it.name.starts_with(name)).unwrap();
        assert_eq!((of("height").known, of("height").auc), (7, Some(1.0)));
        assert_eq!(of("brightness").shift_auc, Some(1.0));
        assert_eq!(of("sharpness").auc, Some(0.5));
        let first = &of("height").spread[0];
        assert_eq!((first.split, first.class, first.known), (Split::Train, Class::Normal, 3));
        assert_eq!(first.spread, Spread { low: 900.0, median: 900.0, high: 900.0 });
    }

    #[test]
    fn a_spread_is_of_something() {
        assert_eq!(Spread::of(vec![]), None);
        let spread = Spread::of((0..=100).map(f64::from).collect());
        assert_eq!(spread, Some(Spread { low: 5.0, median: 50.0, high: 95.0 }));
    }
}
