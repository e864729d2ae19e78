//! Cross-validation: what a calibration comes to on patients that it was not fitted on.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::cases::{Cases, Said};
use super::fit::Fitted;

/// Parts that patients are dealt to.
pub(super) const FOLDS: usize = 5;

/// The part of each case: patients are shuffled and dealt out, the ill and the others apart, so that each part has its share of
/// either. The same patients give the same parts.
pub(super) fn of(patients: &[String], is_pneumonia: &[bool]) -> Vec<usize> {
    let mut ill: BTreeMap<&str, bool> = BTreeMap::new();
    for (patient, is) in patients.iter().zip(is_pneumonia) {
        *ill.entry(patient).or_default() |= is;
    }
    let mut random = StdRng::seed_from_u64(0);
    let mut part: BTreeMap<&str, usize> = BTreeMap::new();
    for kind in [true, false] {
        let mut of_kind: Vec<&str> =
            ill.iter().filter(|(_, is)| **is == kind).map(|(patient, _)| *patient).collect();
        of_kind.shuffle(&mut random);
        part.extend(of_kind.into_iter().zip((0..FOLDS).cycle()));
    }
    patients.iter().map(|patient| part[patient.as_str()]).collect()
}

/// Every case by what was fitted on the other parts; `None` where one of those fits is not possible.
pub(super) fn answers(cases: &Cases, folds: &[usize], sensitivity: f64) -> Option<Said> {
    let number = cases.logit.len();
    let mut said = Said { probability: vec![0.0; number], flagged: vec![false; number] };
    for fold in 0..FOLDS {
        let others: Vec<usize> = (0..number).filter(|&n| folds[n] != fold).collect();
        let (logits, truth) = cases.chosen(&others);
        let fitted = Fitted::on(&logits, &truth, sensitivity)?;
        for n in (0..number).filter(|&n| folds[n] == fold) {
            said.probability[n] = fitted.calibration.probability(cases.logit[n]);
            said.flagged[n] = said.probability[n] >= fitted.threshold;
        }
    }
    Some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_in_two_parts_and_each_has_its_share_of_the_ill() {
        // 50 ill patients with two images each, 100 others with one.
        let patients: Vec<String> = (0..200)
            .map(|n| if n < 100 { format!("p{}", n / 2) } else { format!("n{n}") })
            .collect();
        let ill: Vec<bool> = (0..200).map(|n| n < 100).collect();
        let folds = of(&patients, &ill);
        for fold in 0..FOLDS {
            let of_fold = |is: bool| (0..200).filter(|&n| folds[n] == fold && ill[n] == is).count();
            assert_eq!((of_fold(true), of_fold(false)), (20, 20));
        }
        assert!((0..100).step_by(2).all(|n| folds[n] == folds[n + 1]));
        assert_eq!(folds, of(&patients, &ill), "the same patients give the same parts");
    }
}
