//! Further pictures to train on, beside a data set that is measured on.
//!
//! Validation and test stay as they are: a figure means the same before and after. A further picture that is
//! one of theirs would be trained on and measured on, so it is left out.

use std::collections::HashSet;

use super::{Partition, Sample, digest};

/// What became of further pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Joined {
    /// Pictures that are trained on as well.
    pub added: usize,
    /// Left out because validation or test has the same picture, or one of the same patient.
    pub held_out: usize,
    /// Left out because the same picture is trained on already.
    pub known: usize,
    /// Of those added, see [`digest()`]; `None` where none was.
    pub sha256: Option<String>,
}

impl Partition {
    /// Adds pictures to those that are trained on, and to none else. Two are the same when the network gets
    /// the same from them, as it does from identical files. Of two the same in `more`, the first counts.
    pub fn join(&mut self, more: Vec<Sample>) -> Joined {
        let held_out = || self.validation.iter().chain(&self.test);
        let measured: HashSet<&[u8]> = held_out().map(|sample| sample.pixels.as_slice()).collect();
        let patients: HashSet<&str> = held_out().map(|sample| sample.patient.as_str()).collect();
        let mut joined = Joined::default();
        let (mut fresh, mut seen): (Vec<Sample>, HashSet<Vec<u8>>) = (Vec::new(), HashSet::new());
        let trained: HashSet<&[u8]> =
            self.train.iter().map(|sample| sample.pixels.as_slice()).collect();
        for sample in more {
            let pixels = sample.pixels.as_slice();
            if measured.contains(pixels) || patients.contains(sample.patient.as_str()) {
                joined.held_out += 1;
            } else if trained.contains(pixels) || !seen.insert(pixels.to_vec()) {
                joined.known += 1;
            } else {
                fresh.push(sample);
            }
        }
        joined.added = fresh.len();
        joined.sha256 = (!fresh.is_empty()).then(|| digest(&fresh));
        self.train.extend(fresh);
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Class, Split};
    use super::*;

    fn sample(split: Split, patient: &str, level: u8) -> Sample {
        Sample {
            name: format!("{patient}.png"),
            split,
            class: Class::Normal,
            subtype: None,
            patient: patient.to_owned(),
            original_size: None,
            sha256: format!("{patient}-{level}"),
            pixels: vec![level; 4],
        }
    }

    fn partition() -> Partition {
        Partition {
            train: vec![sample(Split::Train, "a", 1)],
            validation: vec![sample(Split::Train, "b", 2)],
            test: vec![sample(Split::Test, "c", 3)],
        }
    }

    fn more(patient: &str, level: u8) -> Sample {
        sample(Split::Train, patient, level)
    }

    #[test]
    fn further_pictures_join_those_that_are_trained_on_and_no_others() {
        let (mut data, before) = (partition(), partition());
        let joined = data.join(vec![more("x", 7), more("y", 8)]);
        let new = [more("x", 7), more("y", 8)];
        let sha256 = Some(digest(&new));
        assert_eq!(joined, Joined { added: 2, held_out: 0, known: 0, sha256 });
        let names: Vec<&str> = data.train.iter().map(|sample| sample.name.as_str()).collect();
        assert_eq!(names, ["a.png", "x.png", "y.png"]);
        let measured = |data: &Partition| digest(data.validation.iter().chain(&data.test));
        assert_eq!(measured(&data), measured(&before));
    }

    #[test]
    fn what_is_measured_on_is_never_trained_on() {
        let mut data = partition();
        // The same picture as in validation, as in test, and another picture of a test patient.
        let joined = data.join(vec![more("x", 2), more("y", 3), more("c", 9), more("z", 4)]);
        assert_eq!((joined.added, joined.held_out, joined.known), (1, 3, 0));
        assert!(data.train.iter().all(|sample| ![2, 3, 9].contains(&sample.pixels[0])));
    }

    #[test]
    fn a_picture_is_trained_on_once() {
        let mut data = partition();
        let joined = data.join(vec![more("x", 1), more("y", 5), more("z", 5)]);
        assert_eq!((joined.added, joined.held_out, joined.known), (1, 0, 2));
        assert_eq!(data.train.last().map(|sample| sample.name.as_str()), Some("y.png"));
    }

    #[test]
    fn nothing_more_changes_nothing() {
        let mut data = partition();
        assert_eq!(data.join(Vec::new()), Joined::default());
        assert_eq!(data.train.len(), 1);
    }
}
