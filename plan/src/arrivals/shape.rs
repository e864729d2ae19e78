//! Shapes of load for which nothing but a number of images is known.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Arrival, at};

/// Images in each hour of a hospital's day, in relation to one another. Assumed, not measured: a morning with the rounds'
/// images, an afternoon, a night of emergencies.
const DAY: [u32; 24] =
    [2, 2, 1, 1, 1, 2, 4, 8, 12, 14, 14, 13, 11, 11, 12, 12, 10, 8, 6, 5, 4, 4, 3, 2];
const HOUR: f64 = 3_600.0;

/// How images are spread over a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// One after the other at an even pace, as one upload sends them.
    Bulk {
        /// How long the upload takes.
        over: Duration,
    },
    /// Independently of one another: a Poisson process, given the number of images.
    Steady {
        /// For how long.
        over: Duration,
    },
    /// Over 24 hours, by the hours of a hospital's day.
    Day {
        /// The time of day at which the plan begins.
        begin: Duration,
    },
}

impl Shape {
    /// So many images, of which the share `stat`, 0..=1, is urgent.
    pub fn arrivals(&self, images: usize, stat: f64, seed: u64) -> Vec<Arrival> {
        let mut random = StdRng::seed_from_u64(seed);
        let seconds = match self {
            Shape::Bulk { over } => {
                let pace = over.as_secs_f64() / images.max(1) as f64;
                (0..images).map(|image| image as f64 * pace).collect()
            }
            Shape::Steady { over } => {
                (0..images).map(|_| random.random::<f64>() * over.as_secs_f64()).collect()
            }
            Shape::Day { begin } => (0..images).map(|_| in_day(*begin, &mut random)).collect(),
        };
        at(seconds, stat, &mut random)
    }
}

/// A moment of the 24 hours from `begin` on, in seconds after it.
fn in_day(begin: Duration, random: &mut StdRng) -> f64 {
    let mut place = random.random_range(0..DAY.iter().sum::<u32>());
    let mut hour = 0;
    while place >= DAY[hour] {
        place -= DAY[hour];
        hour += 1;
    }
    let time = (hour as f64 + random.random::<f64>()) * HOUR;
    (time - begin.as_secs_f64()).rem_euclid(24.0 * HOUR)
}

#[cfg(test)]
mod tests {
    use lobar_core::image::Lane;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_bulk_upload_has_an_even_pace() {
        let arrivals = Shape::Bulk { over: MINUTE }.arrivals(4, 0.0, 1);
        let seconds: Vec<_> = arrivals.iter().map(|arrival| arrival.at.0 / 1_000_000).collect();
        assert_eq!(seconds, [0, 15, 30, 45]);
    }

    #[test]
    fn every_shape_has_all_images_in_order_and_within_its_time() {
        let shapes = [
            (Shape::Bulk { over: MINUTE }, 60.0),
            (Shape::Steady { over: MINUTE }, 60.0),
            (Shape::Day { begin: 600 * MINUTE }, 24.0 * HOUR),
        ];
        for (shape, seconds) in shapes {
            let arrivals = shape.arrivals(5_000, 0.1, 7);
            assert_eq!(arrivals.len(), 5_000);
            assert!(arrivals.is_sorted_by_key(|arrival| arrival.at));
            let last = arrivals.last().map_or(0, |arrival| arrival.at.0) as f64 / 1e6;
            assert!((seconds * 0.9..=seconds).contains(&last), "{shape:?}: {last}");
            let stat = arrivals.iter().filter(|arrival| arrival.lane == Lane::Stat).count();
            assert!((400..600).contains(&stat), "{stat} urgent");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_images_and_another_one_others() {
        let shape = Shape::Day { begin: Duration::ZERO };
        assert_eq!(shape.arrivals(100, 0.5, 3), shape.arrivals(100, 0.5, 3));
        assert_ne!(shape.arrivals(100, 0.5, 3), shape.arrivals(100, 0.5, 4));
    }

    #[test]
    fn mornings_have_more_images_than_nights_whenever_the_plan_begins() {
        for begin in [0, 18] {
            let shape = Shape::Day { begin: Duration::from_secs(begin * 3_600) };
            let arrivals = shape.arrivals(10_000, 0.0, 1);
            let at = |hour: u64| {
                let hour = (hour + 24 - begin) % 24;
                arrivals.iter().filter(|it| it.at.0 as u64 / 3_600_000_000 == hour).count()
            };
            assert!(at(9) > 5 * at(3), "{} and {}", at(9), at(3));
        }
    }
}
