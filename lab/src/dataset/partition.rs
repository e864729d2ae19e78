//! What is trained on, what is chosen on, what is measured on: nobody is in two of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;

use super::{Class, DatasetError, Etiology, Sample, Split};

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
    let is_large_enough = given as f64 >= SMALLEST_VALIDATION_SHARE * pool.len() as f64;
    let (validation, train): (Vec<_>, Vec<_>) = if given > 0 && is_large_enough {
        pool.into_iter().partition(|sample| sample.split == Split::Val)
    } else {
        let kept = draw(&pool, seed);
        pool.into_iter().partition(|sample| kept.contains(&sample.patient))
    };
    refuse_shared(&train, &validation)?;
    for class in Class::ALL {
        if !train.iter().any(|sample| sample.class == class) {
            return Err(DatasetError::Empty { path: folder.to_owned(), what: class.folder() });
        }
    }
    Ok(Partition { train, validation, test })
}

/// Patients drawn for validation, stratum by stratum, until each has its share of pictures.
fn draw(pool: &[Sample], seed: u64) -> BTreeSet<String> {
    let mut strata: BTreeMap<(Class, Option<Etiology>), BTreeMap<&str, usize>> = BTreeMap::new();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(split: Split, class: Class, patient: &str, picture: usize) -> Sample {
        Sample {
            name: format!("{patient}-{picture}.jpeg"),
            split,
            class,
            subtype: None,
            patient: patient.to_owned(),
            original_size: None,
            sha256: String::new(),
            pixels: Vec::new(),
        }
    }

    /// 100 normal and 300 ill children, the ill with two pictures each.
    fn pool() -> Vec<Sample> {
        let normal = (0..100).map(|n| sample(Split::Train, Class::Normal, &format!("n{n}"), 0));
        let ill =
            (0..600).map(|n| sample(Split::Train, Class::Pneumonia, &format!("p{}", n / 2), n % 2));
        normal.chain(ill).collect()
    }

    fn cut(samples: Vec<Sample>, seed: u64) -> Result<Partition, DatasetError> {
        partition(Path::new("data"), samples, seed)
    }

    #[test]
    fn validation_has_its_share_of_each_class_and_shares_nobody() {
        let cut = cut(pool(), 1).unwrap();
        let of = |class| cut.validation.iter().filter(|sample| sample.class == class).count();
        assert_eq!((of(Class::Normal), of(Class::Pneumonia)), (12, 72));
        assert_eq!(cut.train.len() + cut.validation.len(), 700);
        let kept: BTreeSet<&str> =
            cut.validation.iter().map(|sample| sample.patient.as_str()).collect();
        assert!(cut.train.iter().all(|sample| !kept.contains(sample.patient.as_str())));
    }

    #[test]
    fn the_same_seed_gives_the_same_cut_and_another_seed_another() {
        let names = |seed| {
            cut(pool(), seed)
                .unwrap()
                .validation
                .into_iter()
                .map(|sample| sample.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(1), names(1));
        assert_ne!(names(1), names(2));
    }

    #[test]
    fn a_patient_of_the_test_split_who_is_also_trained_on_is_refused() {
        let mut samples = pool();
        samples.push(sample(Split::Test, Class::Pneumonia, "p7", 9));
        let error = cut(samples, 1).unwrap_err();
        assert!(
            matches!(&error, DatasetError::SharedPatient { test, second: "test", .. } if test == "p7-9.jpeg"),
            "{error}"
        );
    }

    #[test]
    fn a_validation_folder_that_is_large_enough_is_used_as_it_is() {
        let mut samples = pool();
        samples.extend((0..50).map(|n| sample(Split::Val, Class::Normal, &format!("v{n}"), 0)));
        let cut_as_given = cut(samples.clone(), 1).unwrap();
        assert!(cut_as_given.validation.iter().all(|sample| sample.split == Split::Val));
        assert_eq!(cut_as_given.validation.len(), 50);
        samples.push(sample(Split::Val, Class::Normal, "n3", 1));
        assert!(matches!(cut(samples, 1), Err(DatasetError::SharedPatient { .. })));
    }

    #[test]
    fn a_validation_folder_of_a_few_pictures_joins_the_training_ones() {
        let mut samples = pool();
        samples.extend((0..8).map(|n| sample(Split::Val, Class::Normal, &format!("v{n}"), 0)));
        let cut = cut(samples, 1).unwrap();
        assert_eq!(cut.train.len() + cut.validation.len(), 708);
        assert!(cut.validation.len() > 50);
    }

    #[test]
    fn a_class_without_pictures_is_refused() {
        let ill = pool().into_iter().filter(|sample| sample.class == Class::Pneumonia).collect();
        assert!(matches!(cut(ill, 1), Err(DatasetError::Empty { what: "NORMAL", .. })));
    }
}
