//! Who has read an image.

use lobar_core::exposure::{Answer, Exposure, NewOpinion, Source, Visible};
use lobar_core::finding::Label;
use lobar_core::worklist::{Claiming, ReadState, Readership};

use super::*;

async fn known(kept: &Kept, image: ImageId) -> Readership {
    kept.worklist.readership(&[image]).await.expect("asked").remove(&image).unwrap_or_default()
}

async fn paint(kept: &Kept, image: ImageId, by: &Reader, visible: Visible, at: Stamp) {
    let painted = Exposure {
        id: Uuid::now_v7(),
        image,
        reader: by.id,
        session: None,
        source: Source::Painted,
        visible,
        answer: Answer { model_version: "7".into(), model_sha256: "00ff".into() },
        at,
        millis: 250,
    };
    kept.exposures.expose(&[painted]).await.expect("kept");
}

pub async fn the_newest_verdict_tells_who_has_read_an_image_and_before_any_what_was_painted_or_said_of_it_first<
    H: WorklistHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let image = flagged(&kept, "1").await;
    let other = flagged(&kept, "2").await;
    assert_eq!(known(&kept, image).await.state(), ReadState::Unread);

    // A flag in a list is no look at the image.
    paint(&kept, image, &reader(1), Visible::FLAG, harness.now()).await;
    assert_eq!(known(&kept, image).await.state(), ReadState::Unread);
    let local = Reader { id: Uuid::nil(), name: "local".into() };
    let word = Visible::FLAG | Visible::WORD;
    paint(&kept, image, &local, word, harness.now()).await;
    let seen = known(&kept, image).await;
    assert_eq!(seen.state(), ReadState::Read);
    assert_eq!(seen.looked, Some((Some("local".into()), harness.now())));

    harness.advance(MINUTE).await;
    let opinion = NewOpinion {
        image,
        reader: reader(2),
        role: "clinician".into(),
        session: None,
        label: Some(Label::Normal),
        rendering: None,
    };
    kept.exposures.give(&opinion).await.expect("given");
    let seen = known(&kept, image).await;
    assert_eq!(seen.looked, Some((Some(reader(2).name), harness.now())), "the newest counts");

    harness.advance(MINUTE).await;
    agree(&kept, image, &reader(2)).await;
    agree(&kept, image, &reader(3)).await;
    let verified = known(&kept, image).await;
    assert_eq!(verified.state(), ReadState::Verified);
    assert_eq!(verified.readings.newest().map(|given| &given.reader), Some(&reader(3).name));

    let again = kept.worklist.claim_reading(image, &reader(4), Claiming::Open, LEASE).await;
    assert!(again.expect("asked").is_some());
    assert_eq!(known(&kept, image).await.state(), ReadState::Reading);
    assert_eq!(known(&kept, other).await, Readership::default(), "each image has its own");
}
