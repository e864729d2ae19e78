//! Whose image it is, from the metadata of its object.

use lobar_core::image::{Lane, NewImage, State};
use lobar_core::object::ImageId;
use lobar_core::object_store::{ObjectMetadata, ObjectStore as _, Upload};
use lobar_core::study::Identity;
use lobar_tests::rig::{Rig, ScriptedEngine};

use super::picture;

/// Puts an object with metadata, admits it and sends its job.
async fn admit(rig: &Rig, key: &str, body: Vec<u8>, said: &[(&str, &str)]) -> ImageId {
    let pairs = said.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let metadata: ObjectMetadata = pairs.collect();
    let upload = Upload { key: key.into(), body: body.into(), lane: Lane::Routine, metadata };
    let object = rig.bucket.put(upload).await.expect("stored");
    let new = NewImage { object, lane: Lane::Routine };
    let image = rig.store.inner.admit(&[new]).await.expect("admitted")[0].id();
    rig.send(image, Lane::Routine).await;
    image
}

async fn identity(rig: &Rig, image: ImageId) -> Option<Identity> {
    rig.studies.of(&[image]).await.expect("asked").remove(&image)
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_says_whose_image_it_is_also_of_one_that_needs_a_human() {
    let rig = Rig::open().await;
    let said = [("patient-id", "7"), ("patient-name", "M%C3%BCller%5EJana")];
    let dated = [said[0], ("study-date", "2024-01-01")];
    let a = admit(&rig, "incoming/north/a.jpg", picture(1), &said).await;
    let b = admit(&rig, "incoming/north/b.jpg", b"no picture".to_vec(), &dated).await;
    let silent = admit(&rig, "incoming/north/c.jpg", picture(2), &[]).await;
    let hostile =
        [("patient-id", "7%001"), ("patient-name", "=?UTF-8?B?AAAA?="), ("accession", "X")];
    let hostile = admit(&rig, "incoming/north/d.jpg", picture(3), &hostile).await;
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    rig.until_quiet().await;
    assert_eq!((rig.count(State::Ready).await, rig.count(State::NeedsHuman).await), (3, 1));
    working.stop().await.expect("a graceful stop");
    let one = identity(&rig, a).await.expect("known");
    assert_eq!(one.attributes.patient.name.as_deref(), Some("Müller^Jana"));
    assert_eq!(identity(&rig, b).await.expect("known").patient, one.patient);
    let priors = rig.studies.priors(a, 10).await.expect("asked");
    assert_eq!(priors.into_iter().map(|prior| prior.id).collect::<Vec<_>>(), [b]);
    assert!(identity(&rig, silent).await.is_none());
    let hostile = identity(&rig, hostile).await.expect("known").attributes;
    assert!(hostile.patient.id.id.is_empty() && hostile.patient.name.is_none());
    assert_eq!(hostile.study.accession.as_deref(), Some("X"));
}
