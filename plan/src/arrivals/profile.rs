//! A profile of load: so many images from one time to the next, as a table of comma-separated values.
//!
//! ```text
//! time,images,stat
//! 22:00,200,10
//! 23:00,5000
//! 00:00,40
//! ```
//!
//! The time is one of the day, or in seconds from the beginning. A row lasts until the next one, the last as long as the one
//! before it. The third column, which may be missing, says how many of the images are urgent. A first line of words
//! and lines that begin with `#` are passed over.

use lobar_core::image::Lane;
use lobar_core::time::Stamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use thiserror::Error;

use super::Arrival;

/// Seconds of a day.
const DAY: u64 = 86_400;
/// Most images of a profile: each is simulated.
const MOST: u64 = 20_000_000;

/// So many images from one time to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile(Vec<Row>);

/// Seconds from the beginning, and images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    from: u64,
    images: u64,
    stat: u64,
}

/// What is wrong with a profile.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProfileError {
    /// A line that is no row.
    #[error("line {0} is not `time,images` or `time,images,stat`, such as 22:30,500,20")]
    Row(usize),
    /// Rows must be in order.
    #[error("line {0} does not come after the one before it")]
    Order(usize),
    /// One row does not say how long it lasts.
    #[error("fewer than two rows: a row lasts until the next one")]
    Short,
    /// More than can be simulated.
    #[error("more than {MOST} images")]
    Many,
}

impl Profile {
    /// Reads a table. Times of the day that go back are of the next day.
    ///
    /// # Errors
    /// Names the line that is wrong.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let mut rows: Vec<Row> = Vec::new();
        let mut begin = None;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            let heading = rows.is_empty() && line.starts_with(|c: char| c.is_ascii_alphabetic());
            if line.is_empty() || line.starts_with('#') || heading {
                continue;
            }
            let (time, images, stat) = row(line).ok_or(ProfileError::Row(number + 1))?;
            let from = match time {
                Time::OfDay(time) => {
                    let begin = *begin.get_or_insert(time);
                    let last = rows.last().map_or(0, |row| row.from);
                    // The next such time that is not before the last row.
                    last + (DAY + time - (begin + last) % DAY) % DAY
                }
                Time::Seconds(seconds) => seconds,
            };
            if rows.last().is_some_and(|last| last.from >= from) {
                return Err(ProfileError::Order(number + 1));
            }
            rows.push(Row { from, images, stat });
        }
        if rows.len() < 2 {
            return Err(ProfileError::Short);
        }
        let images = rows.iter().try_fold(0_u64, |sum, row| sum.checked_add(row.images));
        images.filter(|images| *images <= MOST).ok_or(ProfileError::Many)?;
        Ok(Self(rows))
    }

    /// The images of each row, at random times within it.
    pub fn arrivals(&self, seed: u64) -> Vec<Arrival> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut arrivals = Vec::new();
        for (number, row) in self.0.iter().enumerate() {
            let next = self.0.get(number + 1).map(|next| next.from - row.from);
            let before = || row.from - self.0[number - 1].from;
            let micros = next.unwrap_or_else(before) as i64 * 1_000_000;
            arrivals.extend((0..row.images).map(|image| {
                let at = Stamp(row.from as i64 * 1_000_000 + random.random_range(0..micros));
                let lane = if image < row.stat { Lane::Stat } else { Lane::Routine };
                Arrival { at, lane }
            }));
        }
        arrivals.sort_unstable();
        arrivals
    }
}

enum Time {
    OfDay(u64),
    Seconds(u64),
}

fn row(line: &str) -> Option<(Time, u64, u64)> {
    let mut cells = line.split(',').map(str::trim);
    let time = cells.next()?;
    let time = match time.split_once(':') {
        Some((hour, minute)) => {
            let hour: u64 = hour.parse().ok().filter(|hour| *hour < 24)?;
            let minute: u64 = minute.parse().ok().filter(|minute| *minute < 60)?;
            Time::OfDay(hour * 3_600 + minute * 60)
        }
        None => Time::Seconds(time.parse().ok().filter(|seconds| *seconds < 3_660 * DAY)?),
    };
    let images = cells.next()?.parse().ok()?;
    let stat = cells.next().map_or(Ok(0), str::parse).ok().filter(|stat| *stat <= images)?;
    cells.next().is_none().then_some((time, images, stat))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_over_midnight() {
        let profile = Profile::parse("time,images,stat\n22:00,2,1\n# quiet\n23:30, 3\n00:15,1\n");
        let row = |from, images, stat| Row { from, images, stat };
        assert_eq!(profile, Ok(Profile(vec![row(0, 2, 1), row(5_400, 3, 0), row(8_100, 1, 0)])));
    }

    #[test]
    fn every_image_arrives_within_its_row() {
        let arrivals = Profile::parse("0,100,30\n60,0\n120,50").expect("a profile").arrivals(5);
        let seconds = |arrival: &Arrival| arrival.at.0 / 1_000_000;
        let within = |from, to| arrivals.iter().filter(move |it| (from..to).contains(&seconds(it)));
        assert_eq!((within(0, 60).count(), within(60, 120).count()), (100, 0));
        assert_eq!(within(120, 180).count(), 50);
        assert_eq!(within(0, 60).filter(|it| it.lane == Lane::Stat).count(), 30);
        assert!(arrivals.is_sorted());
    }

    #[test]
    fn what_is_no_profile_is_refused_by_its_line() {
        let cases = [
            ("", ProfileError::Short),
            ("0,5", ProfileError::Short),
            ("0,5\nsoon,6", ProfileError::Row(2)),
            ("0,5\n9,6,7", ProfileError::Row(2)),
            ("25:00,5\n9,6", ProfileError::Row(1)),
            ("0,5\n9,-6", ProfileError::Row(2)),
            ("0,5,1,1\n9,6", ProfileError::Row(1)),
            ("9,5\n9,6", ProfileError::Order(2)),
            ("0,18446744073709551615\n9,6", ProfileError::Many),
        ];
        for (text, error) in cases {
            assert_eq!(Profile::parse(text), Err(error), "{text:?}");
        }
    }
}
