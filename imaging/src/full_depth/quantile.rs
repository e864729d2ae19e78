//! Windows from what a picture's samples span: for files that bring none, and beside those that they bring.

use super::{Curve, Origin, Samples, Window};

/// The shares of all pixels below the darkest and the brightest that are looked at: letters and borders lie beyond.
const LOW: f64 = 0.005;
const HIGH: f64 = 0.995;
/// Where the darker part ends and the brighter part begins. In a chest film a good third is lung and air.
const DARK_END: f64 = 0.55;
const BRIGHT_BEGIN: f64 = 0.35;

/// How often each sample of a picture occurs, without padding.
pub(crate) struct Spread {
    pub(crate) counts: Vec<u32>,
}

impl Spread {
    /// Of a picture of which so many pixels of sample 0 are padding.
    pub(crate) fn of(samples: &Samples, padding: u64) -> Self {
        let mut counts = samples.counts();
        counts[0] = u32::try_from(u64::from(counts[0]).saturating_sub(padding)).unwrap_or(0);
        Self { counts }
    }

    /// Its darker and its brighter part, and with `whole` all of it before them; what is flat has none.
    pub(crate) fn windows(&self, whole: bool) -> impl Iterator<Item = Window> {
        let parts = [
            (Origin::Spread, LOW, HIGH),
            (Origin::Dark, LOW, DARK_END),
            (Origin::Bright, BRIGHT_BEGIN, HIGH),
        ];
        let [spread, dark, bright] = parts.map(|(origin, from, to)| {
            let (black, white) = (self.quantile(from), self.quantile(to));
            let curve = Curve::Linear { black, white };
            (black < white).then_some(Window { origin, explanation: None, curve })
        });
        [spread.filter(|_| whole), dark, bright].into_iter().flatten()
    }

    /// The sample that this share of the pixels lies below.
    fn quantile(&self, share: f64) -> f32 {
        let total: u64 = self.counts.iter().map(|count| u64::from(*count)).sum();
        let mut left = (total as f64 * share) as u64;
        let found = self.counts.iter().position(|count| {
            let here = left < u64::from(*count);
            left = left.saturating_sub((*count).into());
            here
        });
        found.unwrap_or_default() as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_padding_and_borders_are_beyond_what_a_picture_spans() {
        let mut samples: Vec<u16> = (0..10_000).map(|n| 1_000 + n / 10).collect();
        samples.extend([0; 5_000]);
        samples.extend([u16::MAX; 20]);
        let windows: Vec<_> = Spread::of(&Samples::Sixteen(samples), 5_000).windows(true).collect();
        let ends = |window: &Window| match window.curve {
            Curve::Linear { black, white } => (window.origin, black, white),
            _ => panic!("{window:?}"),
        };
        let ends: Vec<_> = windows.iter().map(ends).collect();
        assert_eq!(ends[0], (Origin::Spread, 1_005.0, 1_996.0));
        assert_eq!((ends[1].1, ends[2].2), (1_005.0, 1_996.0));
        assert!(ends[2].1 < ends[1].2, "the parts overlap");
    }

    #[test]
    fn a_flat_picture_has_no_windows_of_its_own() {
        assert_eq!(Spread::of(&Samples::Eight(vec![7; 9]), 0).windows(true).count(), 0);
        assert_eq!(Spread::of(&Samples::Eight(vec![0; 9]), 9).windows(true).count(), 0);
    }
}
