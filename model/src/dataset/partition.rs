//! What is trained on, what is chosen on, what is measured on: nobody is in two of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;

use super::{Class, DatasetError, Sample, Split, Subtype};

/// Share of the pictures that is kept back for validation.
const VALIDATION_SHARE: f64 = 0.12;
/// A `val/` folder smaller than this share of the pictures is too small to choose a threshold on
/// (the published one has 16 pictures); it then joins `train/` and a validation set is cut from both.
const SMALLEST_VALIDATION_SHARE: f64 = 0.05;

/// A data set in its three parts. `test` is empty when it was not read.
#[derive(Clone, Debug)]
pub struct Partition {
    /// The network learns from these.
    pub train: Vec<Sample>,
    /// Epoch, threshold and temperature are chosen on these.
    pub validation: Vec<Sample>,
    /// Measured once, at the end.
    pub test: Vec<Sample>,
}

/// Cuts the samples of `folder` into three parts without a shared patient. The same seed gives the
/// same cut.
///
/// # Errors
/// A patient of `test/` (or of a `val/` that is large enough to be used) is also elsewhere, or a
/// class has no pictures to train on.
pub fn partition(
    folder: &Path,
    samples: Vec<Sample>,
    seed: u64,
) -> Result<Partition, DatasetError> {
    let (test, pool): (Vec<_>, Vec<_>) =
        samples.into_iter().partition(|sample| sample.split == Split::Test);
    refuse_shared(&pool, &test)?;
    let given = pool.iter().filter(|sample| sample.split == Split::Val).count();
    let kept: BTreeSet<String> =
        if given as f64 >= SMALLEST_VALIDATION_SHARE * pool.len() as f64 && given > 0 {
            pool.iter()
                .filter(|sample| sample.split == Split::Val)
                .map(|sample| sample.patient.clone())
                .collect()
        } else {
            draw(&pool, seed)
        };
    let (validation, train): (Vec<_>, Vec<_>) =
        pool.into_iter().partition(|sample| kept.contains(&sample.patient));
    if let Some(sample) = validation.iter().find(|sample| sample.split == Split::Train)
        && given as f64 >= SMALLEST_VALIDATION_SHARE * (validation.len() + train.len()) as f64
        && let Some(other) = validation
            .iter()
            .find(|other| other.patient == sample.patient && other.split == Split::Val)
    {
        return Err(shared(sample, other));
    }
    for class in Class::ALL {
        if !train.iter().any(|sample| sample.class == class) {
            return Err(DatasetError::Empty { path: folder.to_owned(), what: class.folder() });
        }
    }
    Ok(Partition { train, validation, test })
}

/// Patients drawn for validation, stratum by stratum, until each has its share of pictures.
fn draw(pool: &[Sample], seed: u64) -> BTreeSet<String> {
    let mut strata: BTreeMap<(Class, Option<Subtype>), BTreeMap<&str, usize>> = BTreeMap::new();
    for sample in pool {
        *strata
            .entry((sample.class, sample.subtype))
            .or_default()
            .entry(&sample.patient)
            .or_default() += 1;
    }
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut kept = BTreeSet::new();
    for patients in strata.values() {
        let wanted = VALIDATION_SHARE * patients.values().sum::<usize>() as f64;
        let mut order: Vec<(&str, usize)> =
            patients.iter().map(|(patient, count)| (*patient, *count)).collect();
        order.shuffle(&mut random);
        let mut taken = 0;
        for (patient, count) in order {
            if taken as f64 >= wanted {
                break;
            }
            taken += count;
            kept.insert(patient.to_owned());
        }
    }
    kept
}

fn refuse_shared(pool: &[Sample], test: &[Sample]) -> Result<(), DatasetError> {
    let pooled: HashMap<&str, &Sample> =
        pool.iter().map(|sample| (sample.patient.as_str(), sample)).collect();
    match test
        .iter()
        .find_map(|sample| pooled.get(sample.patient.as_str()).map(|other| (*other, sample)))
    {
        Some((train, test)) => Err(shared(train, test)),
        None => Ok(()),
    }
}

fn shared(one: &Sample, other: &Sample) -> DatasetError {
    DatasetError::SharedPatient {
        train: one.name.clone(),
        test: other.name.clone(),
        first: one.split.name(),
        second: other.split.name(),
    }
}
