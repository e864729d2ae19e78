//! How the probabilities of each class are spread.

use serde::{Deserialize, Serialize};

/// Bins between 0 and 1.
const BINS: usize = 20;

/// Pictures by their probability, in 20 bins of equal width from 0 to 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreHistogram {
    /// Those labelled normal.
    pub normal: Vec<u64>,
    /// Those labelled pneumonia.
    pub pneumonia: Vec<u64>,
}

impl ScoreHistogram {
    pub(super) fn of(probability: &[f64], positive: &[bool]) -> Self {
        let mut histogram = Self { normal: vec![0; BINS], pneumonia: vec![0; BINS] };
        for (probability, &positive) in probability.iter().zip(positive) {
            let bin = ((probability * BINS as f64) as usize).min(BINS - 1);
            let counts = if positive { &mut histogram.pneumonia } else { &mut histogram.normal };
            counts[bin] += 1;
        }
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_falls_into_its_bin_and_1_into_the_last() {
        let histogram = ScoreHistogram::of(&[0.0, 0.049, 0.05, 1.0], &[false, false, true, true]);
        assert_eq!(histogram.normal[0], 2);
        assert_eq!((histogram.pneumonia[1], histogram.pneumonia[19]), (1, 1));
        assert_eq!(histogram.pneumonia.iter().sum::<u64>(), 2);
    }
}
