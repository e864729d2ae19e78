//! Pictures that are in the folder more than once.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

use super::PictureRecord;
use crate::dataset::{Class, Split};

/// Bits of 256 in which the hashes of near duplicates may differ. Saving a chest X-ray again as a JPEG
/// of quality 20 changes 3 bits, at most 8 in 19 of 20; of 12.6 million pairs of the 5,029 training
/// images of Kermany et al. 2018 that are different pictures the nearest differ in 10. So 8 finds
/// copies that were saved again, resized or brightened, and hardly anything else: turning, shifting or
/// cropping by a few pixels changes 13 to 30 bits and is not found, mirroring even more.
pub const NEAR_BITS: u32 = 8;

/// Pictures that are one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// Their places among all files.
    pub numbers: Vec<usize>,
    /// Their file names; empty unless names are asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The splits that they are in.
    pub splits: Vec<Split>,
    /// Their labels. Two labels on one picture: one of them is wrong.
    pub classes: Vec<Class>,
    /// How many patients they are said to show.
    pub patients: usize,
}

/// Groups of equal files.
pub(super) fn exact(records: &[PictureRecord]) -> Vec<Group> {
    let mut by_digest: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
    for (at, record) in records.iter().enumerate() {
        by_digest.entry(record.sha256).or_default().push(at);
    }
    let mut groups: Vec<Vec<usize>> = by_digest.into_values().filter(|it| it.len() > 1).collect();
    groups.sort();
    groups.iter().map(|places| group(records, places)).collect()
}

/// Groups of pictures that are nearly equal and not all the same file. Compares every pair of hashes.
pub(super) fn near(records: &[PictureRecord]) -> Vec<Group> {
    let pairs: Vec<(usize, usize)> = (0..records.len())
        .into_par_iter()
        .flat_map_iter(|one| {
            let first = &records[one];
            (one + 1..records.len())
                .filter(move |&other| distance(&first.hash, &records[other].hash) <= NEAR_BITS)
                .filter(move |&other| first.sha256 != records[other].sha256)
                .map(move |other| (one, other))
        })
        .collect();
    // Union-find: whoever is near to one of a group belongs to it.
    let mut leader: Vec<usize> = (0..records.len()).collect();
    fn lead(leader: &mut [usize], mut at: usize) -> usize {
        while leader[at] != at {
            leader[at] = leader[leader[at]];
            at = leader[at];
        }
        at
    }
    for (one, other) in pairs {
        let (one, other) = (lead(&mut leader, one), lead(&mut leader, other));
        leader[one.max(other)] = one.min(other);
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in 0..records.len() {
        let first = lead(&mut leader, at);
        groups.entry(first).or_default().push(at);
    }
    groups.values().filter(|it| it.len() > 1).map(|places| group(records, places)).collect()
}

fn distance(one: &[u64; 4], other: &[u64; 4]) -> u32 {
    one.iter().zip(other).map(|(one, other)| (one ^ other).count_ones()).sum()
}

fn group(records: &[PictureRecord], places: &[usize]) -> Group {
    let members = || places.iter().map(|&at| &records[at]);
    let mut splits: Vec<Split> = members().map(|it| it.split).collect();
    let mut classes: Vec<Class> = members().map(|it| it.class).collect();
    let mut patients: Vec<&String> = members().filter_map(|it| it.patient.as_ref()).collect();
    splits.sort();
    splits.dedup();
    classes.sort();
    classes.dedup();
    patients.sort();
    patients.dedup();
    Group {
        numbers: members().map(|it| it.number).collect(),
        names: members().map(|it| it.name.clone()).collect(),
        splits,
        classes,
        patients: patients.len(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::exploration) fn record(
        number: usize,
        class: Class,
        split: Split,
    ) -> PictureRecord {
        PictureRecord {
            number,
            name: format!("{number}.png"),
            split,
            class,
            subtype: None,
            patient: Some(format!("child-{number}")),
            original_size: None,
            sha256: [number as u8; 32],
            bytes: 1000,
            brightness: 100.0,
            contrast: 50.0,
            sharpness: 300.0,
            text: Vec::new(),
            levels: [1.0 / 32.0; 32],
            // Far from every other: half of all bits differ.
            hash: std::array::from_fn(|word| {
                0x9E37_79B9_7F4A_7C15_u64.wrapping_mul((number * 4 + word + 1) as u64)
            }),
            gate: None,
        }
    }

    fn records() -> Vec<PictureRecord> {
        let mut records: Vec<PictureRecord> =
            (1..=6).map(|number| record(number, Class::Normal, Split::Train)).collect();
        // 2 and 4 are one file; 5 is 2 with a few bits changed, 6 is 5 with a few more.
        records[3].sha256 = records[1].sha256;
        records[3].hash = records[1].hash;
        records[3].split = Split::Test;
        records[3].class = Class::Pneumonia;
        records[4].hash = records[1].hash;
        records[4].hash[0] ^= 0b1111_1111;
        records[5].hash = records[4].hash;
        records[5].hash[3] ^= 0b1111_1111;
        records
    }

    #[test]
    fn equal_files_are_a_group_that_tells_splits_and_labels() {
        let groups = exact(&records());
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].numbers, [2, 4]);
        assert_eq!(groups[0].splits, [Split::Train, Split::Test]);
        assert_eq!(groups[0].classes, Class::ALL);
        assert_eq!(groups[0].patients, 2);
    }

    #[test]
    fn near_pictures_are_one_group_also_by_way_of_a_third_and_nine_bits_are_too_far() {
        let mut records = records();
        assert_eq!(
            near(&records).iter().map(|it| it.numbers.clone()).collect::<Vec<_>>(),
            [[2, 4, 5, 6]]
        );
        records[4].hash[0] ^= 1 << 8;
        records[5].hash[3] ^= 1 << 8;
        assert_eq!(near(&records), []);
    }
}
