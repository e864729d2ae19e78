//! Files that are whole, cut, foreign, or refused.

use std::path::PathBuf;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tch::{Device, nn};

use super::*;
use crate::engine::{EngineOptions, LoadError, TorchEngine};
use crate::network::{Layout, Network};

const SMALL: Layout = Layout { blocks: [1, 1, 1, 1], width: 4 };

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("lobar-weights-{name}-{}.safetensors", std::process::id()))
}

#[test]
fn weights_survive_their_file_up_to_half_precision() {
    let path = file("survive");
    let vs = nn::VarStore::new(Device::Cpu);
    let _network = Network::with_layout(&vs.root(), SMALL);
    write(&path, &vs, None).unwrap();
    let weights = Weights::open(&path).unwrap();
    let back = nn::VarStore::new(Device::Cpu);
    let _network = Network::with_layout(&back.root(), SMALL);
    weights.fill(&back).unwrap();
    std::fs::remove_file(path).unwrap();
    let back = back.variables();
    assert!(back.len() > 100);
    for (name, wanted) in vs.variables() {
        let away = (&back[&name] - &wanted).abs().max().double_value(&[]);
        let largest = wanted.abs().max().double_value(&[]);
        assert!(away <= largest * 1e-3, "{name} is {away} away");
        assert!(wanted.dim() == 4 || away == 0.0, "{name} lost precision");
    }
}

#[test]
fn the_same_seed_gives_the_same_model_and_another_seed_another() {
    let read = |name: &str, seed| {
        let path = file(name);
        random(&path, SMALL, seed).unwrap();
        let weights = Weights::open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        let vs = nn::VarStore::new(Device::Cpu);
        let _network = Network::with_layout(&vs.root(), SMALL);
        weights.fill(&vs).unwrap();
        vs.variables()
    };
    let (one, two, other) = (read("one", 1), read("two", 1), read("other", 2));
    for (name, tensor) in &one {
        // Statistics are measured, by however many threads there are.
        assert!(tensor.allclose(&two[name], 1e-4, 1e-6, false), "{name} differs");
    }
    assert!(!one["conv1.weight"].allclose(&other["conv1.weight"], 1e-4, 1e-6, false));
}

#[test]
fn the_same_weights_and_card_give_the_same_file() {
    let vs = nn::VarStore::new(Device::Cpu);
    let _network = Network::with_layout(&vs.root(), SMALL);
    let digest = |name: &str| {
        let path = file(name);
        write(&path, &vs, Some(&random_card(SMALL, 1))).unwrap();
        let weights = Weights::open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        weights.sha256().to_owned()
    };
    assert_eq!(digest("first"), digest("second"));
}

#[test]
fn a_cut_file_is_refused_wherever_it_was_cut() {
    let path = file("cut");
    random(&path, SMALL, 1).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 5, 8, 500, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = Weights::open(&path).unwrap_err();
        assert!(matches!(error, WeightsError::NotSafetensors { .. }), "{length}: {error}");
        assert!(error.to_string().contains("lobar-weights-cut"), "{error}");
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Weights::open(Path::new("/nowhere/model.safetensors")).unwrap_err();
    assert!(matches!(error, WeightsError::Io { .. }));
    assert!(error.to_string().contains("/nowhere/model.safetensors"), "{error}");
}

/// Loads a random model with a changed card into an engine, which must refuse it.
fn refusal(name: &str, change: impl FnOnce(&mut Option<crate::card::Card>)) -> String {
    let path = file(name);
    let vs = nn::VarStore::new(Device::Cpu);
    let _network = Network::with_layout(&vs.root(), SMALL);
    let mut card = Some(random_card(SMALL, 1));
    change(&mut card);
    write(&path, &vs, card.as_ref()).unwrap();
    let error = TorchEngine::load(&path, &EngineOptions::default()).unwrap_err();
    std::fs::remove_file(path).unwrap();
    assert!(matches!(error, LoadError::Weights(_)), "{error}");
    error.to_string()
}

#[test]
fn a_model_that_may_not_be_served_is_refused_with_the_reason() {
    let refused = refusal("no-card", |card| *card = None);
    assert!(refused.contains("carries no card"), "{refused}");
    let refused = refusal("no-threshold", |card| card.as_mut().unwrap().threshold = None);
    assert!(refused.contains("has no threshold"), "{refused}");
    let refused = refusal("no-evaluation", |card| card.as_mut().unwrap().test = None);
    assert!(refused.contains("has no evaluation"), "{refused}");
    let refused = refusal("preprocessing", |card| {
        card.as_mut().unwrap().preprocessing.version = "rgb299-v1".to_owned();
    });
    assert!(refused.contains("bound to preprocessing rgb299-v1"), "{refused}");
    let refused = refusal("layout", |card| card.as_mut().unwrap().blocks[2] = 2);
    assert!(refused.contains("tensor layer3.1.") && refused.contains("is missing"), "{refused}");
    let refused = refusal("width", |card| card.as_mut().unwrap().width = 8);
    assert!(refused.contains("has shape"), "{refused}");
}

/// A file as torchvision's exporters write `resnet50`: every tensor in fp32, counters of batches,
/// a last layer of a thousand classes, no card.
fn torchvision_like(path: &Path, layout: Layout) -> nn::VarStore {
    let vs = nn::VarStore::new(Device::Cpu);
    let _network = Network::with_layout(&vs.root(), layout);
    let mut tensors = Vec::new();
    for (name, tensor) in vs.variables() {
        if name.starts_with("head.") {
            continue;
        }
        if let Some(norm) = name.strip_suffix("running_mean") {
            let count = 7i64.to_le_bytes().to_vec();
            tensors.push((format!("{norm}num_batches_tracked"), Dtype::I64, vec![], count));
        }
        let shape: Vec<usize> = tensor.size().iter().map(|&n| n as usize).collect();
        let mut bytes = vec![0; tensor.numel() * 4];
        tensor.detach().contiguous().copy_data_u8(&mut bytes, tensor.numel());
        tensors.push((name, Dtype::F32, shape, bytes));
    }
    let features = layout.features() as usize;
    tensors.push(("fc.weight".into(), Dtype::F32, vec![10, features], vec![0; 40 * features]));
    tensors.push(("fc.bias".into(), Dtype::F32, vec![10], vec![0; 40]));
    let views = tensors.iter().map(|(name, kind, shape, bytes)| {
        (name, TensorView::new(*kind, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize_to_file(views, None, path).unwrap();
    vs
}

#[test]
fn weights_of_torchvision_start_the_trunk_and_leave_the_head() {
    let path = file("torchvision");
    let theirs = torchvision_like(&path, SMALL);
    let ours = nn::VarStore::new(Device::Cpu);
    let _network = Network::with_layout(&ours.root(), SMALL);
    let before = ours.variables()["head.fc1.weight"].copy();
    Weights::open(&path).unwrap().fill_trunk(&ours).unwrap();
    std::fs::remove_file(path).unwrap();
    let (ours, theirs) = (ours.variables(), theirs.variables());
    assert_eq!(before, ours["head.fc1.weight"]);
    let name = "layer2.0.downsample.0.weight";
    assert_eq!(ours[name], theirs[name]);
    assert_ne!(ours["head.fc1.weight"], theirs["head.fc1.weight"]);
}

/// By hand, after `ops/export/check_torch.py` wrote what it reads.
#[test]
#[ignore = "needs files that torchvision wrote: see ops/export/check_torch.py"]
fn weights_written_by_torchvision_give_its_features() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/torchvision");
    let vs = nn::VarStore::new(Device::Cpu);
    let network = Network::with_layout(&vs.root(), Layout::RESNET50);
    let weights = Weights::open(&folder.join("torchvision.safetensors")).unwrap();
    weights.fill_trunk(&vs).unwrap();
    let theirs = Weights::open(&folder.join("features.safetensors")).unwrap();
    let images = theirs.tensor("images", &[2, 3, 224, 224]).unwrap();
    let wanted = theirs.tensor("features", &[2, 2048]).unwrap();
    let map = tch::no_grad(|| network.trunk_features(images));
    let found = map.mean_dim([2i64, 3].as_slice(), false, tch::Kind::Float);
    let away = (&found - wanted).abs().max().double_value(&[]);
    let largest = wanted.abs().max().double_value(&[]);
    eprintln!("pooled features differ by at most {away:.1e}, the largest being {largest:.2}");
    assert!(away <= 1e-4 * largest, "{away} of {largest}");
}

#[test]
fn weights_of_another_network_do_not_start_this_one() {
    let path = file("another-network");
    torchvision_like(&path, Layout { blocks: [1, 1, 1, 1], width: 8 });
    let vs = nn::VarStore::new(Device::Cpu);
    let _network = Network::with_layout(&vs.root(), SMALL);
    let error = Weights::open(&path).unwrap().fill_trunk(&vs).unwrap_err();
    std::fs::remove_file(path).unwrap();
    assert!(matches!(error, WeightsError::Shape { .. }), "{error}");
}

#[test]
fn values_that_are_not_numbers_are_not_written() {
    let path = file("nan");
    let vs = nn::VarStore::new(Device::Cpu);
    let _network = Network::with_layout(&vs.root(), SMALL);
    let _ = tch::no_grad(|| vs.variables().remove("bn1.bias").unwrap().fill_(f64::NAN));
    let error = write(&path, &vs, None).unwrap_err();
    assert!(
        matches!(&error, WeightsError::NotFinite { name, .. } if name == "bn1.bias"),
        "{error}"
    );
    assert!(!path.exists());
}

#[test]
fn values_that_are_not_numbers_are_refused_by_the_name_of_their_tensor() {
    let path = file("read-nan");
    let values = [1.0f32, f32::NAN].map(f32::to_le_bytes).concat();
    let view = TensorView::new(Dtype::F32, vec![2], &values).unwrap();
    safetensors::serialize_to_file([("bn1.weight", view)], None, &path).unwrap();
    let error = Weights::open(&path).unwrap_err();
    std::fs::remove_file(path).unwrap();
    assert!(
        matches!(&error, WeightsError::NotFinite { name, .. } if name == "bn1.weight"),
        "{error}"
    );
}

#[test]
fn a_shifted_bias_is_all_that_differs_and_weights_without_one_are_refused() {
    let (from, to) = (file("shift-from"), file("shift-to"));
    random(&from, SMALL, 3).unwrap();
    let card = Weights::open(&from).unwrap().card().unwrap().clone();
    shift_pneumonia(&from, &to, -0.75, &card).unwrap();
    let value = |path: &PathBuf, name: &str, size: &[i64]| -> f64 {
        Weights::open(path).unwrap().tensor(name, size).unwrap().double_value(&[0])
    };
    let of = |path| value(path, "head.pneumonia.bias", &[1]);
    assert!((of(&to) - (of(&from) - 0.75)).abs() < 1e-6);
    assert_eq!(value(&to, "head.bacterial.bias", &[1]), value(&from, "head.bacterial.bias", &[1]));

    let bytes = 1.0_f32.to_le_bytes();
    let view = TensorView::new(Dtype::F32, vec![1], &bytes).unwrap();
    safetensors::serialize_to_file([("bias", view)], None, &from).unwrap();
    let error = shift_pneumonia(&from, &to, 1.0, &card).unwrap_err();
    assert!(error.to_string().contains("head.pneumonia.bias is missing"), "{error}");
    for path in [from, to] {
        std::fs::remove_file(path).unwrap();
    }
}
