//! How many cases are enough. Patients are counted, not images: those of one patient are alike.

use super::cases::Cases;
use super::{CalibrateError, CalibrateOptions};

/// Patients of either kind that are needed. With 60 ill patients the 95 % interval of a sensitivity of 95 % is 6 points to either
/// side (Wilson 1927: half of it is `z √(p(1−p)/n + z²/4n²) / (1 + z²/n)`, with z = 1.96); with 60 others that of a specificity
/// of 85 % is 9 points.
pub const FEWEST_PATIENTS: usize = 60;

/// Of the ill patients, so many must be those that the threshold may miss: with fewer than 3 / (1 − sensitivity) a share of misses of
/// 1 − sensitivity cannot be told from none at all (the rule of three: Hanley and Lippman-Hand 1983,
/// <https://doi.org/10.1001/jama.1983.03330370053031>).
pub const FEWEST_MISSED: f64 = 3.0;

/// Patients with pneumonia that a sensitivity needs.
fn ill_needed(sensitivity: f64) -> usize {
    // A share that is written with a few digits is no exact number: 0.05 lies above 1 − 0.95 by a rounding.
    let missed = (FEWEST_MISSED / (1.0 - sensitivity) - 1e-9).ceil() as usize;
    missed.max(FEWEST_PATIENTS)
}

/// Refuses cases that are too few.
pub(super) fn check(cases: &Cases, options: &CalibrateOptions) -> Result<(), CalibrateError> {
    let (ill, others) = (cases.patients_with(true), cases.patients_with(false));
    let sensitivity = options.sensitivity;
    let (ill_needed, others_needed) = (ill_needed(sensitivity), FEWEST_PATIENTS);
    if ill >= ill_needed && others >= others_needed {
        return Ok(());
    }
    let site = options.site.clone();
    Err(CalibrateError::TooFew { site, ill, others, sensitivity, ill_needed, others_needed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_sensitivity_needs_more_patients_with_pneumonia() {
        for (sensitivity, needed) in [(0.8, 60), (0.95, 60), (0.96, 75), (0.98, 150), (0.99, 300)] {
            assert_eq!(ill_needed(sensitivity), needed, "{sensitivity}");
        }
    }

    #[test]
    fn sixty_patients_know_a_sensitivity_of_95_percent_within_six_points() {
        let half = |share: f64, n: f64| {
            let z = 1.96_f64;
            let root = (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
            z * root / (1.0 + z * z / n)
        };
        assert!(half(0.95, 60.0) <= 0.06 && half(0.95, 58.0) > 0.06);
        assert!((half(0.85, 60.0) - 0.09).abs() < 0.001);
    }
}
