//! How much each picture weighs in the loss.

use std::collections::BTreeMap;

use crate::dataset::{Class, Corner, Sample, burnt_in_text};

/// The most that a picture weighs beside one of a class and group that is neither rare nor frequent. Without it the two
/// normals of a unit with a hundred ill would be learnt by heart.
const HEAVIEST: f64 = 4.0;

/// A weight for each sample, about 1 on average: each class weighs the same over the training set, or, `by_groups`,
/// within the films of each unit, told by the text in their corners. So the unit no longer tells the class.
pub(super) fn weights(train: &[Sample], by_groups: bool) -> Vec<f32> {
    let group = |sample: &Sample| match by_groups {
        true => burnt_in_text(&sample.pixels),
        false => Vec::new(),
    };
    let groups: Vec<Vec<Corner>> = train.iter().map(group).collect();
    let mut counts: BTreeMap<&[Corner], [usize; 2]> = BTreeMap::new();
    for (sample, group) in train.iter().zip(&groups) {
        counts.entry(group).or_default()[usize::from(sample.class == Class::Pneumonia)] += 1;
    }
    let all = train.iter().filter(|sample| sample.class == Class::Pneumonia).count();
    let overall = [train.len() - all, all];
    let weight = |sample: &Sample, group: &[Corner]| {
        let class = usize::from(sample.class == Class::Pneumonia);
        // A group of one class alone has nothing to balance: its films weigh as their class does.
        let of = counts.get(group).copied().filter(|of| !of.contains(&0)).unwrap_or(overall);
        let weight = (of[0] + of[1]) as f64 / (2.0 * of[class].max(1) as f64);
        weight.clamp(1.0 / HEAVIEST, HEAVIEST) as f32
    };
    train.iter().zip(&groups).map(|(sample, group)| weight(sample, group)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Split;

    fn sample(class: Class, text: bool) -> Sample {
        let mut pixels = vec![40; 224 * 224];
        for letter in (0..5).filter(|_| text) {
            for y in 212..219 {
                for x in 0..2 {
                    pixels[y * 224 + 190 + letter * 4 + x] = 240;
                }
            }
        }
        Sample {
            name: String::new(),
            split: Split::Train,
            class,
            subtype: None,
            patient: String::new(),
            original_size: None,
            sha256: String::new(),
            pixels,
        }
    }

    #[test]
    fn each_class_weighs_the_same_and_within_each_unit_where_that_is_asked_for() {
        let (normal, ill) = (Class::Normal, Class::Pneumonia);
        // Without text three normals and one ill, with text one normal and two ill.
        let train: Vec<Sample> =
            [(normal, 3, false), (ill, 1, false), (normal, 1, true), (ill, 2, true)]
                .into_iter()
                .flat_map(|(class, count, text)| (0..count).map(move |_| sample(class, text)))
                .collect();
        let plain = weights(&train, false);
        assert_eq!(plain[0], 7.0 / 8.0);
        assert_eq!(plain[3], 7.0 / 6.0);
        let grouped = weights(&train, true);
        assert_eq!((grouped[0], grouped[3]), (4.0 / 6.0, 2.0));
        assert_eq!((grouped[4], grouped[5]), (1.5, 0.75));
        let only_ill = [sample(normal, false), sample(normal, false), sample(ill, true)];
        assert_eq!(weights(&only_ill, true), [0.75, 0.75, 1.5]);
    }
}
