//! A store so simple that it is seen to be right, taking one thing after the other, and many random
//! batches on both.

use std::collections::HashMap;
use std::sync::Arc;

use lobar_core::event::Seq;
use lobar_core::image::{NewImage, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::store::{Basis, Claim, Completion, Fence, Held, Store};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::{StoreHarness, image, new, object, ready, unversioned};

/// One image as the model sees it.
struct Entry {
    object: ObjectVersion,
    order: Option<u64>,
    state: State,
    /// The fence that can finish it.
    fence: Option<Fence>,
}

/// What was deleted: one version, or a key; and when, as far as sequencers tell.
struct Deletion {
    object: ObjectVersion,
    order: Option<u64>,
}

#[derive(Default)]
struct Model {
    images: Vec<Entry>,
    deletions: Vec<Deletion>,
    /// Every claim ever granted.
    claims: Vec<Held>,
}

fn order(object: &ObjectVersion) -> Option<u64> {
    u64::from_str_radix(object.sequencer.as_deref()?, 16).ok()
}

impl Model {
    fn admit(&mut self, object: &ObjectVersion) {
        let order = order(object);
        let newest = self
            .images
            .iter()
            .filter(|entry| entry.object.key == object.key)
            .filter_map(|e| e.order)
            .max();
        if let Some(place) = self.images.iter().position(|entry| entry.object.id() == object.id()) {
            let gone = matches!(self.images[place].state, State::Superseded | State::Removed);
            let mut of_key = self.deletions_of(object).filter(|d| d.object.version.is_none());
            let after_images = match newest {
                Some(_) => order > newest,
                None => order.is_some() && of_key.any(|d| d.object.etag.is_none()),
            };
            drop(of_key);
            let latest = after_images
                && self.deletions_of(object).all(|d| d.order.is_some() && order > d.order);
            let mut own = self.deletions_of(object).filter(|d| d.object.version.is_some());
            let comes_back = object.version.is_none() || own.next().is_none();
            drop(own);
            if gone && latest && comes_back {
                self.supersede(object);
                let entry = &mut self.images[place];
                (entry.state, entry.order) = (State::Queued, order);
            } else if !gone {
                let entry = &mut self.images[place];
                entry.order = entry.order.max(order);
            }
            return;
        }
        let removed = self.deletions_of(object).any(|deletion| {
            let known = order.is_some() && deletion.order.is_some();
            match (deletion.object.version.is_some(), deletion.object.etag.is_some()) {
                (true, _) => true,
                (false, true) => !known || order < deletion.order,
                (false, false) => known && order < deletion.order,
            }
        });
        let late = order.is_some() && order < newest;
        let state = match (removed, late) {
            (true, _) => State::Removed,
            (false, true) => State::Superseded,
            (false, false) => {
                self.supersede(object);
                State::Queued
            }
        };
        self.images.push(Entry { object: object.clone(), order, state, fence: None });
    }

    /// Deletions of this very version, or of its whole key with an order.
    fn deletions_of(&self, object: &ObjectVersion) -> impl Iterator<Item = &Deletion> {
        self.deletions.iter().filter(move |deletion| {
            let whole_key = deletion.object.version.is_none() && deletion.object.etag.is_none();
            match whole_key {
                true => deletion.object.key == object.key && deletion.order.is_some(),
                false => deletion.object.id() == object.id(),
            }
        })
    }

    fn supersede(&mut self, object: &ObjectVersion) {
        for entry in self.images.iter_mut().filter(|entry| entry.object.key == object.key) {
            if !matches!(entry.state, State::Superseded | State::Removed) {
                (entry.state, entry.fence) = (State::Superseded, None);
            }
        }
    }

    fn remove(&mut self, object: &ObjectVersion) {
        let order = order(object);
        let whole_key = object.version.is_none() && object.etag.is_none();
        for entry in &mut self.images {
            let concerned = match whole_key {
                true => entry.object.key == object.key,
                false => entry.object.id() == object.id(),
            };
            let later = object.version.is_none() && order.is_some() && entry.order > order;
            if concerned && !later {
                (entry.state, entry.fence) = (State::Removed, None);
            }
        }
        // Of one image, the first deletion counts unless a later one has the higher order.
        let known = self.deletions.iter_mut().find(|known| {
            if whole_key {
                known.object.key == object.key
                    && known.object.version.is_none()
                    && known.object.etag.is_none()
            } else {
                (known.object.version.is_some() || known.object.etag.is_some())
                    && known.object.id() == object.id()
            }
        });
        match known {
            Some(known) => {
                if known.order.is_some() || whole_key {
                    known.order = known.order.max(order);
                }
            }
            None => self.deletions.push(Deletion { object: object.clone(), order }),
        }
    }

    fn entry(&mut self, id: ImageId) -> Option<&mut Entry> {
        self.images.iter_mut().find(|entry| entry.object.id() == id)
    }
}

/// Some object of a small world, so that the same ones come again and again.
fn any_object(random: &mut StdRng) -> ObjectVersion {
    let key = format!("incoming/north/{}.jpg", random.random_range(0..3));
    let order = random.random_bool(0.7).then(|| random.random_range(1..40));
    let name = random.random_range(0..6);
    if key.contains('0') {
        unversioned(&key, &format!("e{name}"), order)
    } else {
        // A version is put once, with a sequencer or without; it may be current again later.
        let put = (name % 3 != 0).then_some(u64::from(name as u32 * 7 % 40 + 1));
        let again = random.random_bool(0.3);
        object(&key, &format!("v{name}"), if again { order } else { put })
    }
}

/// Runs random steps on a store and on its model, and compares the states of all images.
pub async fn agrees<H: StoreHarness>() {
    for seed in 0..8 {
        let mut random = StdRng::seed_from_u64(seed);
        let harness = H::start().await;
        let handles = [harness.open().await, harness.open().await];
        let mut model = Model::default();
        for step in 0..60 {
            let store = handles.choose(&mut random).expect("two handles").clone();
            one_step(store.clone(), &mut model, &mut random).await;
            for entry in &model.images {
                let stored = image(&*store, entry.object.id()).await.state;
                assert_eq!(stored, entry.state, "seed {seed}, step {step}, {:?}", entry.object);
            }
        }
        let mut last = HashMap::new();
        for event in handles[0].events(Seq(0), usize::MAX).await.expect("events") {
            last.insert(event.image, event.state);
        }
        assert!(last.len() > 8, "the steps of seed {seed} did something");
        for entry in &model.images {
            assert_eq!(last[&entry.object.id()], entry.state, "the log ends where the image is");
        }
    }
}

async fn one_step(store: Arc<dyn Store>, model: &mut Model, random: &mut StdRng) {
    match random.random_range(0..10) {
        0..=4 => {
            let batch: Vec<NewImage> =
                (0..random.random_range(1..5)).map(|_| new(&any_object(random))).collect();
            store.admit(&batch).await.expect("admitted");
            batch.iter().for_each(|image| model.admit(&image.object));
        }
        5 => {
            let mut deleted = any_object(random);
            deleted.sequencer =
                random.random_bool(0.6).then(|| format!("{:X}", random.random_range(1..40)));
            if random.random_bool(0.5) {
                (deleted.version, deleted.etag) = (None, None);
            }
            store.remove(&deleted).await.expect("removed");
            model.remove(&deleted);
        }
        6 | 7 => {
            let id = any_object(random).id();
            let claim = store.claim(&[id], 1_000).await.expect("claimed").remove(0);
            match (model.entry(id), claim) {
                (None, claim) => assert_eq!(claim, Claim::Unknown),
                (Some(entry), Claim::Granted(claimed)) => {
                    assert!(!entry.state.is_terminal());
                    (entry.state, entry.fence) = (State::Analysing, Some(claimed.fence));
                    model.claims.push(claimed.held());
                }
                (Some(entry), claim) => assert_eq!(claim, Claim::Settled(entry.state)),
            }
        }
        other => {
            let Some(held) = model.claims.choose(random).copied() else { return };
            let Held { id, fence, .. } = held;
            let entry = model.entry(id).expect("it was claimed");
            let current = entry.fence == Some(fence);
            if other == 8 {
                let done = Completion {
                    id,
                    fence,
                    outcome: ready(0.1),
                    trace: None,
                    basis: Basis::default(),
                };
                assert_eq!(store.complete(&[done]).await.expect("completed"), [current]);
            } else {
                store.release(&[held]).await.expect("released");
            }
            if current {
                entry.state = if other == 8 { State::Ready } else { State::Queued };
                entry.fence = None;
            }
        }
    }
}
