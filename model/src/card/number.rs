//! Figures as a reader wants them.

use serde::{Deserialize, Serialize};

/// A 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// 2.5 % of the draws lie below.
    pub low: f64,
    /// 2.5 % of the draws lie above.
    pub high: f64,
}

/// `0.978`, or a dash where there is none.
#[must_use]
pub fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"))
}

/// `0.978 (0.966 to 0.987)`.
#[must_use]
pub fn with_interval(value: Option<f64>, interval: Option<Interval>) -> String {
    match interval {
        Some(interval) => format!("{} ({})", figure(value), range(interval)),
        None => figure(value),
    }
}

/// `0.966 to 0.987`.
#[must_use]
pub fn range(Interval { low, high }: Interval) -> String {
    format!("{low:.3} to {high:.3}")
}

/// `98.2 %`.
#[must_use]
pub fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{:.1} %", value * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_a_person_writes_them() {
        let interval = Some(Interval { low: 0.9655, high: 0.98651 });
        assert_eq!(with_interval(Some(0.97751), interval), "0.978 (0.966 to 0.987)");
        assert_eq!(with_interval(None, None), "–");
        assert_eq!(percent(Some(0.98205)), "98.2 %");
    }
}
