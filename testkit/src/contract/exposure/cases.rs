//! Cases, and labels to compare them with.
#![allow(missing_docs)] // a sentence says it

use std::collections::BTreeMap;

use super::*;

pub async fn a_case_joins_a_first_opinion_with_the_last_verdict_of_the_same_reader_after_it<
    H: ExposureHarness,
>() {
    let harness = H::start().await;
    let (store, verdicts, exposures) = harness.open().await;
    let image = flagged(&*store, 1).await;
    let pause = || harness.advance(Duration::from_secs(1));
    judge(&*verdicts, image, ADA, Opinion::Disagree { label: Label::Normal }).await;
    pause().await;
    let first = give(&*exposures, image, ADA, Label::Normal).await;
    let [case] = cases(&*exposures).await.try_into().expect("one");
    assert_eq!((&case.first, case.site.as_deref()), (&first, Some("north")));
    assert_eq!(case.last, None, "the verdict before it is none after it");
    pause().await;
    judge(&*verdicts, image, ADA, Opinion::NotAssessable { causes: Vec::new() }).await;
    let [case] = cases(&*exposures).await.try_into().expect("one");
    assert_eq!(case.last.map(|last| last.label), Some(None));
    pause().await;
    judge(&*verdicts, image, ADA, Opinion::Agree).await;
    pause().await;
    judge(&*verdicts, image, BEN, Opinion::Disagree { label: Label::Normal }).await;
    let [case] = cases(&*exposures).await.try_into().expect("one");
    assert_eq!(case.last.map(|last| last.label), Some(Some(Label::Pneumonia)));
}

pub async fn a_case_tells_what_was_met_before_the_first_opinion_and_what_was_painted_between_it_and_the_verdict<
    H: ExposureHarness,
>() {
    let harness = H::start().await;
    let (store, verdicts, exposures) = harness.open().await;
    let image = flagged(&*store, 1).await;
    let met = async |source, visible| {
        let met = exposure(image, ADA, source, visible, harness.now());
        exposures.expose(&[met]).await.expect("kept");
        harness.advance(Duration::from_secs(1)).await;
    };
    met(Source::Painted, Visible::FLAG).await;
    let other = exposure(image, BEN, Source::Sent, Visible::RESULT, harness.now());
    exposures.expose(&[other]).await.expect("kept");
    give(&*exposures, image, ADA, Label::Normal).await;
    harness.advance(Duration::from_secs(1)).await;
    met(Source::Sent, Visible::HEATMAP).await;
    met(Source::Painted, Visible::WORD).await;
    met(Source::Painted, Visible::PROBABILITY).await;
    let mut of_another = exposure(image, ADA, Source::Painted, Visible::HEATMAP, harness.now());
    of_another.answer.model_sha256 = "another model's".into();
    exposures.expose(&[of_another]).await.expect("kept");
    judge(&*verdicts, image, ADA, Opinion::Agree).await;
    harness.advance(Duration::from_secs(1)).await;
    met(Source::Painted, Visible::HEATMAP).await;
    let [case] = cases(&*exposures).await.try_into().expect("one");
    assert_eq!(case.before, Visible::FLAG, "what another reader met is theirs");
    assert_eq!(
        case.between,
        Visible::WORD | Visible::PROBABILITY,
        "painted, in time, and of the same answer"
    );
}

pub async fn cases_are_pages_by_time_and_none_is_missed_or_told_twice<H: ExposureHarness>() {
    let harness = H::start().await;
    let (store, _, exposures) = harness.open().await;
    let mut given = Vec::new();
    for n in 0..7 {
        // Some at the same moment.
        if n % 2 == 0 {
            harness.advance(Duration::from_secs(1)).await;
        }
        let image = flagged(&*store, n).await;
        given.push(give(&*exposures, image, ADA, Label::Normal).await);
    }
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = exposures.cases(after, None, 2).await.expect("asked");
        let Some(last) = page.last() else { break };
        after = Some(last.key());
        paged.extend(page.into_iter().map(|case| case.first));
    }
    assert!(paged.windows(2).all(|pair| (pair[0].at, pair[0].id) < (pair[1].at, pair[1].id)));
    let until = exposures.cases(None, Some(given[2].at), 100).await.expect("asked");
    assert_eq!(until.len(), 2);
    given.sort_by_key(|first| (first.at, first.id));
    assert_eq!(paged, given);
}

pub async fn the_labels_of_one_reader_are_their_newest<H: ExposureHarness>() {
    let harness = H::start().await;
    let (store, verdicts, exposures) = harness.open().await;
    let images = [flagged(&*store, 1).await, flagged(&*store, 2).await, flagged(&*store, 3).await];
    let judged = [
        (0, ADA, Opinion::Agree),
        (0, BEN, Opinion::Disagree { label: Label::Normal }),
        (1, BEN, Opinion::Agree),
        (1, BEN, Opinion::Disagree { label: Label::Normal }),
        (2, BEN, Opinion::Agree),
        (2, BEN, Opinion::NotAssessable { causes: Vec::new() }),
    ];
    for (n, reader, opinion) in judged {
        harness.advance(Duration::from_secs(1)).await;
        judge(&*verdicts, images[n], reader, opinion).await;
    }
    let labels = exposures.labels_by(&name(BEN), &images).await.expect("asked");
    assert_eq!(labels, BTreeMap::from([(images[0], Label::Normal), (images[1], Label::Normal)]));
    let none = exposures.labels_by("nobody", &images).await.expect("asked");
    assert_eq!(none, BTreeMap::new());
}
