//! A whole run on synthetic pictures: it learns, and being killed does not change it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use lobar_lab::training::{Decay, HEAD, ResolutionStage, TrainError, TrainOptions, train};
use lobar_model::network::{Architecture, Layout};

pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("lobar-training-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Stripes across for the ill, stripes along for the healthy: plain to see, whatever the light.
pub(crate) fn write_pictures(folder: &Path) {
    for (split, people) in [("train", 0..40), ("test", 40..48)] {
        for (class, prefix) in [("NORMAL", "IM"), ("PNEUMONIA", "person")] {
            let at = folder.join(split).join(class);
            std::fs::create_dir_all(&at).unwrap();
            for person in people.clone() {
                let (name, across) = match prefix {
                    "IM" => (format!("IM-{person:04}-0001.png"), false),
                    _ => (
                        format!("person{person}_{}_1.png", ["bacteria", "virus"][person % 2]),
                        true,
                    ),
                };
                let picture = image::GrayImage::from_fn(224, 224, |x, y| {
                    let along = if across { y } else { x };
                    let noise = (x * 31 + y * 17 + person as u32 * 101) % 23;
                    image::Luma([if (along / 28) % 2 == 0 { 60 } else { 180 } + noise as u8])
                });
                picture.save(at.join(name)).unwrap();
            }
        }
    }
}

pub(crate) fn options(data: &Folder, out: PathBuf) -> TrainOptions {
    TrainOptions {
        stages: vec![
            ResolutionStage { last_layers: Some(HEAD + 3), ..ResolutionStage::new(32, 2) },
            ResolutionStage::new(64, 3),
        ],
        batch: 8,
        rate: 3e-3,
        average_decay: 0.8,
        threads: 1,
        checkpoint_every: 3,
        bf16: false,
        architecture: Architecture::ResNet(Layout { blocks: [1, 1, 1, 1], width: 8 }),
        progress: false,
        ..TrainOptions::new(data.0.join("data"), out)
    }
}

#[test]
fn a_run_that_was_killed_ends_with_the_very_weights_of_one_that_was_not() {
    let _alone = crate::alone();
    let folder = Folder::new("resume");
    write_pictures(&folder.0.join("data"));
    let whole = options(&folder, folder.0.join("whole"));
    let whole_report = train(&whole, |_| {}).unwrap();

    // Twice it dies when an epoch is over but not yet saved, and goes on inside that epoch.
    let killed = options(&folder, folder.0.join("killed"));
    for dies_at in [1, 4] {
        let died = catch_unwind(AssertUnwindSafe(|| {
            train(&killed, |epoch| assert!(epoch.epoch != dies_at, "killed"))
        }));
        assert!(died.is_err());
        assert!(!killed.out.join("model.safetensors").exists());
    }
    let mut epochs = 0;
    let report = train(&killed, |_| epochs += 1).unwrap();
    assert_eq!(epochs, 2, "epochs 1 to 3 must not be run again");
    let weights = |report: &lobar_lab::training::TrainReport| {
        let mut tensors = tch::Tensor::read_safetensors(&report.weights).unwrap();
        tensors.sort_by(|(one, _), (other, _)| one.cmp(other));
        tensors
    };
    let (whole_weights, weights) = (weights(&whole_report), weights(&report));
    assert!(weights.len() > 100);
    for ((name, one), (other_name, other)) in weights.iter().zip(&whole_weights) {
        assert_eq!(name, other_name);
        assert_eq!(one, other, "{name}");
    }
    assert_eq!(report.on_test, whole_report.on_test);
}

#[test]
fn a_run_learns_what_is_plain_to_see_and_ends_with_a_model_that_may_be_served() {
    let _alone = crate::alone();
    let folder = Folder::new("learns");
    write_pictures(&folder.0.join("data"));
    let options = TrainOptions {
        // It is measured at 224 pixels: stripes that were only ever seen a third as wide would be told apart by
        // luck, on one processor and not on another.
        stages: vec![ResolutionStage::new(64, 8), ResolutionStage::new(224, 2)],
        augmentation: lobar_lab::augmentation::Augmentation { rotation: 5.0, ..Default::default() },
        ..options(&folder, folder.0.join("out"))
    };
    let report = train(&options, |epoch| eprintln!("{epoch}")).unwrap();
    assert!(report.on_test.as_ref().unwrap().auc.unwrap() > 0.9);
    assert!(report.epochs.last().unwrap().loss < report.epochs[0].loss);
    let weights = lobar_model::weights::Weights::open(&report.model).unwrap();
    let (card, approved) = weights.approve().unwrap();
    assert_eq!(card, &report.card);
    assert!((0.0..1.0).contains(&approved.threshold));
    assert!(card.novelty.as_ref().is_some_and(|novelty| novelty.threshold > 0.0), "{card:?}");
    // Beside the model lies what can be read of it.
    let beside = |name: &str| std::fs::read_to_string(options.out.join(name)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&beside("evaluation.json")).unwrap();
    assert_eq!(json["model"]["sha256"], weights.sha256());
    assert_eq!(json["test"]["auc"].as_f64(), report.on_test.as_ref().unwrap().auc);
    assert!(beside("model-card.md").contains(&card.version));
    let page = beside("report.html");
    assert!(page.contains("validation-summary") && page.contains("test-summary"));

    // The same folder with another plan is another run.
    let other = TrainOptions { rate: 1e-4, ..options };
    assert!(matches!(train(&other, |_| {}), Err(TrainError::Checkpoint { .. })));
}

#[test]
fn pictures_of_a_further_folder_are_trained_on_and_measured_by_the_same_others() {
    let _alone = crate::alone();
    let folder = Folder::new("more");
    write_pictures(&folder.0.join("data"));
    let more = folder.0.join("more");
    write_pictures(&more);
    // Two that nobody has, among those of the base, some of which validation and test have.
    let at = more.join("train/NORMAL");
    for level in [90, 140] {
        let picture = image::GrayImage::from_fn(224, 224, |x, y| {
            image::Luma([level + ((x / 9) ^ (y / 7)) as u8])
        });
        picture.save(at.join(format!("IM-9{level:03}-0001.png"))).unwrap();
    }
    let stages = vec![ResolutionStage::new(32, 1)];
    let alone = TrainOptions { stages, ..options(&folder, folder.0.join("alone")) };
    let before = train(&alone, |_| {}).unwrap();
    let out = folder.0.join("both");
    let both = TrainOptions { more: vec![more], out, ..alone };
    let after = train(&both, |_| {}).unwrap();
    assert_eq!(after.joined.added, 2);
    assert_eq!(after.joined.known + after.joined.held_out, 80);
    assert!(after.joined.held_out > 0);
    assert_eq!((after.train, after.validation), (before.train + 2, before.validation));
    let images = |report: &lobar_lab::training::TrainReport| {
        let test = report.card.test.as_ref().unwrap().images;
        (report.card.validation.as_ref().unwrap().images, test)
    };
    assert_eq!(images(&after), images(&before));
    assert_ne!(after.card.training.data_sha256, before.card.training.data_sha256);
    let settings = &after.card.training.settings;
    assert_eq!(settings["added"], 2);
    assert_eq!(settings["added_digest"].as_str().map(str::len), Some(64));
    assert!(!before.card.training.settings.contains_key("added"));
    // A killed run goes on with the same folders, and with no others.
    assert_eq!(train(&both, |_| {}).unwrap().joined, after.joined);
    let without = TrainOptions { more: Vec::new(), ..both };
    assert!(matches!(train(&without, |_| {}), Err(TrainError::Checkpoint { .. })));
}

#[test]
fn layers_that_do_not_learn_stay_as_they_were_statistics_and_all() {
    let _alone = crate::alone();
    let folder = Folder::new("frozen");
    write_pictures(&folder.0.join("data"));
    let first = TrainOptions {
        stages: vec![ResolutionStage::new(32, 1)],
        ..options(&folder, folder.0.join("first"))
    };
    let init = train(&first, |_| {}).unwrap().weights;
    let second = TrainOptions {
        init: vec![init.clone()],
        stages: vec![ResolutionStage { last_layers: Some(HEAD), ..ResolutionStage::new(32, 2) }],
        decay: Decay::Plateau,
        ..options(&folder, folder.0.join("second"))
    };
    let trained = train(&second, |_| {}).unwrap().weights;
    let read = |path| tch::Tensor::read_safetensors(path).unwrap().into_iter();
    let before: std::collections::HashMap<String, tch::Tensor> = read(&init).collect();
    for (name, after) in read(&trained) {
        assert_eq!(before[&name] == after, !name.starts_with("head."), "{name}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_is_read() {
    let options = |change: fn(&mut TrainOptions)| {
        let mut options = TrainOptions::new("/nowhere", "/nowhere");
        change(&mut options);
        train(&options, |_| {}).unwrap_err()
    };
    assert!(matches!(options(|it| it.stages.clear()), TrainError::Options(_)));
    assert!(matches!(options(|it| it.batch = 1), TrainError::Options(_)));
    assert!(matches!(options(|it| it.rate = f64::NAN), TrainError::Options(_)));
    assert!(matches!(options(|_| {}), TrainError::Dataset(_)));
}
