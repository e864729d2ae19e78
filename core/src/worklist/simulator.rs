//! A reading room in miniature: images arrive as in a hospital's day, readers take the first of the list, minute by minute.
//! What the cap does to the longest wait is in its figures: `cargo test -p lobar-core worklist -- --nocapture`.

use super::urgency::{Rank, Urgency, Waiting};
use crate::image::{Lane, State};
use crate::time::Stamp;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// Simulated days; the first is left out of the figures, since it begins with an empty list.
const DAYS: usize = 60;
/// What [`Order::Capped`] is tried with: the default of the setting.
const CAP: Duration = Duration::from_secs(8 * 3600);

/// Numbers that look like chance and are the same everywhere (SplitMix64, Steele et al. 2014).
struct Chance(u64);

impl Chance {
    fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64
    }

    fn is(&mut self, share: f64) -> bool {
        self.draw() < share
    }
}

/// How a list is ordered.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    /// By time alone, as without a network.
    OldestFirst,
    /// What the network flagged first, with no cap.
    Flagged,
    /// The same, with a cap.
    Capped(Duration),
}

impl Order {
    fn rank(self, now: Stamp, image: &Waiting) -> Rank {
        match self {
            Self::OldestFirst => Rank::Rest,
            Self::Flagged => Urgency::at(now, Duration::MAX, true).rank(image),
            Self::Capped(cap) => Urgency::at(now, cap, true).rank(image),
        }
    }
}

/// An image with what is true of it.
#[derive(Clone, Copy)]
struct Film {
    image: Waiting,
    ill: bool,
}

/// Waits in minutes.
#[derive(Debug, Default)]
struct Waits {
    ill: Vec<u64>,
    well: Vec<u64>,
}

impl Waits {
    fn mean(of: &[u64]) -> f64 {
        of.iter().sum::<u64>() as f64 / of.len() as f64
    }

    fn longest(&self) -> u64 {
        self.ill.iter().chain(&self.well).copied().max().expect("something was read")
    }
}

/// How many images arrive in a minute of the day, on average: most by day, a few by night.
fn arrivals(minute: usize) -> f64 {
    match minute % 1_440 / 60 {
        7..17 => 0.22,
        17..22 => 0.10,
        _ => 0.05,
    }
}

/// Whether somebody reads in that minute: one reader from 7 to 19 o'clock.
fn is_staffed(minute: usize) -> bool {
    (7..19).contains(&(minute % 1_440 / 60))
}

/// Reads the same films in an order. A tenth shows pneumonia; the network has a sensitivity of 0.9, a specificity of 0.85,
/// and cannot assess one film in fifty. A film takes three or four minutes.
fn run(order: Order, seed: u64) -> Waits {
    let (mut come, mut pace) = (Chance(seed), Chance(seed ^ 0xff));
    let (mut list, mut waits): (Vec<Film>, Waits) = Default::default();
    let mut busy_until = 0;
    for minute in 0..DAYS * 1_440 {
        let now = Stamp(0).plus(MINUTE * u32::try_from(minute).expect("a few months"));
        if come.is(arrivals(minute)) {
            let (ill, assessed) = (come.is(0.1), !come.is(0.02));
            let flagged = come.is(if ill { 0.9 } else { 0.15 });
            let state = if assessed { State::Ready } else { State::NeedsHuman };
            let flagged = assessed.then_some(flagged);
            let image = Waiting { lane: Lane::Routine, state, flagged, received_at: now };
            list.push(Film { image, ill });
        }
        if !is_staffed(minute) || minute < busy_until {
            continue;
        }
        let first = (0..list.len()).min_by_key(|place| {
            let image = &list[*place].image;
            (order.rank(now, image), image.received_at)
        });
        let Some(first) = first else { continue };
        let film = list.remove(first);
        busy_until = minute + if pace.is(0.5) { 3 } else { 4 };
        if minute >= 1_440 {
            let waited = now.since(film.image.received_at).as_secs() / 60;
            let of = if film.ill { &mut waits.ill } else { &mut waits.well };
            of.push(waited);
        }
    }
    waits
}

/// Each order on the same films, with the figures on the standard output.
#[allow(clippy::print_stdout, reason = "figures are to be read")]
fn compare(seed: u64, cap: Duration) -> [Waits; 3] {
    let orders = [Order::OldestFirst, Order::Flagged, Order::Capped(cap)];
    orders.map(|order| {
        let waits = run(order, seed);
        println!(
            "seed {seed}, {order:?}: ill {:.0} min, well {:.0} min on average, longest {} min",
            Waits::mean(&waits.ill),
            Waits::mean(&waits.well),
            waits.longest()
        );
        waits
    })
}

#[test]
fn the_cap_bounds_the_longest_wait_and_the_ill_still_wait_less() {
    for seed in 1..=5 {
        let [oldest, flagged, capped] = compare(seed, CAP);
        let read = |waits: &Waits| waits.ill.len() + waits.well.len();
        assert_eq!([read(&flagged), read(&capped)], [read(&oldest); 2], "the same films");
        assert!(flagged.longest() > oldest.longest(), "without a cap the longest wait grows");
        assert!(capped.longest() < flagged.longest(), "the cap takes that back");
        assert!(capped.longest() <= oldest.longest() + 60, "to within an hour of what it was");
        let mean = |waits: &Waits| Waits::mean(&waits.ill);
        assert!(mean(&capped) < 0.85 * mean(&oldest), "the ill wait less than without a network");
    }
}
