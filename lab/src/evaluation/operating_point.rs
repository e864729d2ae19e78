//! The threshold at which a model speaks.

/// Share of pneumonia that a threshold must flag, over the validation images as they are and their altered copies
/// ([`crate::stress::POOL`]) together.
pub const WANTED_SENSITIVITY: f64 = 0.96;

/// The highest threshold, and so the one of highest specificity, that still flags the share
/// `sensitivity` of the positives. It lies midway between the last probability that is flagged and
/// the next lower one, so that rounding in another batch does not decide. `None` without positives.
#[must_use]
pub fn choose_threshold(probability: &[f64], positive: &[bool], sensitivity: f64) -> Option<f64> {
    let mut positives: Vec<f64> = probability
        .iter()
        .zip(positive)
        .filter(|(_, positive)| **positive)
        .map(|(probability, _)| *probability)
        .collect();
    positives.sort_by(|a, b| b.total_cmp(a));
    let needed = (sensitivity * positives.len() as f64).ceil() as usize;
    let last = *positives.get(needed.max(1) - 1)?;
    let below =
        probability.iter().copied().filter(|probability| *probability < last).fold(0.0, f64::max);
    Some((last + below) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Confusion;

    #[test]
    fn the_threshold_is_the_highest_that_keeps_the_sensitivity() {
        let probability = [0.9, 0.8, 0.7, 0.6, 0.5, 0.1];
        let positive = [true, true, false, true, false, true];
        let threshold = choose_threshold(&probability, &positive, 0.75).unwrap();
        assert!((threshold - 0.55).abs() < 1e-12);
        let counts = Confusion::at(threshold, &probability, &positive);
        assert_eq!(counts.sensitivity(), Some(0.75));
        assert_eq!(counts.specificity(), Some(0.5));
    }

    #[test]
    fn without_positives_there_is_no_threshold() {
        assert_eq!(choose_threshold(&[0.5], &[false], 0.95), None);
    }
}
