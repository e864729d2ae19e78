//! The check on a small network and on features whose distribution is known.

use std::path::{Path, PathBuf};

use lobar_core::engine::{Engine, NetworkInput, Prediction};
use lobar_model::card::{Card, Novelty};
use lobar_model::engine::{EngineOptions, LoadError, TorchEngine};
use lobar_model::network::Layout;
use lobar_model::novelty::{METHOD, NoveltyDetector};
use lobar_model::weights::{self, Weights, WeightsError};
use tch::{Device, Kind, Tensor};

use super::axes::fit_axes;
use super::head::fit_head;
use super::*;
use crate::dataset::{Class, Partition, Sample, Split, digest};
use crate::export::{ExportOptions, Format, export};
use crate::revision::RevisionError;

const SMALL: Layout = Layout { blocks: [1, 1, 1, 1], width: 4 };

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lobar-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A dark half above a bright one, with a little noise and another light in each.
fn sample(which: usize) -> Sample {
    let side = NetworkInput::SIDE;
    let pixels = (0..side * side).map(|index| {
        let (x, y) = (index % side, index / side);
        let ground = if y < side / 2 { 40 } else { 150 };
        ground + (which % 13) as u8 * 4 + drawing::hash(x / 8, y / 8, which as u32) / 16
    });
    Sample {
        name: which.to_string(),
        split: Split::Train,
        class: Class::Normal,
        subtype: None,
        patient: which.to_string(),
        original_size: None,
        sha256: which.to_string(),
        pixels: pixels.collect(),
    }
}

fn data() -> Partition {
    Partition {
        train: (0..48).map(sample).collect(),
        validation: (48..68).map(sample).collect(),
        test: Vec::new(),
    }
}

fn options() -> EngineOptions {
    EngineOptions { threads: 1, max_batch: 8, ..EngineOptions::default() }
}

/// What a check is fitted to, when no films are given.
fn shown(data: &Partition) -> Shown<'_> {
    Shown { data, outliers: None }
}

/// A model of random weights whose card names the images of [`data`].
fn model(path: &Path) -> Card {
    weights::random(path, SMALL, 5).unwrap();
    let mut card = Weights::open(path).unwrap().card().unwrap().clone();
    let data = data();
    card.training.data_sha256 = digest(data.train.iter().chain(&data.validation));
    weights::attach(path, path, "novelty.", &[], &card).unwrap();
    card
}

fn answers(path: &Path, pictures: &[Vec<u8>]) -> Vec<Prediction> {
    let inputs: Vec<_> =
        pictures.iter().map(|pixels| NetworkInput::new(pixels.clone()).unwrap()).collect();
    let mut engine = TorchEngine::load(path, &options()).unwrap();
    engine.infer(&inputs).unwrap().into_iter().map(Result::unwrap).collect()
}

#[test]
fn a_fitted_model_answers_as_before_and_tells_what_is_unlike_its_training() {
    let folder = Folder::new("novelty-fitted");
    let (before, after) = (folder.file("before.safetensors"), folder.file("after.safetensors"));
    let old = model(&before);
    let card = fit(&before, &after, &options(), shown(&data()), None).unwrap();
    assert_eq!(card.version, format!("{}-novelty", old.version));
    let novelty = card.novelty.unwrap();
    // A copy beside every image; a padded, a letterboxed and a turned one.
    assert_eq!((novelty.fitted_images, novelty.validation_images), (2 * 48, 4 * 20));
    let head = novelty.head.unwrap();
    assert_eq!((head.outliers, head.outliers_sha256), (0, None));
    assert_eq!(head.shown.values().sum::<u64>(), 16 + 9);

    let alike: Vec<_> = data().validation.into_iter().map(|sample| sample.pixels).collect();
    let unlike: Vec<_> = alike.iter().map(|pixels| Alteration::HalfTurn.apply(pixels, 0)).collect();
    for (old, new) in answers(&before, &alike).into_iter().zip(answers(&after, &alike)) {
        assert_eq!(old.novelty, None);
        assert_eq!(old, Prediction { novelty: None, ..new.clone() });
        assert!(!new.is_novel(), "{:?}", new.novelty);
    }
    for answer in answers(&after, &unlike) {
        assert!(answer.is_novel(), "{:?}", answer.novelty);
    }
}

#[test]
fn a_model_that_has_a_check_gets_another_only_under_another_name() {
    let folder = Folder::new("novelty-named");
    let path = folder.file("model.safetensors");
    model(&path);
    fit(&path, &path, &options(), shown(&data()), Some("first")).unwrap();
    let again = fit(&path, &path, &options(), shown(&data()), None);
    assert!(
        matches!(again, Err(FitError::Revision(RevisionError::Named(name))) if name == "first")
    );
    assert_eq!(
        fit(&path, &path, &options(), shown(&data()), Some("second")).unwrap().version,
        "second"
    );
}

#[test]
fn images_that_the_model_was_not_trained_on_are_refused() {
    let folder = Folder::new("novelty-data");
    let path = folder.file("model.safetensors");
    model(&path);
    let mut other = data();
    other.validation.pop();
    let refused = fit(&path, &folder.file("out.safetensors"), &options(), shown(&other), None);
    assert!(
        matches!(refused, Err(FitError::Revision(RevisionError::OtherData { .. }))),
        "{refused:?}"
    );
}

#[test]
fn a_card_that_speaks_of_a_check_is_not_served_without_it() {
    let folder = Folder::new("novelty-missing");
    let path = folder.file("model.safetensors");
    model(&path);
    let card = fit(&path, &path, &options(), shown(&data()), None).unwrap();
    weights::attach(&path, &path, "novelty.", &[], &card).unwrap();
    let refused = TorchEngine::load(&path, &options());
    assert!(
        matches!(&refused, Err(LoadError::Weights(WeightsError::Missing { name, .. })) if name.starts_with("novelty.")),
        "{refused:?}"
    );
}

#[test]
fn a_model_with_the_distance_alone_is_served_by_the_distance_alone() {
    let folder = Folder::new("novelty-first");
    let path = folder.file("model.safetensors");
    model(&path);
    let mut card = fit(&path, &path, &options(), shown(&data()), None).unwrap();
    let inputs: Vec<_> = (48..52).filter_map(|i| NetworkInput::new(sample(i).pixels)).collect();
    let features = TorchEngine::load(&path, &options()).unwrap().grid_features(&inputs).unwrap();
    let check = NoveltyDetector::read(&Weights::open(&path).unwrap(), card.novelty.as_ref(), SMALL);
    let check = NoveltyDetector { head: None, ..check.unwrap().unwrap() };
    let novelty = card.novelty.take().unwrap();
    card.novelty = Some(Novelty { method: METHOD.to_owned(), head: None, ..novelty });
    check.write(&path, &path, &card).unwrap();
    let pictures: Vec<_> = inputs.iter().map(|input| input.pixels().to_vec()).collect();
    let distances: Vec<f64> =
        check.distances(&features).unwrap().to_kind(Kind::Double).try_into().unwrap();
    for (answer, distance) in answers(&path, &pictures).iter().zip(distances) {
        let served = answer.novelty.unwrap();
        assert!((served - distance / check.threshold).abs() < 1e-3, "{served}");
    }
}

#[test]
fn an_export_as_weights_keeps_the_check_and_one_as_a_module_goes_without() {
    let folder = Folder::new("novelty-exported");
    let path = folder.file("model.safetensors");
    model(&path);
    let card = fit(&path, &path, &options(), shown(&data()), None).unwrap();
    let pictures: Vec<_> = data().validation.into_iter().map(|sample| sample.pixels).collect();
    let exported = |format, name| {
        let out = folder.file(name);
        export(
            &path,
            &out,
            &ExportOptions { format, half: format == Format::Safetensors, check: true },
        )
        .unwrap();
        out
    };
    let weights = exported(Format::Safetensors, "weights.safetensors");
    assert_eq!(Weights::open(&weights).unwrap().card(), Some(&card));
    for (ours, theirs) in answers(&path, &pictures).into_iter().zip(answers(&weights, &pictures)) {
        let (ours, theirs) = (ours.novelty.unwrap(), theirs.novelty.unwrap());
        assert!((ours - theirs).abs() < 1e-4, "{ours} {theirs}");
    }
    let module = exported(Format::TorchScript, "module.pt");
    assert!(answers(&module, &pictures).iter().all(|answer| answer.novelty.is_none()));
}

/// Features `[images, 9, 64]`: each cell has its own mean.
fn features(images: i64, offset: f64) -> Tensor {
    let options = (Kind::Float, Device::Cpu);
    let cells = Tensor::arange(9, options).view([1, 9, 1]) * 3.0;
    Tensor::randn([images, 9, 64], options) + cells + offset
}

#[test]
fn distances_are_about_one_and_grow_with_the_shift_and_with_features_out_of_their_place() {
    tch::manual_seed(3);
    let check = fit_axes(&features(2000, 0.0)).unwrap().unwrap();
    let mean =
        |features: &Tensor| check.distances(features).unwrap().mean(Kind::Double).double_value(&[]);
    let usual = mean(&features(500, 0.0));
    assert!((0.7..1.2).contains(&usual), "{usual}");
    assert!(mean(&features(500, 3.0)) > 2.0 * usual);
    assert!(mean(&features(500, 0.0).flip([1])) > 2.0 * usual);
}

/// As [`features`], but for 20 of 64 features of one cell, which differ by a standard deviation.
fn elsewhere(images: i64) -> Tensor {
    let features = features(images, 0.0);
    let _ = features.narrow(1, 4, 1).narrow(2, 0, 20).g_add_scalar_(1.0);
    features
}

#[test]
fn the_head_finds_what_it_was_shown_where_the_distance_sees_next_to_nothing() {
    tch::manual_seed(4);
    let in_scope = features(2000, 0.0);
    let check = fit_axes(&in_scope).unwrap().unwrap();
    let given = exposure::Shown { kind: "given".into(), features: elsewhere(200), count: 1.0 };
    let shown = exposure::OutOfScope { made: Vec::new(), given: vec![given] };
    let centred = |features: Tensor| features - &check.mean;
    let validation = centred(features(500, 0.0));
    let head = fit_head(&in_scope, &shown, &check.mean, &validation, [0.01, 0.01]).unwrap();
    let head = head.unwrap();
    let above = |centred: &Tensor| {
        let surprises: Vec<f64> = head.surprise(centred).unwrap().try_into().unwrap();
        // As likely out of scope as in it.
        surprises.iter().filter(|surprise| **surprise > 2f64.ln()).count()
    };
    assert!(above(&validation) <= 6, "{}", above(&validation));
    let found = above(&centred(elsewhere(100)));
    assert!(found >= 90, "{found}");
    let mean = |rows: &Tensor| check.distances(rows).unwrap().mean(Kind::Double).double_value(&[]);
    let (usual, these) = (mean(&features(200, 0.0)), mean(&elsewhere(200)));
    assert!((these - usual).abs() < 0.15 * usual, "{usual} {these}");
}

#[test]
fn films_that_were_given_go_to_a_person_and_their_number_stands_in_the_card() {
    let folder = Folder::new("novelty-given");
    let path = folder.file("model.safetensors");
    model(&path);
    let film = |which: usize| {
        let mut pixels = sample(which).pixels;
        // Stripes over the middle.
        for row in pixels.chunks_mut(NetworkInput::SIDE).skip(30).take(160) {
            for (x, grey) in row[30..190].iter_mut().enumerate() {
                *grey = if x % 8 < 4 { 20 } else { 230 };
            }
        }
        Outlier { sha256: which.to_string(), pixels, refused: false }
    };
    let outliers = Outliers {
        fitting: (100..140).map(film).collect(),
        measuring: (140..160).map(film).collect(),
    };
    let data = data();
    let given = Shown { data: &data, outliers: Some(&outliers) };
    let card = fit(&path, &path, &options(), given, None).unwrap();
    let head = card.novelty.unwrap().head.unwrap();
    assert_eq!((head.outliers, head.shown["films given"]), (40, 5 * 40));
    assert_eq!(head.outliers_sha256, outliers.digest());
    let mut engine = TorchEngine::load(&path, &options()).unwrap();
    let report = trial(&mut engine, "validation", &data.validation, Some(&outliers)).unwrap();
    let unlike = |name: &str| report.rows.iter().find(|row| row.pictures.contains(name)).unwrap();
    assert!(unlike("given as out of scope").novel >= 18, "{report}");
    assert!(unlike("as they are").novel <= 1, "{report}");
    for name in ["black border", "white border", "bars beside", "turned by 5°", "turned by 10°"] {
        assert_eq!(unlike(name).images, data.validation.len(), "{name}");
    }
}

#[test]
fn features_without_any_difference_make_no_check() {
    assert!(fit_axes(&Tensor::ones([100, 9, 16], (Kind::Float, Device::Cpu))).unwrap().is_none());
    assert!(fit_axes(&features(3, 0.0)).unwrap().is_none());
}
