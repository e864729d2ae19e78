//! Whole numbers within bounds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bounded<const MIN: u32, const MAX: u32>(u32);

/// Most images in one batch.
pub type BatchSize = Bounded<1, 256>;
/// Threads of the network.
pub type Threads = Bounded<1, 1024>;
/// Engines of the network that compute at once.
pub type Replicas = Bounded<1, 256>;
/// A number of workers; none is one too.
pub type Workers = Bounded<0, 10_000>;
/// A time that may be none, in seconds, at most a day.
pub type Seconds = Bounded<0, 86_400>;
/// A time, in seconds, at most a day.
pub type SomeSeconds = Bounded<1, 86_400>;

impl<const MIN: u32, const MAX: u32> Bounded<MIN, MAX> {
    /// For defaults: a number that is known to be within the bounds. Does not compile with another.
    pub const fn of<const N: u32>() -> Self {
        const { assert!(MIN <= N && N <= MAX, "a default outside the bounds") };
        Self(N)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The number, as a count.
    pub fn count(self) -> usize {
        self.0 as usize
    }

    /// The number, as seconds.
    pub fn seconds(self) -> Duration {
        Duration::from_secs(u64::from(self.0))
    }
}

impl<const MIN: u32, const MAX: u32> FromStr for Bounded<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number) if (MIN..=MAX).contains(&number) => Ok(Self(number)),
            _ => Err(format!("{text:?} is not a whole number from {MIN} to {MAX}")),
        }
    }
}

impl<const MIN: u32, const MAX: u32> fmt::Display for Bounded<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_refused_outside_its_bounds() {
        assert_eq!("256".parse::<BatchSize>().map(BatchSize::count), Ok(256));
        for text in ["0", "257", "-1", "1.5", "", "many"] {
            let error = text.parse::<BatchSize>().expect_err("refused");
            assert!(error.contains("from 1 to 256"), "{error}");
        }
        assert_eq!("0".parse::<Seconds>().map(Seconds::seconds), Ok(Duration::ZERO));
    }
}
