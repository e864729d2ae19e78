//! How long something is kept.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Hours in a day.
const DAY: u32 = 24;
/// A hundred years.
const MOST: u32 = 100 * 366 * DAY;

/// Whole days or hours, an hour at least, or for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionPeriod(Option<u32>);

impl RetentionPeriod {
    /// Nothing is deleted.
    pub const FOREVER: Self = Self(None);

    /// So many days: at least one.
    pub const fn days<const N: u32>() -> Self {
        const { assert!(N > 0 && N <= MOST / DAY, "a default outside the bounds") };
        Self(Some(N * DAY))
    }

    /// How long; `None` for ever.
    pub fn time(self) -> Option<Duration> {
        self.0.map(|hours| Duration::from_secs(u64::from(hours) * 3600))
    }
}

impl FromStr for RetentionPeriod {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self::FOREVER);
        }
        let days = text.strip_suffix('d').map(|number| (number, DAY));
        let hours = text.strip_suffix('h').map(|number| (number, 1));
        let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        days.or(hours)
            .filter(|(number, _)| digits(number))
            .and_then(|(number, unit)| number.parse::<u32>().ok()?.checked_mul(unit))
            .filter(|hours| (1..=MOST).contains(hours))
            .map(|hours| Self(Some(hours)))
            .ok_or_else(|| {
                format!("{text:?} is no time to keep things for, such as 30d, 12h, forever")
            })
    }
}

impl fmt::Display for RetentionPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("forever"),
            Some(hours) if hours % DAY == 0 => write!(f, "{}d", hours / DAY),
            Some(hours) => write!(f, "{hours}h"),
        }
    }
}

/// The same of the audit record: 180 days at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditRetention(RetentionPeriod);

impl AuditRetention {
    /// Nothing is deleted.
    pub const FOREVER: Self = Self(RetentionPeriod::FOREVER);
    /// The least, in days: half a year.
    const LEAST: u32 = 180;

    /// How long; `None` for ever.
    pub fn time(self) -> Option<Duration> {
        self.0.time()
    }
}

impl FromStr for AuditRetention {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let period: RetentionPeriod = text.parse()?;
        match period.0 {
            Some(hours) if hours < Self::LEAST * DAY => {
                Err(format!("the audit record is kept for {}d at least", Self::LEAST))
            }
            _ => Ok(Self(period)),
        }
    }
}

impl fmt::Display for AuditRetention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_record_is_kept_for_half_a_year_at_least() {
        for good in ["180d", "4320h", "3650d", "forever"] {
            assert!(good.parse::<AuditRetention>().is_ok(), "{good}");
        }
        for bad in ["179d", "4319h", "1h", "", "never"] {
            assert!(bad.parse::<AuditRetention>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_to_keep_things_reads_back_and_what_is_none_is_refused() {
        for (text, shown, hours) in
            [("30d", "30d", 720), ("1h", "1h", 1), ("48h", "2d", 48), ("36h", "36h", 36)]
        {
            let period: RetentionPeriod = text.parse().expect("read");
            assert_eq!(period.to_string(), shown);
            assert_eq!(period.time(), Some(Duration::from_secs(hours * 3600)));
        }
        assert_eq!("forever".parse::<RetentionPeriod>(), Ok(RetentionPeriod::FOREVER));
        assert_eq!(RetentionPeriod::FOREVER.time(), None);
        for bad in
            ["", "30", "0d", "-1d", "+1d", "1.5d", "d", "7w", "never", "99999999999d", "4000000d"]
        {
            let error = bad.parse::<RetentionPeriod>().expect_err(bad);
            assert!(error.contains("30d, 12h, forever"), "{error}");
        }
    }
}
