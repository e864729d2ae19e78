//! The same picture has the same probability from the trainer's evaluation, from `lobar predict`,
//! from the engine that the worker runs, and from an export in a foreign program.

use std::path::{Path, PathBuf};
use std::process::Command;

use lobar_core::engine::Engine;
use lobar_imaging::{Limits, prepare};
use lobar_lab::dataset::{Sample, Split, read};
use lobar_lab::evaluation::score;
use lobar_model::engine::{BF16_TOLERANCE, EngineOptions, TorchEngine};
use lobar_model::network::{Layout, Network};
use lobar_model::precision::{Precision, PrecisionChoice};
use lobar_model::weights::{self, Weights};
use serde_json::Value;
use tch::{Device, Kind, nn};

/// What single precision may differ by, in probability.
const SINGLE: f64 = 1e-3;
/// Quick enough for a debug build.
const SMALL: Layout = Layout { blocks: [1, 2, 1, 1], width: 8 };
/// Not 1, so that forgetting it is noticed.
const TEMPERATURE: f64 = 0.6;
/// Enough for a batch of sixteen and a rest.
const PICTURES: u32 = 20;

/// Pictures as a trainer finds them, most of them of the network's size and two that are resized.
fn draw_pictures(folder: &Path) {
    for person in 0..PICTURES {
        let (class, name) = match person % 2 {
            0 => ("NORMAL", format!("IM-{person:04}-0001.png")),
            _ => ("PNEUMONIA", format!("person{person}_bacteria_1.png")),
        };
        let (width, height) = if person < 2 { (420 + 90 * person, 380) } else { (224, 224) };
        let picture = image::GrayImage::from_fn(width, height, |x, y| {
            let (u, v) = (x as f32 / width as f32 - 0.5, y as f32 / height as f32 - 0.5);
            let lungs = 1.0 - ((u.abs() - 0.22) / 0.16).powi(2) - (v / 0.36).powi(2);
            let shade = (person as f32 * 0.9 + 9.0 * u).sin() * 30.0 * (1.0 - v);
            let noise = (x * 31 + y * 17 + person * 101) % 23;
            image::Luma([(150.0 - 90.0 * lungs.max(0.0).sqrt() + shade + noise as f32) as u8])
        });
        let folder = folder.join("test").join(class);
        std::fs::create_dir_all(&folder).unwrap();
        picture.save(folder.join(name)).unwrap();
    }
}

/// A model file, and the network that a trainer would hold.
fn model(path: &Path) -> Network {
    weights::random(path, SMALL, 11).unwrap();
    let weights = Weights::open(path).unwrap();
    let vs = nn::VarStore::new(Device::Cpu);
    let network = Network::with_layout(&vs.root(), SMALL);
    weights.fill(&vs).unwrap();
    let mut card = weights.card().unwrap().clone();
    card.temperature = Some(TEMPERATURE);
    weights::write(path, &vs, Some(&card)).unwrap();
    network
}

/// What the trainer's evaluation says of the samples.
fn trained(network: &Network, samples: &[Sample]) -> Vec<f64> {
    let pixels: Vec<Vec<u8>> = samples.iter().map(|sample| sample.pixels.clone()).collect();
    let scores = score(network, samples, &pixels, 224, Kind::Float, Device::Cpu).unwrap();
    scores.pneumonia.iter().map(|logit| 1.0 / (1.0 + (-logit / TEMPERATURE).exp())).collect()
}

/// What the worker's engine says of the files' bytes.
fn served(model: &Path, files: &[PathBuf], fp32: bool) -> Vec<f64> {
    let precision =
        if fp32 { PrecisionChoice::Only(Precision::Fp32) } else { PrecisionChoice::Auto };
    let options = EngineOptions { threads: 1, max_batch: 8, precision, ..EngineOptions::default() };
    let mut engine = TorchEngine::load(model, &options).unwrap();
    let inputs: Vec<_> = files
        .iter()
        .map(|file| prepare(&std::fs::read(file).unwrap(), &Limits::default()).unwrap().input)
        .collect();
    let answers = engine.infer(&inputs).unwrap();
    answers.into_iter().map(|answer| answer.unwrap().probability).collect()
}

/// The executable: `LOBAR_BIN`, or the debug build of this workspace.
#[allow(clippy::disallowed_methods)] // as the suites of the whole system find it
fn executable() -> PathBuf {
    let built = || {
        // Tests run from target/debug/deps.
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(2).unwrap().join("lobar")
    };
    let path = std::env::var_os("LOBAR_BIN").map_or_else(built, PathBuf::from);
    assert!(path.is_file(), "{} is missing: build it with `cargo build -p lobar`", path.display());
    path
}

fn lobar(arguments: &[&str], files: &[PathBuf]) -> String {
    let mut command = Command::new(executable());
    let output = command.args(arguments).args(files).env("LOBAR_THREADS", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "lobar {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn probabilities(predictions: &str) -> Vec<f64> {
    let rows = predictions.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| row["result"]["probability"].as_f64().unwrap()).collect()
}

fn apart(one: &[f64], other: &[f64]) -> f64 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn a_picture_has_the_probability_of_the_trainers_evaluation_wherever_it_is_answered() {
    let _alone = crate::alone();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    draw_pictures(&file("data"));
    let weights = file("model.safetensors");
    let network = model(&weights);

    let samples = read(&file("data"), &[Split::Test]).unwrap();
    let files: Vec<PathBuf> = samples
        .iter()
        .map(|s| file("data/test").join(format!("{:?}", s.class).to_uppercase()).join(&s.name))
        .collect();
    let expected = trained(&network, &samples);
    let lowest = expected.iter().copied().fold(1.0, f64::min);
    let highest = expected.iter().copied().fold(0.0, f64::max);
    assert!(highest - lowest > 0.05, "the pictures are all alike: {expected:?}");

    let away = apart(&expected, &served(&weights, &files, true));
    assert!(away <= SINGLE, "the engine in fp32: {away}");
    let away = apart(&expected, &served(&weights, &files, false));
    assert!(away <= BF16_TOLERANCE, "the engine in this machine's precision: {away}");

    let script = text(&file("model.pt"));
    lobar(
        &["export", "--model", &text(&weights), "--format", "torchscript", "--out", &script],
        &[],
    );
    let predict = |model: &str| lobar(&["predict", "--json", "--model", model], &files);
    let away = apart(&expected, &probabilities(&predict(&text(&weights))));
    assert!(away <= BF16_TOLERANCE, "lobar predict in this machine's precision: {away}");
    let exact = predict(&script);
    let away = apart(&expected, &probabilities(&exact));
    assert!(away <= SINGLE, "lobar predict with the TorchScript export: {away}");

    // Pillow resizes a little differently, so a foreign program is given the network's own size.
    let whole = exact.lines().zip(&samples).filter(|(_, s)| is_of_the_networks_size(s));
    let whole: Vec<&str> = whole.map(|(line, _)| line).collect();
    assert_eq!(whole.len(), PICTURES as usize - 2);
    std::fs::write(file("predictions"), whole.join("\n")).unwrap();
    let onnx = text(&file("model.onnx"));
    lobar(&["export", "--model", &text(&weights), "--format", "onnx", "--out", &onnx], &[]);
    check_onnx(&onnx, &file("predictions"));
}

fn is_of_the_networks_size(sample: &Sample) -> bool {
    !sample.name.contains("0000") && !sample.name.starts_with("person1_")
}

/// The script that a user would run.
fn check_onnx(model: &str, predictions: &Path) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = workspace.join(".venv/bin/python");
    assert!(python.exists(), "{} is missing: run `make test`, which installs it", python.display());
    let output = Command::new(python)
        .arg(workspace.join("ops/export/check_onnx.py"))
        .args([model.as_ref(), predictions])
        .args(["--tolerance", "0.001"])
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    eprintln!("{said}");
    for size in [1, 3, 16] {
        assert!(said.contains(&format!("batch {size}: probability differs")), "{said}");
    }
}
