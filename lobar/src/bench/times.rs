//! When images were finished, and what is said of many such times.

use std::time::Duration;

use lobar_core::failure::PortError;
use lobar_core::image::Image;
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;

use super::system::System;
use crate::failure::{Failure, chain};

/// Waits for the result of an image.
pub(super) async fn until_finished(system: &System, id: ImageId) -> Result<Image, Failure> {
    let failed = |e: PortError| Failure::failed(chain(&e));
    loop {
        match system.ports.store.image(id).await.map_err(failed)? {
            Some(image) if image.finished_at.is_some() => return Ok(image),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Between two moments.
pub(super) fn seconds(from: Stamp, to: Stamp) -> f64 {
    (to.0 - from.0) as f64 / 1e6
}

/// The values in order.
pub(super) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The smallest value that so many of a hundred do not exceed, of values in order.
pub(super) fn percentile(values: &[f64], percent: usize) -> f64 {
    let place = (values.len() * percent).div_ceil(100).max(1) - 1;
    values.get(place).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!((percentile(&values, 50), percentile(&values, 99)), (100.0, 198.0));
        assert_eq!((percentile(&[7.0], 50), percentile(&[7.0], 99)), (7.0, 7.0));
        assert!(percentile(&[], 50).is_nan());
    }
}
