//! Batches, made one ahead of the step that needs them, on a thread of their own.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::augmentation::Augmentation;
use crate::dataset::{Class, Sample, Subtype};
use crate::preprocessing;

/// What one step learns from.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Normalised grey levels, picture after picture.
    pub(crate) images: Vec<f32>,
    /// 1 for pneumonia, 0 for normal.
    pub(crate) pneumonia: Vec<f32>,
    /// 1 for bacterial, 0 for viral, 0.5 where the label says neither.
    pub(crate) bacterial: Vec<f32>,
}

/// The training pictures at one resolution.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) samples: &'a [Sample],
    pub(crate) pictures: Vec<Vec<u8>>,
    pub(crate) side: usize,
    pub(crate) batch: usize,
    pub(crate) seed: u64,
    pub(crate) augmentation: &'a Augmentation,
}

impl Source<'_> {
    /// Steps in an epoch. The last pictures that do not fill a batch wait for another epoch's order.
    pub(crate) fn steps(samples: usize, batch: usize) -> usize {
        samples / batch
    }

    /// Makes the batches of `epoch` from `first` on. The thread ends with the epoch or when the
    /// receiver is dropped.
    pub(crate) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        epoch: usize,
        first: usize,
    ) -> Receiver<Batch> {
        let (sender, receiver) = sync_channel(1);
        scope.spawn(move || {
            let order = self.order(epoch);
            for chosen in order.chunks_exact(self.batch).skip(first) {
                if sender.send(self.batch(epoch, chosen)).is_err() {
                    return;
                }
            }
        });
        receiver
    }

    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.samples.len()).collect();
        order.shuffle(&mut StdRng::seed_from_u64(mixed(self.seed, epoch as u64, u64::MAX)));
        order
    }

    fn batch(&self, epoch: usize, chosen: &[usize]) -> Batch {
        let mut images = Vec::with_capacity(chosen.len() * self.side * self.side);
        for &index in chosen {
            let mut random = StdRng::seed_from_u64(mixed(self.seed, epoch as u64, index as u64));
            let changed = self.augmentation.apply(&self.pictures[index], self.side, &mut random);
            images.extend(changed.into_iter().map(preprocessing::normalise_level));
        }
        let label = |value: &dyn Fn(&Sample) -> f32| {
            chosen.iter().map(|&index| value(&self.samples[index])).collect()
        };
        Batch {
            images,
            pneumonia: label(&|sample| f32::from(u8::from(sample.class == Class::Pneumonia))),
            bacterial: label(&|sample| match sample.subtype {
                Some(Subtype::Bacterial) => 1.0,
                Some(Subtype::Viral) => 0.0,
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
