//! How long a session lasts, and other times of people: how long an image waits for one, or is open in front of one.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Minutes in an hour.
const HOUR: u32 = 60;
/// Minutes in a day.
const DAY: u32 = 24 * HOUR;
/// Thirty days.
const MOST: u32 = 30 * DAY;

/// Whole minutes, hours or days, from a minute to 30 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionTime(u32);

impl SessionTime {
    /// So many minutes.
    pub const fn minutes<const N: u32>() -> Self {
        const { assert!(N > 0 && N <= MOST, "a default outside the bounds") };
        Self(N)
    }

    /// How long.
    pub fn time(self) -> Duration {
        Duration::from_secs(u64::from(self.0) * 60)
    }
}

impl FromStr for SessionTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = [("m", 1), ("h", HOUR), ("d", DAY)];
        let mut read = units.iter().filter_map(|(unit, minutes)| {
            let number = text.strip_suffix(unit)?;
            // Rust's own reader takes a sign too.
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            number.parse::<u32>().ok().filter(|_| digits)?.checked_mul(*minutes)
        });
        read.next()
            .filter(|minutes| (1..=MOST).contains(minutes))
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no time from 1m to 30d, such as 30m, 12h, 7d"))
    }
}

impl fmt::Display for SessionTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            minutes if minutes % DAY == 0 => write!(f, "{}d", minutes / DAY),
            minutes if minutes % HOUR == 0 => write!(f, "{}h", minutes / HOUR),
            minutes => write!(f, "{minutes}m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_back_and_what_is_none_is_refused() {
        for (text, shown, minutes) in
            [("30m", "30m", 30), ("12h", "12h", 720), ("120m", "2h", 120), ("24h", "1d", 1440)]
        {
            let time: SessionTime = text.parse().expect("read");
            assert_eq!(time.to_string(), shown);
            assert_eq!(time.time(), Duration::from_secs(minutes * 60));
        }
        for bad in ["", "30", "0m", "-1m", "+1m", "1.5h", "h", "31d", "9999999999m", "forever", "é"]
        {
            let error = bad.parse::<SessionTime>().expect_err(bad);
            assert!(error.contains("from 1m to 30d"), "{error}");
        }
    }
}
