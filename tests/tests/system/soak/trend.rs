//! Whether a figure stays as it is, told from samples that are noisy.

/// The middle of the values; the lower one of two.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}

/// The slope a sample by Theil and Sen: the median of the slopes between all pairs. Up to a quarter of the samples
/// may be anything without moving it far.
fn slope(values: &[f64]) -> f64 {
    let mut slopes = Vec::with_capacity(values.len() * values.len() / 2);
    for (left, first) in values.iter().enumerate() {
        for (right, second) in values.iter().enumerate().skip(left + 1) {
            slopes.push((second - first) / (right - left) as f64);
        }
    }
    median(slopes)
}

/// How a figure went on in the second half of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trend {
    /// The first half's median.
    pub(super) first: f64,
    /// The second half's median.
    pub(super) second: f64,
    /// By how much it rose from the beginning of the second half to its end, without the noise.
    pub(super) rise: f64,
}

impl Trend {
    /// Of four samples or more, taken at equal distances.
    pub(super) fn of(values: &[f64]) -> Self {
        let (first, second) = values.split_at(values.len() / 2);
        let rise = slope(second) * (second.len() - 1) as f64;
        Self { first: median(first.to_vec()), second: median(second.to_vec()), rise }
    }

    /// Whether neither the second half lies above the first, nor it rises, by more than `most`.
    pub(super) fn does_not_rise(&self, most: f64) -> bool {
        self.second - self.first <= most && self.rise <= most
    }

    /// Whether neither the second half lies below the first, nor it falls, by more than `most`.
    pub(super) fn does_not_fall(&self, most: f64) -> bool {
        self.first - self.second <= most && -self.rise <= most
    }
}

/// 240 samples around 500 that rise by `rise` over all, with noise of 20 and every ninth one far off.
#[cfg(test)]
fn samples(rise: f64) -> Vec<f64> {
    let noise = |n: usize| ((n * 7919) % 41) as f64 - 20.0;
    let spike = |n: usize| if n.is_multiple_of(9) { 400.0 } else { 0.0 };
    (0..240).map(|n| 500.0 + noise(n) + spike(n) + rise * n as f64 / 240.0).collect()
}

#[test]
fn noise_and_spikes_are_no_trend() {
    let trend = Trend::of(&samples(0.0));
    assert!(trend.does_not_rise(25.0) && trend.does_not_fall(25.0), "{trend:?}");
}

#[test]
fn what_leaks_all_the_time_is_told_of() {
    let trend = Trend::of(&samples(100.0));
    assert!(!trend.does_not_rise(25.0), "{trend:?}");
    assert!(trend.does_not_fall(25.0), "{trend:?}");
}

#[test]
fn what_gets_slower_is_told_of() {
    let trend = Trend::of(&samples(-100.0));
    assert!(!trend.does_not_fall(25.0), "{trend:?}");
}

#[test]
fn a_leak_that_begins_in_the_second_half_is_told_of() {
    let mut values = samples(0.0);
    for (n, value) in values.iter_mut().enumerate().skip(120) {
        *value += (n - 120) as f64 / 2.0;
    }
    let trend = Trend::of(&values);
    assert!(!trend.does_not_rise(25.0), "{trend:?}");
}
