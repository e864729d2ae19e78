//! A small random model, quantized on drawn pictures.

use std::path::PathBuf;

use lobar_model::golden;
use lobar_model::network::Layout;

use super::*;
use crate::dataset::{Class, Split, digest};

const SMALL: Layout = Layout { blocks: [1, 1, 1, 1], width: 8 };

/// Golden pictures in turn, each under a name of its own.
fn data() -> Partition {
    let pictures = golden::pictures();
    let sample = |number: usize| Sample {
        name: number.to_string(),
        split: Split::Train,
        class: if number.is_multiple_of(2) { Class::Normal } else { Class::Pneumonia },
        subtype: None,
        patient: number.to_string(),
        original_size: None,
        sha256: number.to_string(),
        pixels: pictures[number % golden::COUNT].pixels().to_vec(),
    };
    Partition {
        train: (0..20).map(sample).collect(),
        validation: (20..32).map(sample).collect(),
        test: Vec::new(),
    }
}

/// A model of random weights whose card names the images of [`data`]; removed by the caller.
fn model(name: &str) -> PathBuf {
    let path =
        std::env::temp_dir().join(format!("lobar-{name}-{}.safetensors", std::process::id()));
    weights::random(&path, SMALL, 5).unwrap();
    let mut card = Weights::open(&path).unwrap().card().unwrap().clone();
    let data = data();
    card.training.data_sha256 = digest(data.train.iter().chain(&data.validation));
    weights::attach(&path, &path, PREFIX, &[], &card).unwrap();
    path
}

fn options() -> EngineOptions {
    EngineOptions { threads: 1, max_batch: 4, ..EngineOptions::default() }
}

#[test]
fn a_quantized_model_tells_what_every_precision_of_this_machine_costs() {
    let path = model("quantized");
    let card = quantize(&path, &path, &options(), &data(), None).unwrap();
    let written = Weights::open(&path).unwrap().card().cloned();
    std::fs::remove_file(path).unwrap();
    assert_eq!(written.as_ref(), Some(&card));
    assert_eq!(card.version, "random-5-int8");
    let precisions = card.precisions.unwrap();
    assert_eq!((precisions.images, precisions.ranged_on, precisions.threads), (12, 20, 1));
    let exact = precisions.of(Precision::Fp32).unwrap();
    assert_eq!((exact.lost, exact.gained, exact.largest_difference), (0, 0, 0.0));
    for figures in &precisions.figures {
        assert!(figures.images_per_second > 0.0 && figures.largest_difference < 0.1, "{figures:?}");
        assert_eq!(exact.flagged - figures.lost + figures.gained, figures.flagged);
    }
}

#[test]
fn integers_run_by_name_once_a_model_is_quantized() {
    if !is_quick(Precision::Int8, Device::Cpu) {
        return; // the engine refuses them here
    }
    let path = model("quantized-by-name");
    quantize(&path, &path, &options(), &data(), None).unwrap();
    let by_name = EngineOptions { precision: PrecisionChoice::Only(Precision::Int8), ..options() };
    let engine = TorchEngine::load(&path, &by_name).unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(engine.precision(), Precision::Int8);
}

#[test]
fn a_quantized_model_is_quantized_again_only_under_another_name() {
    let path = model("quantized-again");
    quantize(&path, &path, &options(), &data(), None).unwrap();
    let again = quantize(&path, &path, &options(), &data(), None);
    assert!(matches!(again, Err(QuantizeError::Revision(RevisionError::Named(_)))), "{again:?}");
    let named = quantize(&path, &path, &options(), &data(), Some("second")).unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(named.version, "second");
}
