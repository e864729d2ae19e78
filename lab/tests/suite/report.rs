//! Reports of a small model and of small folders: whole, self-contained, and true to their JSON.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use html5ever::tendril::TendrilSink;
use lobar_core::engine::Engine as _;
use lobar_lab::dataset::{Split, digest, read};
use lobar_lab::evaluation::{ask, evaluate};
use lobar_lab::exploration::survey;
use lobar_lab::report::{EvaluatedSplit, EvaluationReport, Mistakes, data_page};
use lobar_model::engine::{DeviceChoice, EngineOptions, TorchEngine};
use lobar_model::network::Layout;
use lobar_model::weights::{self, Weights};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use serde_json::Value;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lobar-report-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A picture of its own for each `kind`, 300 × `height` pixels.
    fn picture(&self, at: &str, kind: u32, height: u32) -> PathBuf {
        let path = self.0.join(at);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Every kind has squares of its own, so that no two are near duplicates.
        let square = |x: u32, y: u32| {
            let mixed = x.wrapping_mul(73_856_093) ^ y.wrapping_mul(19_349_663);
            let mixed = (mixed ^ (kind + 1).wrapping_mul(83_492_791)).wrapping_mul(0x5bd1_e995);
            (mixed ^ (mixed >> 15)) % 120
        };
        image::GrayImage::from_fn(300, height, |x, y| {
            let level = 60 + square(x / 19, y / 17) + kind % 7 * 5;
            image::Luma([level as u8])
        })
        .save(&path)
        .unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The page as a browser reads it: without a single error, and without anything that would be fetched
/// or run. Gives its text.
fn text_of(html: &str) -> String {
    let dom = html5ever::parse_document(RcDom::default(), Default::default()).one(html);
    let errors = RefCell::take(&dom.errors);
    assert!(errors.is_empty(), "{errors:?}");
    let mut text = String::new();
    walk(&dom.document, &mut text);
    text
}

fn walk(node: &Handle, text: &mut String) {
    match &node.data {
        NodeData::Text { contents } => text.push_str(&contents.borrow()),
        NodeData::Element { name, attrs, .. } => {
            let element = &*name.local;
            let fetching = ["script", "link", "iframe", "object", "embed", "base", "form", "use"];
            assert!(!fetching.contains(&element), "there is a <{element}>");
            for attribute in attrs.borrow().iter() {
                let (name, value) = (&*attribute.name.local, &*attribute.value);
                assert!(!name.starts_with("on"), "{name} on <{element}>");
                if ["src", "href", "srcset", "data", "poster", "action"].contains(&name) {
                    assert!(value.starts_with("data:image/jpeg;base64,"), "{name} is {value:.60}");
                }
                assert!(!value.contains("url("), "{value}");
            }
        }
        _ => {}
    }
    for child in node.children.borrow().iter() {
        let is_style =
            matches!(&child.data, NodeData::Element { name, .. } if &*name.local == "style");
        if is_style {
            let mut style = String::new();
            walk(child, &mut style);
            assert!(!style.contains("url(") && !style.contains("@import"));
        } else {
            walk(child, text);
        }
    }
}

/// 10 normal and 14 ill children, the ill in lower pictures.
fn labelled(folder: &Folder) -> PathBuf {
    let data = folder.0.join("data");
    for child in 0..10 {
        folder.picture(&format!("data/val/NORMAL/IM-{child:04}-0001.png"), child, 340);
    }
    for child in 0..14 {
        let cause = ["bacteria", "virus"][child as usize % 2];
        let at = format!("data/val/PNEUMONIA/person{child}_{cause}_1.png");
        folder.picture(&at, 40 + child, 260);
    }
    data
}

fn write(folder: &Folder, names: bool) -> (Value, String, String) {
    let model = folder.0.join("model.safetensors");
    weights::random(&model, Layout { blocks: [1, 1, 1, 1], width: 8 }, 7).unwrap();
    let options = EngineOptions { device: DeviceChoice::Cpu, threads: 1, ..Default::default() };
    let mut engine = TorchEngine::load(&model, &options).unwrap();
    let samples = read(&labelled(folder), &[Split::Val]).unwrap();
    let answers = ask(&mut engine, &samples).unwrap();
    let info = engine.info();
    // A threshold that misses somebody and flags somebody, whatever these weights say.
    let threshold = {
        let mut sorted = answers.probability.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[12]
    };
    let evaluation = evaluate(&answers, threshold);
    let weights = Weights::open(&model).unwrap();
    let part = EvaluatedSplit {
        split: "val",
        data_sha256: digest(&samples),
        evaluation: &evaluation,
        mistakes: Mistakes::of(&samples, &answers, threshold).unwrap(),
    };
    let report = EvaluationReport {
        card: weights.card().unwrap(),
        sha256: weights.sha256(),
        device: &info.device,
        parts: vec![part],
        names,
    };
    let out = folder.0.join("out");
    let [json, card, page] =
        report.write(&out).unwrap().map(|path| std::fs::read_to_string(path).unwrap());
    (serde_json::from_str(&json).unwrap(), card, page)
}

#[test]
fn an_evaluation_is_a_whole_page_that_shows_the_figures_of_its_json() {
    let _alone = crate::alone();
    let folder = Folder::new("evaluation");
    let (json, card, page) = write(&folder, false);
    let text = text_of(&page);
    let figures = &json["val"];
    let shown = |value: &Value| format!("{:.3}", value.as_f64().unwrap());
    for (name, value) in [
        ("AUC", &figures["auc"]),
        ("its interval", &figures["auc_interval"]["low"]),
        ("average precision", &figures["average_precision"]),
        ("calibration error", &figures["calibration_error"]),
        ("Brier score", &figures["brier"]),
        ("sensitivity", &figures["at_threshold"]["sensitivity"]),
        ("specificity at 0.5", &figures["at_half"]["specificity"]),
        ("macro F1", &figures["at_threshold"]["macro_average"]["f1"]),
        ("sharpness", &figures["sharpness_auc"]),
        ("height", &figures["shortcut"]["by_height"]),
        ("subtype", &figures["subtype"]["auc"]),
    ] {
        assert!(text.contains(&shown(value)), "{name}, {}, is not on the page", shown(value));
    }
    // The ill are in lower pictures, and the page says so first.
    assert_eq!(figures["shortcut"]["by_height"], 1.0);
    assert!(text.contains("height alone separates the classes with an AUC of 1.000"));
    for said in [
        lobar_core::statement::STATEMENT_OF_USE,
        json["card"]["population"].as_str().unwrap(),
        json["model"]["sha256"].as_str().unwrap(),
        json["device"].as_str().unwrap(),
        json["data_sha256"]["val"].as_str().unwrap(),
        "Experimental",
        "Nobody counted how many models",
    ] {
        assert!(text.contains(said), "{said} is not on the page");
    }
    assert!(card.starts_with("# random-7\n") && card.contains("None: random weights"));
    let wrong = &figures["at_threshold"]["confusion"];
    let mistakes =
        wrong["false_positive"].as_u64().unwrap() + wrong["false_negative"].as_u64().unwrap();
    assert!(mistakes > 0);
    assert_eq!(page.matches("data:image/jpeg").count() as u64, 2 * mistakes);
    assert!(page.matches("<svg").count() >= 4);
    assert!(!page.contains("person") && !page.contains("IM-00"), "a file name is on the page");
}

#[test]
fn file_names_are_shown_when_they_are_asked_for() {
    let _alone = crate::alone();
    let folder = Folder::new("names");
    let (_, _, page) = write(&folder, true);
    let text = text_of(&page);
    assert!(text.contains(".png"));
}

#[test]
fn a_data_page_warns_of_what_would_spoil_a_training() {
    let _alone = crate::alone();
    let folder = Folder::new("data");
    for child in 0..8 {
        folder.picture(&format!("train/NORMAL/IM-{child:04}-0001.png"), child, 340);
        folder.picture(&format!("train/PNEUMONIA/person{child}_virus_1.png"), 40 + child, 260);
        folder.picture(&format!("test/PNEUMONIA/person{child}_bacteria_1.png"), 60 + child, 260);
    }
    let at = |path: &str| folder.0.join(path);
    // One child on both sides, one file twice under two labels, one file that is none.
    folder.picture("test/PNEUMONIA/person3_virus_2.png", 90, 260);
    std::fs::copy(at("train/NORMAL/IM-0002-0001.png"), at("train/PNEUMONIA/person9_virus_1.png"))
        .unwrap();
    std::fs::write(at("train/NORMAL/IM-0500-0001.jpeg"), b"no picture").unwrap();
    folder.picture("train/NORMAL/scan.png", 70, 340);
    // One saved again.
    let again = image::open(at("train/NORMAL/IM-0001-0001.png")).unwrap();
    again.save(at("train/NORMAL/IM-0600-0001.jpeg")).unwrap();

    let found = survey(Path::new(&folder.0), false).unwrap();
    let all = found.warnings.join("\n");
    for warning in [
        "train and test share 1 patient",
        "Of 1 image neither file name nor manifest.csv tells",
        "1 file cannot be read",
        "1 group of equal images carry both labels",
        "height of the original alone separates the classes with AUC 0.9",
        "Only one class is in test",
    ] {
        assert!(all.contains(warning), "{warning} is not among\n{all}");
    }
    assert_eq!(found.images, 28);
    assert_eq!(found.near_duplicates.len(), 1);
    let page = data_page("a folder", &found).unwrap();
    let text = text_of(&page);
    assert!(found.warnings.iter().all(|warning| text.contains(warning)));
    assert!(!page.contains("person3") && !page.contains("IM-0"), "a file name is on the page");
    assert!(page.matches("data:image/jpeg").count() >= 20);

    let named = survey(Path::new(&folder.0), true).unwrap();
    let page = data_page("a folder", &named).unwrap();
    assert!(page.contains("IM-0500-0001.jpeg") && page.contains("person9_virus_1.png"));
    let json = serde_json::to_value(&named).unwrap();
    assert_eq!(json["splits"][0]["split"], "train");
    assert_eq!(json["exact_duplicates"][0]["classes"], serde_json::json!(["NORMAL", "PNEUMONIA"]));
}

#[test]
fn a_folder_without_pictures_is_refused() {
    let _alone = crate::alone();
    let folder = Folder::new("empty");
    let error = survey(&folder.0, false).unwrap_err().to_string();
    assert!(error.contains("Expected DIR/{train,val,test}"), "{error}");
}
