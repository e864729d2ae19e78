//! The command line of capacity planning.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::Service;
use crate::settings::{SessionTime, Workers, read};

#[derive(Args)]
#[command(group = ArgGroup::new("speed").required(true).args(["rate", "bench"]))]
pub struct Plan {
    /// How many images arrive.
    #[arg(long, value_name = "N", required_unless_present_any = ["arrivals", "from_store"],
        value_parser = clap::value_parser!(u64).range(1..=20_000_000))]
    pub images: Option<u64>,
    /// How they arrive: `bulk` at an even pace, `steady` at random times, `day` by the hours of a hospital's day, or a file of
    /// `time,images` or `time,images,urgent` rows, which needs no --images.
    #[arg(long, value_name = "SHAPE|FILE", default_value = "bulk")]
    pub arrivals: String,
    /// For how long they arrive: of `bulk` and `steady`.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = read::<SessionTime>())]
    pub over: SessionTime,
    /// The share of urgent images, from 0 to 1; not of a file, which has its own.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub stat: f64,
    /// Take the images of the store instead, of the last so long, as they arrived; and say how long they really took.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["images", "arrivals", "stat", "over"], value_parser = read::<SessionTime>())]
    pub from_store: Option<SessionTime>,
    /// The time of day at which the plan begins.
    #[arg(long, value_name = "HH:MM", value_parser = time_of_day)]
    pub begin: Option<u64>,
    /// Goal: everything is finished by this time of day.
    #[arg(long, value_name = "HH:MM", requires = "begin", conflicts_with = "within", value_parser = time_of_day)]
    pub by: Option<u64>,
    /// Goal: everything is finished so long after the beginning.
    #[arg(long, value_name = "TIME", value_parser = read::<SessionTime>())]
    pub within: Option<SessionTime>,
    /// Goal: 95 of 100 images have their result so soon after they arrived, in either lane.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=2_592_000))]
    pub wait: Option<u64>,
    /// Images a second of one worker.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub rate: Option<f64>,
    /// The same from what `lobar bench pipeline --json` or `lobar bench all --json` printed on such a machine.
    #[arg(long, value_name = "FILE")]
    pub bench: Option<PathBuf>,
    /// Images a second that all workers together do at most: where they share a machine, a GPU or a store.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub together: Option<f64>,
    /// Seconds from the decision to start a worker until it takes its first image.
    #[arg(long, value_name = "SECONDS", default_value_t = 180, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub startup: u64,
    /// How often a worker is lost without notice, an hour: 0.05 is once in 20 hours.
    #[arg(long, value_name = "PER-HOUR", default_value_t = 0.0, value_parser = losses)]
    pub spot_losses: f64,
    /// Seconds until what a lost worker held comes back.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=43_200))]
    pub lease: u64,
    /// What a worker costs an hour, in any currency.
    #[arg(long, value_name = "PRICE", value_parser = positive)]
    pub price: Option<f64>,
    /// Fewest workers; LOBAR_SCALE_FLOOR when left out.
    #[arg(long, value_name = "N", value_parser = read::<Workers>())]
    pub min: Option<Workers>,
    /// Most workers; LOBAR_SCALE_CEILING when left out.
    #[arg(long, value_name = "N", value_parser = read::<Workers>())]
    pub max: Option<Workers>,
    /// Compare with so many fixed workers, in place of the fewest that achieve the goal.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub fixed: Option<u32>,
    /// Messages a worker for which KEDA is set; its scaler for SQS has 5 by itself.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub queue_length: u32,
    /// Of what is random. The same seed gives the same answer.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Draw what waits and what works, as SVG.
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// The policy's settings, and the store.
    #[command(flatten)]
    pub service: Service,
}

fn number(text: &str, is_valid: impl Fn(f64) -> bool, what: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && is_valid(*number));
    number.ok_or_else(|| format!("{text:?} is not {what}"))
}

fn share(text: &str) -> Result<f64, String> {
    number(text, |share| (0.0..=1.0).contains(&share), "a share from 0 to 1")
}

fn positive(text: &str) -> Result<f64, String> {
    number(text, |number| (1e-3..=1e6).contains(&number), "a number from 0.001 to 1000000")
}

fn losses(text: &str) -> Result<f64, String> {
    number(text, |number| (0.0..=60.0).contains(&number), "a number from 0 to 60")
}

/// Seconds after midnight.
fn time_of_day(text: &str) -> Result<u64, String> {
    let read = || {
        let (hour, minute) = text.split_once(':')?;
        let two = |digits: &str, most: u64| {
            let plain = digits.len() <= 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u64>().ok().filter(|number| plain && *number < most)
        };
        Some(two(hour, 24)? * 3_600 + two(minute, 60)? * 60)
    };
    read().ok_or_else(|| format!("{text:?} is no time of day, such as 08:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_read_and_what_is_none_is_refused() {
        assert_eq!(time_of_day("08:30"), Ok(30_600));
        assert_eq!(time_of_day("0:00"), Ok(0));
        for bad in ["", "8", "24:00", "08:60", "-1:00", "+8:00", "08:030", "8:30pm"] {
            assert!(time_of_day(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_rates_and_losses_have_bounds() {
        assert_eq!((share("0.05"), positive("43.3")), (Ok(0.05), Ok(43.3)));
        for bad in ["-0.1", "1.1", "nan", "x"] {
            assert!(share(bad).is_err(), "{bad}");
        }
        assert!(positive("0").is_err() && positive("inf").is_err() && losses("61").is_err());
    }
}
