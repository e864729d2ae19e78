//! `lobar doctor --probe`: puts an object into the uploads bucket, sees its notification arrive at ingest, and removes
//! it. What is between the two (the bucket's configuration, topics and rules, the queue's policy, ingest's own settings) is
//! tried as an upload would try it; no image comes of it ([`lobar_core::probe`]).

use std::time::{Duration, Instant};

use lobar_core::diagnostic::Diagnostic;
use lobar_core::failure::{PortError, chain};
use lobar_core::image::Lane;
use lobar_core::object_store::{ObjectStore as _, Upload};
use lobar_core::probe;
use lobar_core::store::Store;
use lobar_s3::S3ObjectStore;
use uuid::Uuid;

const WHAT: &str = "probe: from the bucket to ingest";
/// How often the store is asked.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Probes the way of an upload. `store` is that of the running ingest; it may take `patience`.
pub async fn run(store: &dyn Store, bucket: &S3ObjectStore, patience: Duration) -> Vec<Diagnostic> {
    let id = Uuid::new_v4();
    let body = "Put here by `lobar doctor --probe`, which removes it. No X-ray.\n";
    let upload = Upload {
        key: probe::key(id),
        body: body.into(),
        lane: Lane::Routine,
        metadata: Default::default(),
    };
    let began = Instant::now();
    let object = match bucket.put(upload).await {
        Ok(object) => object,
        Err(error) => {
            let fix = "See what the other lines say of the bucket; the credentials of this command need \
                       s3:PutObject and s3:DeleteObject under incoming/lobar-doctor/.";
            return vec![Diagnostic::fault(WHAT, chain(&error), fix)];
        }
    };
    let mut found = vec![match arrival(store, id, began, patience).await {
        Ok(Some(taken)) => {
            Diagnostic::good(WHAT, format!("arrived after {:.1} s", taken.as_secs_f64()))
        }
        Ok(None) => Diagnostic::fault(
            WHAT,
            format!(
                "an object was stored, and ingest has not heard of it within {} s",
                patience.as_secs()
            ),
            "See that a process with the role ingest runs on this store and this uploads queue, and that the \
             bucket notifies that queue; `lobar quarantine list` shows what ingest refused.",
        ),
        Err(error) => {
            let fix = "See what the other lines say of the store.";
            Diagnostic::fault(WHAT, chain(&error), fix)
        }
    }];
    if let Err(error) = bucket.remove(&object).await {
        let fix = format!("Remove it by hand: {}. No image comes of it.", object.key);
        found.push(Diagnostic::advice("probe: its removal", chain(&error), fix));
    }
    found
}

/// How long it took to arrive.
async fn arrival(
    store: &dyn Store,
    id: Uuid,
    began: Instant,
    patience: Duration,
) -> Result<Option<Duration>, PortError> {
    loop {
        if store.take_probe(id).await? {
            return Ok(Some(began.elapsed()));
        }
        if began.elapsed() > patience {
            return Ok(None);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
