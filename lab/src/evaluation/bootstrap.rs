//! How far a figure could be off by chance: patients drawn again with replacement. Drawing pictures
//! instead would call intervals too narrow, since pictures of one patient are alike.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::Interval;

/// Draws. More would change the third digit of an interval.
const DRAWS: usize = 1000;

/// Intervals of the figures that `measure` takes of a choice of pictures (indices, with repeats).
/// A figure that most draws could not give has none. The same pictures give the same intervals.
pub(crate) fn intervals<const N: usize>(
    patients: &[String],
    measure: impl Fn(&[usize]) -> [Option<f64>; N],
) -> [Option<Interval>; N] {
    let mut by_patient: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, patient) in patients.iter().enumerate() {
        by_patient.entry(patient).or_default().push(index);
    }
    let groups: Vec<&Vec<usize>> = by_patient.values().collect();
    let mut random = StdRng::seed_from_u64(0);
    let mut drawn: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(DRAWS));
    for _ in 0..if groups.is_empty() { 0 } else { DRAWS } {
        let choice: Vec<usize> = (0..groups.len())
            .flat_map(|_| groups[random.random_range(0..groups.len())].iter().copied())
            .collect();
        for (values, value) in drawn.iter_mut().zip(measure(&choice)) {
            values.extend(value);
        }
    }
    drawn.map(|mut values| {
        values.sort_by(f64::total_cmp);
        (values.len() > DRAWS / 2).then(|| {
            let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
            Interval { low: at(0.025), high: at(0.975) }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_holds_the_mean_and_widens_when_pictures_belong_together() {
        let values: Vec<f64> = (0..200).map(|index| f64::from(u8::from(index % 4 < 2))).collect();
        let mean = |choice: &[usize]| {
            [Some(choice.iter().map(|&index| values[index]).sum::<f64>() / choice.len() as f64)]
        };
        let alone: Vec<String> = (0..200).map(|index| index.to_string()).collect();
        // Pairs of equal values: half as many patients.
        let paired: Vec<String> = (0..200).map(|index| (index / 2).to_string()).collect();
        let [one] = intervals(&alone, mean);
        let [two] = intervals(&paired, mean);
        let (one, two) = (one.unwrap(), two.unwrap());
        assert!(one.low < 0.5 && one.high > 0.5);
        // 1.96 × sqrt(0.25 / 200) = 0.069, and sqrt 2 times that for pairs.
        assert!(((one.high - one.low) / 2.0 - 0.069).abs() < 0.012);
        assert!(((two.high - two.low) / 2.0 - 0.098).abs() < 0.016);
    }

    #[test]
    fn a_figure_that_cannot_be_taken_has_no_interval() {
        assert_eq!(intervals(&["a".to_owned()], |_| [None]), [None]);
        assert_eq!(intervals(&[], |_| [Some(1.0)]), [None]);
    }
}
