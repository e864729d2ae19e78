//! What clients do to the bucket: a pure function of the seed.

use std::time::Duration;

use lobar_tests::kit::{broken_files, radiograph_jpeg};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Who uploads and who watches.
pub(crate) const SITES: [&str; 3] = ["north", "south", "east"];
/// What no log may hold.
pub(crate) const PATIENT: &str = "Müller, Anna+é";
/// How many different radiographs there are: others are duplicates.
const RADIOGRAPHS: usize = 24;
/// How many broken files there are.
const BROKEN: usize = 5;

/// What one site does next, and how long it waits before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) pause: Duration,
    pub(crate) act: Act,
}

/// A key is a place in [`Plan::keys`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Puts a file under a key: a new one, or over what is there.
    Put { key: usize, file: usize },
    /// Deletes a key, which leaves a delete marker.
    Delete { key: usize },
    /// Takes the delete marker off again.
    Restore { key: usize },
}

/// What one site does, in order. One thing at a time, so that S3 chooses no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) site: &'static str,
    pub(crate) keys: Vec<String>,
    pub(crate) steps: Vec<Step>,
}

impl Plan {
    /// A site's part of a run that takes about `length`: `count` steps.
    pub(crate) fn of(seed: u64, site: usize, count: usize, length: Duration) -> Self {
        let mut random = StdRng::seed_from_u64(seed.wrapping_mul(31).wrapping_add(site as u64));
        let (mut keys, mut steps) = (Vec::new(), Vec::new());
        // Of each key whether it is deleted.
        let mut deleted: Vec<bool> = Vec::new();
        for _ in 0..count {
            let chance = random.random_range(0..100);
            let with = |wanted: bool| -> Vec<usize> {
                (0..deleted.len()).filter(|key| deleted[*key] == wanted).collect()
            };
            let file = file(&mut random);
            let known = with(false).choose(&mut random).copied();
            let act = match (chance, known) {
                (0..7, Some(key)) => {
                    deleted[key] = true;
                    Act::Delete { key }
                }
                (7..20, Some(key)) => Act::Put { key, file },
                (20..24, _) if !with(true).is_empty() => {
                    let key = *with(true).choose(&mut random).expect("there are some");
                    deleted[key] = false;
                    match random.random_bool(0.6) {
                        true => Act::Restore { key },
                        false => Act::Put { key, file },
                    }
                }
                _ => {
                    let lane = if random.random_bool(0.1) { "stat/" } else { "" };
                    let name = format!("{PATIENT} {seed} {:04}.jpeg", keys.len());
                    keys.push(format!("incoming/{}/{lane}{name}", SITES[site]));
                    deleted.push(false);
                    Act::Put { key: keys.len() - 1, file }
                }
            };
            let pause = length.div_f64(count as f64).mul_f64(random.random_range(0.0..2.0));
            steps.push(Step { pause, act });
        }
        Self { site: SITES[site], keys, steps }
    }
}

/// One file in twelve is broken.
fn file(random: &mut StdRng) -> usize {
    match random.random_range(0..12) {
        0 => RADIOGRAPHS + random.random_range(0..BROKEN),
        _ => random.random_range(0..RADIOGRAPHS),
    }
}

/// A file that is uploaded, and the reason that must be given when it cannot be assessed.
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    pub(crate) reason: Option<&'static str>,
}

/// The files that a plan names by their places.
pub(crate) fn files() -> Vec<File> {
    let whole = (0..RADIOGRAPHS as u32).map(|seed| (radiograph_jpeg(320, 300, seed), None));
    let broken = broken_files().into_iter().take(BROKEN);
    let broken = broken.map(|(_, bytes, reason)| (bytes, Some(reason)));
    whole.chain(broken).map(|(bytes, reason)| File { bytes, reason }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_the_seeds_own_and_uses_every_act_and_broken_files() {
        let plan = |seed, site| Plan::of(seed, site, 60, Duration::from_secs(60));
        assert_eq!(plan(3, 1), plan(3, 1));
        assert_ne!(plan(3, 1).steps, plan(3, 2).steps);
        assert_ne!(plan(3, 1).steps, plan(4, 1).steps);
        let steps: Vec<Step> = (0..10).flat_map(|seed| plan(seed, 0).steps).collect();
        let some = |wanted: fn(&Act) -> bool| steps.iter().any(|step| wanted(&step.act));
        assert!(some(|act| matches!(act, Act::Delete { .. })));
        assert!(some(|act| matches!(act, Act::Restore { .. })));
        assert!(some(|act| matches!(act, Act::Put { file, .. } if *file >= RADIOGRAPHS)));
    }

    #[test]
    fn only_what_is_deleted_is_restored_and_only_what_is_there_is_deleted() {
        for seed in 0..100 {
            let plan = Plan::of(seed, 0, 80, Duration::from_secs(60));
            let mut deleted = vec![None; plan.keys.len()];
            for step in plan.steps {
                match step.act {
                    Act::Put { key, .. } => deleted[key] = Some(false),
                    Act::Delete { key } => {
                        assert_eq!(deleted[key].replace(true), Some(false));
                    }
                    Act::Restore { key } => {
                        assert_eq!(deleted[key].replace(false), Some(true));
                    }
                }
            }
        }
    }
}
