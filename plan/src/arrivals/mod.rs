//! When images arrive, and in which lane.

mod profile;
mod shape;

use std::time::Duration;

use lobar_core::image::Lane;
use lobar_core::time::Stamp;
use rand::Rng;
use rand::rngs::StdRng;

pub use profile::{Profile, ProfileError};
pub use shape::Shape;

/// An image arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// When, from the beginning of the plan.
    pub at: Stamp,
    /// How urgent it is.
    pub lane: Lane,
}

/// What is known of a past time, moved to the beginning of the plan.
pub fn trace(mut known: Vec<Arrival>) -> Vec<Arrival> {
    known.sort_unstable();
    let first = known.first().map_or(0, |arrival| arrival.at.0);
    known.iter_mut().for_each(|arrival| arrival.at.0 -= first);
    known
}

/// One image at each of `seconds`; `stat`, 0..=1, is the share of urgent ones.
fn at(mut seconds: Vec<f64>, stat: f64, random: &mut StdRng) -> Vec<Arrival> {
    seconds.sort_unstable_by(f64::total_cmp);
    let arrival = |seconds: f64| {
        let lane = if random.random_bool(stat) { Lane::Stat } else { Lane::Routine };
        Arrival { at: Stamp(0).plus(Duration::from_secs_f64(seconds)), lane }
    };
    seconds.into_iter().map(arrival).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_begins_with_its_first_image_and_is_in_order() {
        let of = |at, lane| Arrival { at: Stamp(at), lane };
        let known = vec![of(90, Lane::Routine), of(70, Lane::Stat), of(80, Lane::Routine)];
        let moved = trace(known);
        assert_eq!(moved, [of(0, Lane::Stat), of(10, Lane::Routine), of(20, Lane::Routine)]);
        assert_eq!(trace(Vec::new()), []);
    }
}
