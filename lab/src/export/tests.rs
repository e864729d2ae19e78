//! Exports of a small random model, read back.

use lobar_core::engine::{Engine, Prediction};
use lobar_model::engine::{EngineOptions, TorchEngine};
use lobar_model::network::Layout;
use lobar_model::precision::{Precision, PrecisionChoice};

use super::*;

const SMALL: Layout = Layout { blocks: [1, 2, 1, 1], width: 8 };

/// A folder with `model.safetensors` in it, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lobar-export-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        weights::random(&path.join("model.safetensors"), SMALL, 5).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn export(&self, name: &str, format: Format) -> Result<Exported, ExportError> {
        let options = ExportOptions { format, half: false, check: true };
        export(&self.file("model.safetensors"), &self.file(name), &options)
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn load(path: &Path) -> Result<TorchEngine, LoadError> {
    let options = EngineOptions {
        threads: 1,
        max_batch: 4,
        precision: PrecisionChoice::Only(Precision::Fp32),
        ..EngineOptions::default()
    };
    TorchEngine::load(path, &options)
}

fn predictions(path: &Path) -> Vec<Prediction> {
    let mut engine = load(path).unwrap();
    engine.infer(&golden::pictures()).unwrap().into_iter().map(Result::unwrap).collect()
}

#[test]
fn every_form_answers_as_the_network_that_it_was_made_from() {
    let folder = Folder::new("forms");
    for (name, format) in
        [("m.onnx", Format::Onnx), ("m.pt", Format::TorchScript), ("m.st", Format::Safetensors)]
    {
        let exported = folder.export(name, format).unwrap();
        let difference = exported.difference.unwrap();
        assert!(difference <= 1e-5, "{name}: {difference}");
        assert_eq!(exported.version, "random-5");
        assert_eq!(exported.bytes, std::fs::metadata(folder.file(name)).unwrap().len());
    }
    assert_eq!(folder.names().len(), 4, "nothing else is left: {:?}", folder.names());
}

#[test]
fn the_shipped_model_is_exported_in_every_form() {
    let folder = Folder::new("shipped");
    let shipped =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/weights/lobar-resnet50.safetensors");
    std::fs::copy(shipped, folder.file("model.safetensors")).unwrap();
    for format in [Format::Onnx, Format::TorchScript, Format::Safetensors] {
        let difference = folder.export("exported", format).unwrap().difference.unwrap();
        assert!(difference <= 1e-4, "{format:?}: {difference}");
    }
}

#[test]
fn a_torchscript_file_is_served_with_its_heatmaps_under_its_own_digest() {
    let folder = Folder::new("served");
    folder.export("m.pt", Format::TorchScript).unwrap();
    let from_weights = predictions(&folder.file("model.safetensors"));
    let from_script = predictions(&folder.file("m.pt"));
    for (ours, theirs) in from_weights.iter().zip(&from_script) {
        assert!((ours.probability - theirs.probability).abs() < 1e-5);
        assert!((ours.bacterial.unwrap() - theirs.bacterial.unwrap()).abs() < 1e-5);
        let (ours, theirs) = (ours.heatmap.as_ref().unwrap(), theirs.heatmap.as_ref().unwrap());
        let away = ours.cells.iter().zip(&theirs.cells).map(|(a, b)| (a - b).abs());
        assert!(away.fold(0.0, f32::max) < 1e-3);
    }
    let engine = load(&folder.file("m.pt")).unwrap();
    let digest =
        <sha2::Sha256 as sha2::Digest>::digest(std::fs::read(folder.file("m.pt")).unwrap());
    assert_eq!(engine.info().model.sha256, hex::encode(digest));
    assert_eq!(engine.info().model.version, "random-5");
}

#[test]
fn an_exported_safetensors_file_is_loaded_like_the_one_it_was_made_from() {
    let folder = Folder::new("weights");
    let half = ExportOptions { format: Format::Safetensors, half: true, check: true };
    folder.export("single", Format::Safetensors).unwrap();
    export(&folder.file("single"), &folder.file("half"), &half).unwrap();
    let sizes = ["single", "half"].map(|name| std::fs::metadata(folder.file(name)).unwrap().len());
    assert!(sizes[1] < sizes[0], "{sizes:?}");
    let open = |name: &str| Weights::open(&folder.file(name)).unwrap();
    let card = open("model.safetensors").card().cloned();
    assert_eq!(open("single").card().cloned(), card);
    assert_eq!(open("half").card().cloned(), card);
    assert_eq!(predictions(&folder.file("single")), predictions(&folder.file("model.safetensors")));
}

/// A module with the methods of `source` and this card.
fn module(folder: &Folder, source: &str, card: &Card) -> PathBuf {
    let path = folder.file("other.pt");
    let bias = tch::Tensor::from_slice(&[0.5f32, -0.5]);
    lobar_model::script::write(&path, source, &[("bias".to_owned(), bias)], card).unwrap();
    path
}

/// The mean grey level as one feature, to two logits.
const OTHER: &str = "
def features(self, images: Tensor) -> Tensor:
    return torch.avg_pool2d(images / 255.0, [32, 32])
def classify(self, pooled: Tensor) -> Tensor:
    return pooled + self.bias
def forward(self, images: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    logits = self.classify(torch.mean(self.features(images), [2, 3]))
    logit = torch.select(logits, 1, 0)
    return torch.sigmoid(logit), torch.sigmoid(torch.select(logits, 1, 1)), logit
";

#[test]
fn a_module_of_another_network_is_served_when_it_has_the_methods_and_a_card() {
    let folder = Folder::new("other");
    let card = weights::random_card(SMALL, 1);
    let answers = predictions(&module(&folder, OTHER, &card));
    for (picture, answer) in golden::pictures().iter().zip(answers) {
        let mean = picture.pixels().iter().map(|&p| f64::from(p)).sum::<f64>() / (224.0 * 224.0);
        let wanted = proof::sigmoid(mean / 255.0 + 0.5);
        assert!((answer.probability - wanted).abs() < 1e-5);
        assert_eq!(answer.heatmap.unwrap().cells.len(), 49);
    }
}

#[test]
fn a_module_that_cannot_be_served_is_refused_with_the_reason() {
    let folder = Folder::new("refused");
    let card = weights::random_card(SMALL, 1);
    let refusal = |source: &str, card: &Card| {
        load(&module(&folder, source, card)).expect_err("it is refused").to_string()
    };
    let error = refusal(OTHER, &Card { threshold: None, ..card.clone() });
    assert!(error.contains("has no threshold"), "{error}");
    let error = refusal(&OTHER.replace("classify", "answer"), &card);
    assert!(error.contains("docs/export.md") && error.contains("classify"), "{error}");
    let error = refusal(&OTHER.replace("sigmoid(logit)", "sigmoid(logit * 3.0)"), &card);
    assert!(error.contains("otherwise than forward"), "{error}");
    let error = refusal(&OTHER.replace("pooled + self.bias", "pooled + self.bias / 0.0"), &card);
    assert!(error.contains("otherwise than forward"), "{error}");
}

#[test]
fn a_module_without_a_card_is_refused() {
    let folder = Folder::new("bare");
    let path = folder.file("bare.pt");
    let images = tch::Tensor::zeros([1, 1, 224, 224], (tch::Kind::Float, Device::Cpu));
    let mut plain = |inputs: &[tch::Tensor]| vec![inputs[0].mean(tch::Kind::Float)];
    tch::CModule::create_by_tracing("Bare", "forward", &[images], &mut plain)
        .unwrap()
        .save(&path)
        .unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("carries no card") && error.contains("bare.pt"), "{error}");
}

#[test]
fn a_cut_module_is_refused_wherever_it_was_cut() {
    let folder = Folder::new("cut");
    folder.export("m.pt", Format::TorchScript).unwrap();
    let whole = std::fs::read(folder.file("m.pt")).unwrap();
    for length in [4, 30, 500, whole.len() / 2, whole.len() - 1] {
        std::fs::write(folder.file("cut.pt"), &whole[..length]).unwrap();
        let error = load(&folder.file("cut.pt")).unwrap_err().to_string();
        assert!(error.contains("cut.pt"), "{length}: {error}");
    }
}

#[test]
fn a_model_that_may_not_be_served_is_not_exported() {
    let folder = Folder::new("unapproved");
    let vs = nn::VarStore::new(Device::Cpu);
    let _network = Network::with_layout(&vs.root(), SMALL);
    let card = Card { threshold: None, ..weights::random_card(SMALL, 1) };
    weights::write(&folder.file("model.safetensors"), &vs, Some(&card)).unwrap();
    for format in [Format::Onnx, Format::TorchScript, Format::Safetensors] {
        let error = folder.export("out", format).unwrap_err().to_string();
        assert!(error.contains("has no threshold"), "{error}");
    }
    assert_eq!(folder.names(), ["model.safetensors"]);
}

#[test]
fn an_export_that_answers_otherwise_leaves_what_was_there() {
    let folder = Folder::new("unequal");
    std::fs::write(folder.file("m.onnx"), "before").unwrap();
    let mut source = SourceModel::open(&folder.file("model.safetensors")).unwrap();
    let _ = source.head.outputs.bias.fill_(3.0);
    let partial = Partial::beside(&folder.file("m.onnx"));
    onnx::write(&source, &partial.0).unwrap();
    let difference = check(&source, Format::Onnx, &partial.0).unwrap();
    assert!(difference > FOLDING_TOLERANCE, "{difference}");
    drop(partial);
    assert_eq!(std::fs::read(folder.file("m.onnx")).unwrap(), b"before");
    assert_eq!(folder.names().len(), 2);
}

#[test]
fn only_safetensors_has_a_half_precision() {
    let options = ExportOptions { format: Format::Onnx, half: true, check: true };
    let error = export(Path::new("/nowhere"), Path::new("/nowhere/out"), &options).unwrap_err();
    assert!(matches!(error, ExportError::Half));
}
