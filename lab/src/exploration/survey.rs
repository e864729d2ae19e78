//! All that is found in a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use super::burnt_in::burnt_in;
use super::picture_record::LEVEL_BINS;
use super::samples::{Shown, samples};
use super::{
    BurntIn, Group, PictureRecord, SingleNumber, UnreadableFile, duplicates, numbers, warnings,
};
use crate::dataset::{Class, DatasetError, Etiology, Split, files, manifest_of};

/// What lies in a folder.
#[derive(Clone, Debug, Serialize)]
pub struct Survey {
    /// What a reader should know first, the gravest first.
    pub warnings: Vec<String>,
    /// Pictures that can be read.
    pub images: u64,
    /// Balance of each split that is there.
    pub splits: Vec<SplitCounts>,
    /// Files that cannot be read.
    pub unreadable: Vec<UnreadableFile>,
    /// Pictures that serving would not assess, by reason.
    pub refused_by_serving: BTreeMap<&'static str, u64>,
    /// Pictures of which neither file name nor manifest tells whom they show.
    pub without_patient: u64,
    /// Patients who are in more than one split, by pair of splits.
    pub shared_patients: Vec<PatientsShared>,
    /// Groups of equal files.
    pub exact_duplicates: Vec<Group>,
    /// Groups of different files whose pictures are nearly equal, see [`super::NEAR_BITS`].
    pub near_duplicates: Vec<Group>,
    /// Single numbers, and how far they separate classes and splits.
    pub numbers: Vec<SingleNumber>,
    /// Text burnt into the films' corners, by split and class.
    pub burnt_in: Vec<BurntIn>,
    /// Mean shares of pixels in 32 bins of grey levels.
    pub levels: Vec<Levels>,
    /// Every picture.
    #[serde(skip)]
    pub records: Vec<PictureRecord>,
    /// Some to look at.
    #[serde(skip)]
    pub(crate) samples: Vec<Shown>,
}

/// One split's balance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SplitCounts {
    /// The split.
    pub split: Split,
    /// Pictures labelled normal.
    pub normal: u64,
    /// Pictures labelled pneumonia.
    pub pneumonia: u64,
    /// Of these, those said to be bacterial.
    pub bacterial: u64,
    /// And viral.
    pub viral: u64,
    /// Patients that are known.
    pub patients: u64,
    /// Pictures of known patients for each of them, on average.
    pub images_per_patient: f64,
    /// Pictures of the patient who has most.
    pub most_images_of_a_patient: u64,
}

/// Patients that two splits share.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PatientsShared {
    /// The one.
    pub first: Split,
    /// The other.
    pub second: Split,
    /// How many patients.
    pub patients: u64,
    /// Their pictures in the second.
    pub images: u64,
}

/// How bright the pixels of a class are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Levels {
    /// The split.
    pub split: Split,
    /// The class.
    pub class: Class,
    /// Mean share of a picture's pixels in each of 32 bins from black to white.
    pub shares: Vec<f64>,
}

/// Looks at every picture of `DIR/{train,val,test}/{NORMAL,PNEUMONIA}`. File names are kept only if
/// `names`.
///
/// # Errors
/// The folder cannot be listed or holds no picture file, or the manifest is malformed.
pub fn survey(folder: &Path, names: bool) -> Result<Survey, DatasetError> {
    let manifest = manifest_of(folder)?;
    let files = files(folder, &Split::ALL)?;
    let read: Vec<Result<PictureRecord, UnreadableFile>> = files
        .par_iter()
        .enumerate()
        .map(|(at, file)| PictureRecord::read(at + 1, file, &manifest))
        .collect();
    let (mut records, mut unreadable) = (Vec::with_capacity(read.len()), Vec::new());
    for one in read {
        match one {
            Ok(record) => records.push(record),
            Err(refusal) => unreadable.push(refusal),
        }
    }
    let mut survey = of(records);
    survey.samples = samples(&files, &survey.records);
    survey.unreadable = unreadable;
    survey.warnings = warnings::warnings(&survey);
    if !names {
        survey.unreadable.iter_mut().for_each(|it| it.name = None);
        survey.samples.iter_mut().for_each(|it| it.name = None);
        let groups = survey.exact_duplicates.iter_mut().chain(&mut survey.near_duplicates);
        groups.for_each(|it| it.names.clear());
    }
    Ok(survey)
}

/// What the readable pictures tell.
fn of(records: Vec<PictureRecord>) -> Survey {
    let mut refused_by_serving = BTreeMap::new();
    for reason in records.iter().filter_map(|it| it.gate) {
        *refused_by_serving.entry(reason).or_default() += 1;
    }
    Survey {
        warnings: Vec::new(),
        images: records.len() as u64,
        splits: Split::ALL.into_iter().filter_map(|split| counts(split, &records)).collect(),
        unreadable: Vec::new(),
        refused_by_serving,
        without_patient: records.iter().filter(|it| it.patient.is_none()).count() as u64,
        shared_patients: shared(&records),
        exact_duplicates: duplicates::exact(&records),
        near_duplicates: duplicates::near(&records),
        numbers: numbers::numbers(&records),
        burnt_in: burnt_in(&records),
        levels: levels(&records),
        records,
        samples: Vec::new(),
    }
}

fn counts(split: Split, records: &[PictureRecord]) -> Option<SplitCounts> {
    let of: Vec<&PictureRecord> = records.iter().filter(|it| it.split == split).collect();
    let count =
        |wanted: &dyn Fn(&PictureRecord) -> bool| of.iter().filter(|it| wanted(it)).count() as u64;
    let mut patients: BTreeMap<&str, u64> = BTreeMap::new();
    for patient in of.iter().filter_map(|it| it.patient.as_deref()) {
        *patients.entry(patient).or_default() += 1;
    }
    (!of.is_empty()).then(|| SplitCounts {
        split,
        normal: count(&|it| it.class == Class::Normal),
        pneumonia: count(&|it| it.class == Class::Pneumonia),
        bacterial: count(&|it| it.subtype == Some(Etiology::Bacterial)),
        viral: count(&|it| it.subtype == Some(Etiology::Viral)),
        patients: patients.len() as u64,
        images_per_patient: patients.values().sum::<u64>() as f64 / patients.len().max(1) as f64,
        most_images_of_a_patient: patients.values().copied().max().unwrap_or(0),
    })
}

fn shared(records: &[PictureRecord]) -> Vec<PatientsShared> {
    let patients = |split: Split| -> BTreeSet<&str> {
        let of = records.iter().filter(|it| it.split == split);
        of.filter_map(|it| it.patient.as_deref()).collect()
    };
    let pairs =
        [(Split::Train, Split::Val), (Split::Train, Split::Test), (Split::Val, Split::Test)];
    let mut found = Vec::new();
    for (first, second) in pairs {
        let (one, other) = (patients(first), patients(second));
        let both: BTreeSet<&&str> = one.intersection(&other).collect();
        if !both.is_empty() {
            let is_shared = |it: &&PictureRecord| {
                it.split == second && it.patient.as_deref().is_some_and(|it| both.contains(&it))
            };
            found.push(PatientsShared {
                first,
                second,
                patients: both.len() as u64,
                images: records.iter().filter(is_shared).count() as u64,
            });
        }
    }
    found
}

fn levels(records: &[PictureRecord]) -> Vec<Levels> {
    let mut all = Vec::new();
    for split in Split::ALL {
        for class in Class::ALL {
            let of: Vec<&PictureRecord> =
                records.iter().filter(|it| it.split == split && it.class == class).collect();
            if of.is_empty() {
                continue;
            }
            let mean = |bin: usize| {
                of.iter().map(|it| f64::from(it.levels[bin])).sum::<f64>() / of.len() as f64
            };
            all.push(Levels { split, class, shares: (0..LEVEL_BINS).map(mean).collect() });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::duplicates::tests::record;
    use super::*;

    #[test]
    fn balance_and_patients_are_counted_by_split() {
        let mut records = vec![
            record(1, Class::Normal, Split::Train),
            record(2, Class::Pneumonia, Split::Train),
            record(3, Class::Pneumonia, Split::Train),
            record(4, Class::Pneumonia, Split::Test),
            record(5, Class::Normal, Split::Test),
        ];
        records[1].subtype = Some(Etiology::Bacterial);
        for at in [1, 2, 3] {
            records[at].patient = Some("twice".to_owned());
        }
        records[4].patient = None;
        let survey = of(records);
        let train = &survey.splits[0];
        assert_eq!((train.normal, train.pneumonia, train.bacterial, train.viral), (1, 2, 1, 0));
        assert_eq!((train.patients, train.images_per_patient), (2, 1.5));
        assert_eq!(train.most_images_of_a_patient, 2);
        assert_eq!(survey.splits.len(), 2);
        assert_eq!(survey.without_patient, 1);
        let shared =
            PatientsShared { first: Split::Train, second: Split::Test, patients: 1, images: 1 };
        assert_eq!(survey.shared_patients, [shared]);
    }
}
