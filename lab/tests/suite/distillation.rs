//! Teachers: how they are made, who may learn from them, and that it is kept on record.

use lobar_lab::training::{
    Distillation, ResolutionStage, TrainError, TrainOptions, TrainReport, train,
};
use lobar_model::network::Architecture;
use lobar_model::weights::Weights;

use crate::training::{Folder, options, write_pictures};

/// One that begins with ImageNet's weights.
fn teacher(folder: &Folder) -> TrainReport {
    let imagenet =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../.imagenet/efficientnet-lite0.safetensors");
    let options = TrainOptions {
        architecture: Architecture::EfficientNetLite0,
        init: vec![imagenet.into()],
        stages: vec![ResolutionStage::new(64, 2)],
        version: Some("teacher".into()),
        ..options(folder, folder.0.join("teacher"))
    };
    train(&options, |_| {}).unwrap()
}

fn student(folder: &Folder, name: &str, distillation: Distillation) -> TrainOptions {
    let stages = vec![ResolutionStage::new(32, 2)];
    TrainOptions { stages, distillation, ..options(folder, folder.0.join(name)) }
}

#[test]
fn a_teacher_is_measured_on_validation_and_is_not_served_and_a_student_of_it_is() {
    let _alone = crate::alone();
    let folder = Folder::new("teacher");
    write_pictures(&folder.0.join("data"));
    let taught = teacher(&folder);
    assert_eq!(taught.card.architecture.as_deref(), Some("efficientnet-lite0"));
    assert!(taught.card.validation.is_some() && taught.card.test.is_none());
    assert_eq!(taught.on_validation.stress.len(), 22);
    let refused = Weights::open(&taught.model).unwrap().approve().unwrap_err().to_string();
    assert!(refused.contains("a teacher") && refused.contains("--teacher"), "{refused}");
    assert!(!folder.0.join("data/test-looks.jsonl").exists(), "a teacher looked at the test split");

    let from =
        |teachers| Distillation { teachers, views: 2, consistency: 0.5, ..Distillation::default() };
    let options = student(&folder, "student", from(vec![taught.model.clone()]));
    let report = train(&options, |_| {}).unwrap();
    Weights::open(&report.model).unwrap().approve().unwrap();
    let settings = &report.card.training.settings;
    assert_eq!(settings["teacher_sha256"], Weights::open(&taught.model).unwrap().sha256());
    assert_eq!((&settings["teacher_share"], &settings["views"]), (&0.7.into(), &2.into()));
    // The test split was shown to it, and it says the how manieth it was.
    assert_eq!(report.card.test.as_ref().unwrap().more["looks"], 1);
    assert_eq!(report.on_test.as_ref().unwrap().stress.len(), 22);

    // A student is a teacher, too; and another teacher makes another run.
    let again = student(&folder, "again", from(vec![taught.model, report.model.clone()]));
    let second = train(&again, |_| {}).unwrap();
    assert_eq!(second.card.test.as_ref().unwrap().more["looks"], 2);
    let other = TrainOptions { distillation: from(vec![report.model]), ..again };
    assert!(matches!(train(&other, |_| {}), Err(TrainError::Checkpoint { .. })));
}

#[test]
fn a_teacher_that_knows_the_validation_images_or_has_no_card_is_refused() {
    let _alone = crate::alone();
    let folder = Folder::new("refused");
    write_pictures(&folder.0.join("data"));
    let first = train(&student(&folder, "first", Distillation::default()), |_| {}).unwrap();
    let from = |teacher| Distillation { teachers: vec![teacher], ..Distillation::default() };
    let other_cut =
        TrainOptions { split_seed: 2, ..student(&folder, "other", from(first.model.clone())) };
    let error = train(&other_cut, |_| {}).unwrap_err();
    assert!(error.to_string().contains("--split-seed 1"), "{error}");
    let error = train(&student(&folder, "bare", from(first.weights)), |_| {}).unwrap_err();
    assert!(error.to_string().contains("carries no card"), "{error}");
}

#[test]
fn views_and_shares_that_make_no_sense_are_refused_before_anything_is_read() {
    for distillation in [
        Distillation { share: 1.5, ..Distillation::default() },
        Distillation { views: 0, ..Distillation::default() },
        Distillation { views: 3, ..Distillation::default() },
        Distillation { consistency: 1.0, ..Distillation::default() },
        Distillation { consistency: f64::NAN, views: 2, ..Distillation::default() },
    ] {
        let options = TrainOptions { distillation, ..TrainOptions::new("/nowhere", "/nowhere") };
        assert!(matches!(train(&options, |_| {}), Err(TrainError::Options(_))));
    }
}
