//! What must hold at the end, over everything that clients saw, and the counters.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use super::bucket::{Bucket, End, Expected};
use super::invariants::{Class, Item, Reading, Stream, Told, Violation};

/// What clients saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// What was acknowledged.
    pub(crate) bucket: Bucket,
    /// Images of every version that the bucket holds: those of PUTs that nobody heard of as well.
    pub(crate) stored: HashSet<String>,
    /// All events, read at the end from the beginning.
    pub(crate) events: Vec<Told>,
    /// What each subscriber was told, by its name.
    pub(crate) subscribers: BTreeMap<String, Vec<Told>>,
    /// What clients read meanwhile.
    pub(crate) readings: Vec<Reading>,
    /// Every image at the end.
    pub(crate) images: Vec<Item>,
    /// The registered models, by their SHA-256.
    pub(crate) models: HashSet<String>,
}

impl History {
    /// Everything that must not be. Nothing is found in what a system without faults would show.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        self.check_events(&mut found);
        self.check_subscribers(&mut found);
        self.check_images(&mut found);
        self.check_readings(&mut found);
        found
    }

    fn check_events(&self, found: &mut Vec<Violation>) {
        let mut stream = Stream::default();
        found.extend(self.events.iter().filter_map(|told| stream.take(told).err()));
    }

    /// Every subscriber has seen every event, each in order and once: it has just what there is.
    fn check_subscribers(&self, found: &mut Vec<Violation>) {
        for (name, seen) in &self.subscribers {
            let mut seen = seen.iter();
            let missed = self.events.iter().find(|told| seen.next() != Some(told));
            if let Some(told) = missed.or(seen.next()) {
                found.push(Violation::Missed { subscriber: name.clone(), seq: told.seq });
            }
        }
    }

    fn check_images(&self, found: &mut Vec<Violation>) {
        let mut images: HashMap<&str, &Item> = HashMap::new();
        let last = self.states();
        for item in &self.images {
            if images.insert(&item.image, item).is_some() {
                found.push(Violation::ListedTwice { image: item.image.clone() });
            }
            let event = last.get(item.image.as_str()).and_then(|states| states.last());
            let event = event.map_or("nothing", |(_, status)| status);
            if event != item.status {
                let (image, list) = (item.image.clone(), item.status.clone());
                found.push(Violation::Disagree { image, list, event: event.to_owned() });
            }
            if item.model().is_some_and(|sha256| !self.models.contains(sha256)) {
                found.push(Violation::UnknownModel { image: item.image.clone() });
            }
        }
        let expected = self.bucket.expected();
        for (image, expected) in &expected {
            found.extend(ended(image, images.get(image.as_str()).copied(), expected));
        }
        for (image, item) in images {
            if expected.contains_key(image) {
                continue;
            }
            // A PUT that was stored unheard of is followed by another of the same key.
            let unheard = self.stored.contains(image);
            if !unheard {
                found.push(Violation::Unknown { image: image.to_owned() });
            } else if !["superseded", "removed"].contains(&item.status.as_str()) {
                let (status, reason) = (item.status.clone(), item.reason.clone());
                let (image, expected) = (image.to_owned(), "superseded or removed".to_owned());
                found.push(Violation::Ended { image, status, reason, expected });
            }
        }
    }

    fn check_readings(&self, found: &mut Vec<Violation>) {
        let states = self.states();
        for reading in &self.readings {
            let states = states.get(reading.image.as_str()).map_or(&[][..], Vec::as_slice);
            if states.is_empty() || !reading.is_fresh(states) {
                let Reading { image, status, since } = reading.clone();
                found.push(Violation::Stale { image, status, since });
            }
        }
    }

    /// The states that each image passed through, with their events' numbers.
    fn states(&self) -> HashMap<&str, Vec<(i64, &str)>> {
        let mut states: HashMap<&str, Vec<(i64, &str)>> = HashMap::new();
        for told in &self.events {
            states.entry(&told.image).or_default().push((told.seq, &told.status));
        }
        states
    }

    /// Images on which work was begun more than once, and that ended all the same.
    fn recovered(&self) -> usize {
        let begun = |states: &Vec<(i64, &str)>| {
            states.windows(2).any(|two| two[0].1 == "analysing" && is_open(two[1].1))
        };
        self.states()
            .values()
            .filter(|states| begun(states))
            .filter(|states| states.last().is_some_and(|(_, status)| !is_open(status)))
            .count()
    }
}

fn is_open(status: &str) -> bool {
    ["queued", "analysing"].contains(&status)
}

/// Whether an acknowledged image ended as it must.
fn ended(image: &str, item: Option<&Item>, expected: &Expected) -> Option<Violation> {
    let image = image.to_owned();
    let Some(item) = item.filter(|item| !is_open(&item.status)) else {
        return Some(Violation::Lost { image, status: item.map(|item| item.status.clone()) });
    };
    let told = item.site.clone().unwrap_or_default();
    if told != expected.site {
        return Some(Violation::OtherSite { image, told, asked: expected.site.clone() });
    }
    let wanted = match expected.end {
        End::Result => ("ready", None),
        End::Reason(reason) => ("needs_human", Some(reason)),
        End::Superseded => ("superseded", item.reason.as_deref()),
        End::Removed => ("removed", item.reason.as_deref()),
        End::Gone if item.status == "superseded" => ("superseded", item.reason.as_deref()),
        End::Gone => ("removed", item.reason.as_deref()),
    };
    let (status, reason) = (item.status.clone(), item.reason.clone());
    let expected = format!("{:?}", expected.end);
    let as_wanted = (status.as_str(), reason.as_deref()) == wanted;
    (!as_wanted).then_some(Violation::Ended { image, status, reason, expected })
}

/// The counters, as Jepsen prints them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    pub(crate) seed: u64,
    pub(crate) faults: usize,
    /// PUTs.
    pub(crate) attempted: usize,
    /// PUTs that were answered.
    pub(crate) acknowledged: usize,
    pub(crate) lost: usize,
    pub(crate) duplicated: usize,
    /// Images on which work was begun again.
    pub(crate) recovered: usize,
    pub(crate) unexpected: usize,
    pub(crate) events: usize,
    pub(crate) readings: usize,
    /// From the end of the last fault until work had ended on everything.
    pub(crate) quiet_after: Duration,
}

impl Account {
    /// Counts.
    pub(crate) fn of(history: &History, violations: &[Violation]) -> Self {
        let count = |class| violations.iter().filter(|one| one.class() == class).count();
        Self {
            acknowledged: history.bucket.acknowledged(),
            lost: count(Class::Lost),
            duplicated: count(Class::Duplicated),
            unexpected: count(Class::Unexpected),
            recovered: history.recovered(),
            events: history.events.len(),
            readings: history.readings.len(),
            ..Self::default()
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: {} faults; attempted {}, acknowledged {}, lost {}, duplicated {}, recovered {}, \
             unexpected {}; {} events, {} readings; quiet after {:.0} s",
            self.seed,
            self.faults,
            self.attempted,
            self.acknowledged,
            self.lost,
            self.duplicated,
            self.recovered,
            self.unexpected,
            self.events,
            self.readings,
            self.quiet_after.as_secs_f64(),
        )
    }
}
