//! A hospital's bulk upload: real radiographs under many keys, a few broken, a few twice, a few urgent.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use lobar_core::image::Lane;
use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{ObjectStore, Upload};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{broken_files, originals};

/// PUTs at once.
const AT_ONCE: usize = 8;

/// One PUT that was acknowledged.
#[derive(Clone, Debug)]
pub struct Uploaded {
    /// What the store called it.
    pub object: ObjectVersion,
    /// Its place in the plan; of one key, the later one is the current one.
    pub place: usize,
    /// Whether it asked for the fast lane.
    pub stat: bool,
    /// How it must end: `None` when assessed, else the reason it is not.
    pub reason: Option<&'static str>,
    /// When the PUT was acknowledged.
    pub at: std::time::Instant,
}

struct Planned {
    key: String,
    body: Bytes,
    stat: bool,
    reason: Option<&'static str>,
}

/// What will be uploaded, in order.
pub struct BulkUpload(Vec<Planned>);

impl BulkUpload {
    /// `count` PUTs: 2 % broken, 5 % a second time under the same key, 5 % urgent.
    pub fn plan(seed: u64, count: usize) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let folder = tempfile::tempdir().expect("a folder");
        originals(folder.path(), 80.min(count));
        let mut whole: Vec<_> = std::fs::read_dir(folder.path()).expect("readable").collect();
        whole.sort_by_key(|file| file.as_ref().expect("readable").path());
        let whole: Vec<Bytes> = whole
            .into_iter()
            .map(|file| std::fs::read(file.expect("readable").path()).expect("readable").into())
            .collect();
        let broken = broken_files();
        let mut planned: Vec<Planned> = Vec::with_capacity(count);
        for place in 0..count {
            let chance = random.random_range(0..100);
            if chance < 5 && !planned.is_empty() {
                let before = &planned[random.random_range(0..planned.len())];
                let Planned { key, body, stat, reason } = before;
                let (key, body) = (key.clone(), body.clone());
                planned.push(Planned { key, body, stat: *stat, reason: *reason });
                continue;
            }
            let (body, reason) = if chance < 7 {
                let (_, bytes, reason) = &broken[random.random_range(0..broken.len())];
                (Bytes::from(bytes.clone()), Some(*reason))
            } else {
                (whole[place % whole.len()].clone(), None)
            };
            let stat = random.random_range(0..100) < 5;
            let lane = if stat { "stat/" } else { "" };
            let key = format!("incoming/north/{lane}Müller, Anna+{seed} {place:05}.jpeg");
            planned.push(Planned { key, body, stat, reason });
        }
        Self(planned)
    }

    /// Uploads it all. A PUT that fails is tried again by the client, as uploaders do; every one that is
    /// answered counts. A key is put again only when its PUT before was answered: of two at once the store
    /// would choose which is the later.
    pub async fn run(self, bucket: Arc<dyn ObjectStore>) -> Vec<Uploaded> {
        let mut uploaded = Vec::with_capacity(self.0.len());
        for round in self.rounds() {
            let puts = round.into_iter().map(|(place, planned)| {
                let bucket = bucket.clone();
                async move {
                    let Planned { key, body, stat, reason } = planned;
                    let upload =
                        Upload { key, body, lane: Lane::Routine, metadata: Default::default() };
                    let object = bucket.put(upload).await.expect("stored");
                    Uploaded { object, place, stat, reason, at: std::time::Instant::now() }
                }
            });
            uploaded.extend(stream::iter(puts).buffered(AT_ONCE).collect::<Vec<_>>().await);
        }
        uploaded.sort_by_key(|one| one.place);
        uploaded
    }

    /// The first PUTs of all keys, then the second ones, and so on, each with its place in the plan.
    fn rounds(self) -> Vec<Vec<(usize, Planned)>> {
        let mut rounds: Vec<Vec<(usize, Planned)>> = Vec::new();
        let mut puts: HashMap<String, usize> = HashMap::new();
        for (place, planned) in self.0.into_iter().enumerate() {
            let round = puts.entry(planned.key.clone()).or_default();
            if rounds.len() == *round {
                rounds.push(Vec::new());
            }
            rounds[*round].push((place, planned));
            *round += 1;
        }
        rounds
    }
}
