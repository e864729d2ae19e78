//! Batches, made ahead of the step that needs them, on threads of their own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use lobar_model::preprocessing;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::augmentation::Augmentation;
use crate::dataset::{Class, Etiology, Sample};

/// What one step learns from.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Normalised grey levels, picture after picture, the views of one beside one another.
    pub(crate) images: Vec<f32>,
    /// 1 for pneumonia, 0 for normal.
    pub(crate) pneumonia: Vec<f32>,
    /// How much each weighs in the loss of pneumonia, see [`super::balance`].
    pub(crate) weights: Vec<f32>,
    /// 1 for bacterial, 0 for viral, 0.5 where the label says neither.
    pub(crate) bacterial: Vec<f32>,
}

/// The training pictures at one resolution.
#[derive(Debug)]
pub(crate) struct DataLoader<'a> {
    pub(crate) samples: &'a [Sample],
    pub(crate) pictures: Vec<Vec<u8>>,
    /// One for each sample.
    pub(crate) weights: &'a [f32],
    pub(crate) side: usize,
    pub(crate) batch: usize,
    /// How often each picture is in a batch, changed differently. Divides `batch`.
    pub(crate) views: usize,
    pub(crate) seed: u64,
    pub(crate) augmentation: &'a Augmentation,
}

impl DataLoader<'_> {
    /// Steps in an epoch. The last pictures that do not fill a batch wait for another epoch's order.
    pub(crate) fn steps(samples: usize, batch: usize, views: usize) -> usize {
        samples / (batch / views)
    }

    /// Makes the batches of `epoch` from `first` on, in order, on `threads` threads: the first makes the
    /// first batch, the next the second, and so on in turns, each at most one ahead. They end with the
    /// epoch or when the batches are dropped.
    pub(crate) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        epoch: usize,
        first: usize,
        threads: usize,
    ) -> impl Iterator<Item = Batch> + use<'scope> {
        let order = Arc::new(self.order(epoch));
        let makers: Vec<Receiver<Batch>> = (0..threads)
            .map(|maker| {
                let (sender, receiver) = sync_channel(1);
                let order = order.clone();
                scope.spawn(move || {
                    let mine = order.chunks_exact(self.batch / self.views).skip(first + maker);
                    for chosen in mine.step_by(threads) {
                        if sender.send(self.batch(epoch, chosen)).is_err() {
                            return;
                        }
                    }
                });
                receiver
            })
            .collect();
        (0..threads).cycle().map_while(move |maker| makers[maker].recv().ok())
    }

    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.samples.len()).collect();
        order.shuffle(&mut StdRng::seed_from_u64(mixed(self.seed, epoch as u64, u64::MAX)));
        order
    }

    fn batch(&self, epoch: usize, chosen: &[usize]) -> Batch {
        let mut images = Vec::with_capacity(self.batch * self.side * self.side);
        let views =
            || chosen.iter().flat_map(|&index| (0..self.views).map(move |view| (index, view)));
        for (index, view) in views() {
            let seed = mixed(self.seed, epoch as u64, index as u64);
            // The first view is what it is where there is but one.
            let seed = if view == 0 { seed } else { mixed(seed, view as u64, 0) };
            let mut random = StdRng::seed_from_u64(seed);
            let changed = self.augmentation.apply(&self.pictures[index], self.side, &mut random);
            images.extend(changed.into_iter().map(preprocessing::normalise_level));
        }
        let label = |value: &dyn Fn(&Sample) -> f32| {
            views().map(|(index, _)| value(&self.samples[index])).collect()
        };
        Batch {
            images,
            pneumonia: label(&|sample| f32::from(u8::from(sample.class == Class::Pneumonia))),
            weights: views().map(|(index, _)| self.weights[index]).collect(),
            bacterial: label(&|sample| match sample.subtype {
                Some(Etiology::Bacterial) => 1.0,
                Some(Etiology::Viral) => 0.0,
                None => 0.5,
            }),
        }
    }
}

/// One seed of three numbers (the finaliser of splitmix64 over each in turn).
pub(crate) fn mixed(seed: u64, a: u64, b: u64) -> u64 {
    [a, b].into_iter().fold(seed, |state, value| {
        let z = (state ^ value).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Split;

    fn sample(number: usize) -> Sample {
        Sample {
            name: format!("{number}.jpeg"),
            split: Split::Train,
            class: if number.is_multiple_of(2) { Class::Normal } else { Class::Pneumonia },
            subtype: None,
            patient: number.to_string(),
            original_size: None,
            sha256: String::new(),
            pixels: Vec::new(),
        }
    }

    #[test]
    fn batches_come_in_the_same_order_and_are_the_same_however_many_threads_make_them() {
        let samples: Vec<Sample> = (0..23).map(sample).collect();
        let source = DataLoader {
            samples: &samples,
            pictures: (0..23).map(|number| vec![number; 32 * 32]).collect(),
            weights: &[1.0; 23],
            side: 32,
            batch: 2,
            views: 1,
            seed: 7,
            augmentation: &Augmentation::default(),
        };
        let batches = |threads: usize, first: usize| {
            std::thread::scope(|scope| {
                let made = source.start(scope, 3, first, threads);
                made.map(|batch| (batch.images, batch.pneumonia)).collect::<Vec<_>>()
            })
        };
        let alone = batches(1, 0);
        assert_eq!(alone.len(), DataLoader::steps(23, 2, 1));
        assert_eq!(alone, batches(3, 0));
        assert_eq!(alone[4..], batches(3, 4));
    }

    #[test]
    fn the_views_of_a_picture_stand_beside_one_another_and_differ() {
        let samples = vec![sample(0), sample(1), sample(2)];
        let mut source = DataLoader {
            samples: &samples,
            pictures: (0..3)
                .map(|number| (0..32 * 32).map(|p| (p * (number + 3) % 251) as u8).collect())
                .collect(),
            weights: &[1.0; 3],
            side: 32,
            batch: 4,
            views: 2,
            seed: 7,
            augmentation: &Augmentation::default(),
        };
        let batch = source.batch(0, &[2, 1]);
        assert_eq!(batch.pneumonia, [0.0, 0.0, 1.0, 1.0]);
        let views: Vec<&[f32]> = batch.images.chunks(32 * 32).collect();
        assert!(views.len() == 4 && views[0] != views[1] && views[2] != views[3]);
        source.views = 1;
        let alone = source.batch(0, &[2, 1]);
        assert_eq!(views[0], &alone.images[..32 * 32]);
    }
}
