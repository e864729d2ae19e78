//! Calibration of a small random network, by the engine that serves.

use std::path::Path;

use lobar_core::engine::{Engine as _, NetworkInput};
use lobar_model::card::Card;
use lobar_model::card::site::{AT_THRESHOLD, AT_THRESHOLD_OF};
use lobar_model::network::Layout;
use lobar_model::weights;
use safetensors::SafeTensors;

use super::*;
use crate::dataset::{Class, Split};

const SMALL: Layout = Layout { blocks: [1, 1, 1, 1], width: 4 };

/// Light that falls from the top, or rises, with noise: another picture for every number.
fn sample(which: usize) -> Sample {
    let side = NetworkInput::SIDE;
    let pixel = |index: usize| {
        let (x, y) = (index % side, index / side);
        let slope = (which * 37 % 101) * y / side + (which * 53 % 89) * x / side;
        (slope + (x * 31 + y * 17 + which * 7) % 23) as u8
    };
    Sample {
        name: format!("{which}.png"),
        split: Split::Train,
        class: Class::Normal,
        subtype: None,
        patient: which.to_string(),
        original_size: None,
        sha256: which.to_string(),
        pixels: (0..side * side).map(pixel).collect(),
    }
}

fn options() -> CalibrateOptions {
    CalibrateOptions {
        site: "north".into(),
        source: CaseSource::Labels,
        sensitivity: 0.9,
        name: None,
        engine: EngineOptions { threads: 1, max_batch: 8, ..EngineOptions::default() },
    }
}

/// Samples whose label is pneumonia where the network's score is high, or where it is not: every fifth the other way round.
fn labelled(model: &Path, number: usize) -> (Vec<Sample>, Vec<f64>) {
    let mut samples: Vec<Sample> = (0..number).map(sample).collect();
    let mut engine = TorchEngine::load(model, &options().engine).unwrap();
    let scores = ask(&mut engine, &samples).unwrap().probability;
    let mut order: Vec<usize> = (0..number).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    for (rank, which) in order.into_iter().enumerate() {
        let is_high = rank >= number / 2;
        let is_ill = if rank % 5 == 2 { !is_high } else { is_high };
        samples[which].class = if is_ill { Class::Pneumonia } else { Class::Normal };
    }
    (samples, scores)
}

#[test]
fn a_calibrated_model_is_its_parent_but_for_one_bias_and_its_card() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (folder.path().join("a.safetensors"), folder.path().join("b.safetensors"));
    weights::random(&model, SMALL, 5).unwrap();
    let (samples, before) = labelled(&model, 140);
    let outcome = calibrate(&model, samples.clone(), Some(&out), &options()).unwrap();

    let parent = Weights::open(&model).unwrap();
    let revision = Weights::open(&out).unwrap();
    let (card, approved) = revision.approve().unwrap();
    assert_eq!(
        (approved.threshold, approved.temperature),
        (outcome.threshold, outcome.temperature)
    );
    assert_eq!(card.version, "random-5-north");
    let site = card.site.as_ref().unwrap();
    assert_eq!((site.images, site.pneumonias, site.patients, site.folds), (140, 70, 140, 5));
    assert_eq!((&*site.parent.version, &*site.parent.sha256), ("random-5", parent.sha256()));
    for figures in [&card.test, &card.validation] {
        let more = &figures.as_ref().unwrap().more;
        assert_eq!(
            (&more[AT_THRESHOLD_OF], &more[AT_THRESHOLD]),
            (&"random-5".into(), &0.5.into())
        );
    }
    let plain = Card { site: None, ..card.clone() };
    assert_eq!(plain.training, parent.card().unwrap().training);

    // To the bit, but for the one bias.
    let bytes = [&model, &out].map(|path| std::fs::read(path).unwrap());
    let [old, new] = [&bytes[0], &bytes[1]].map(|it| SafeTensors::deserialize(it).unwrap());
    assert_eq!(old.names().len(), new.names().len());
    for (name, tensor) in old.iter() {
        let same = tensor.data() == new.tensor(name).unwrap().data();
        assert_eq!(same, name != "head.pneumonia.bias", "{name}");
    }

    // The engine answers as was fitted, and flags nine of ten.
    let mut engine = TorchEngine::load(&out, &options().engine).unwrap();
    let answers = ask(&mut engine, &samples).unwrap();
    for (before, after) in before.iter().zip(&answers.probability) {
        let logit = (before / (1.0 - before)).ln();
        let fitted = 1.0 / (1.0 + (-(logit + site.bias) / outcome.temperature).exp());
        assert!((fitted - after).abs() < 1e-3, "{fitted} {after}");
    }
    let flagged = answers.probability.iter().zip(&answers.is_pneumonia);
    let found = flagged.filter(|(score, ill)| **ill && **score >= engine.info().threshold).count();
    assert_eq!(found, 63, "nine of ten of 70");
}

#[test]
fn nothing_is_written_where_chance_would_decide() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (folder.path().join("a.safetensors"), folder.path().join("b.safetensors"));
    weights::random(&model, SMALL, 5).unwrap();
    let (mut samples, _) = labelled(&model, 140);
    let refused = |samples: &[Sample], options: &CalibrateOptions| {
        let error = calibrate(&model, samples.to_vec(), Some(&out), options).unwrap_err();
        assert!(!out.exists());
        error.to_string()
    };
    let told = refused(&samples[..100], &options());
    assert!(told.contains("site north") && told.contains("60 and 60"), "{told}");
    let told = refused(&samples, &CalibrateOptions { sensitivity: 0.99, ..options() });
    assert!(told.contains("300 and 60"), "{told}");
    // Two images of each patient are no more patients.
    let mut pairs = samples.clone();
    pairs.iter_mut().enumerate().for_each(|(n, it)| it.patient = (n / 2).to_string());
    assert!(refused(&pairs, &options()).contains("show "), "counted by patient");
    // Labels the other way round: what scores high is normal.
    for it in &mut samples {
        it.class = match it.class {
            Class::Normal => Class::Pneumonia,
            Class::Pneumonia => Class::Normal,
        };
    }
    let told = refused(&samples, &options());
    assert!(told.contains("do not rise with pneumonia"), "{told}");
}

#[test]
fn the_model_s_own_file_and_its_own_training_images_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("a.safetensors");
    weights::random(&model, SMALL, 5).unwrap();
    let (samples, _) = labelled(&model, 140);
    let error = calibrate(&model, samples.clone(), Some(&model), &options()).unwrap_err();
    assert!(matches!(error, CalibrateError::Same), "{error}");
    let mut card = Weights::open(&model).unwrap().card().unwrap().clone();
    card.training.data_sha256 = digest(&samples);
    weights::attach(&model, &model, "novelty.", &[], &card).unwrap();
    let error = calibrate(&model, samples, None, &options()).unwrap_err();
    assert!(matches!(error, CalibrateError::TrainedOn(_)), "{error}");
}

#[test]
fn the_same_images_give_the_same_calibration_and_words_that_name_both_thresholds() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("a.safetensors");
    weights::random(&model, SMALL, 5).unwrap();
    let (samples, _) = labelled(&model, 140);
    let [one, two] =
        [(); 2].map(|()| calibrate(&model, samples.clone(), None, &options()).unwrap());
    let same = |it: &Outcome| (it.threshold, it.temperature, it.calibration.after.clone());
    assert_eq!(same(&one), same(&two));
    let text = one.to_string();
    for words in ["140 images of 140 patients; 70 show pneumonia (50 %)", "before 0.500, which is"]
    {
        assert!(text.contains(words), "{text}");
    }
    let interval = one.calibration.threshold_interval.unwrap();
    assert!(interval.low <= one.threshold && one.threshold <= interval.high, "{text}");
    assert_eq!(text.contains("No evidence"), !one.threshold_differs);
}
