//! The card of a model: what it is, where it came from, how good it was, and at which probability
//! it speaks. It travels inside the weights file, as metadata of the safetensors header, so that no
//! weights can be served with another model's threshold.
//!
//! A card may be incomplete while a model is being trained. [`Card::approve`] says whether it may be
//! served: only with its own threshold, its own evaluation, and preprocessing that this program does.

mod novelty;
pub mod number;
mod precisions;
pub mod site;
mod stress;
mod words;

use std::collections::{BTreeMap, HashMap};

use lobar_core::population::Ages;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::network::{Architecture, Layout};
use crate::preprocessing;

pub use novelty::{Novelty, NoveltyHead};
pub use number::Interval;
pub use precisions::{PrecisionFigures, Precisions};
pub use site::SiteCalibration;
pub use stress::StressRow;
pub use words::{Shortcut, model_card};

/// Metadata key under which the card's JSON lies. The only one in safetensors, which writes several
/// in any order: the same model must give the same file.
pub const CARD_KEY: &str = "lobar.card";
/// Field of that JSON that tells its format.
const FORMAT_FIELD: &str = "format";
/// Field that holds the card in words, for whoever opens the file without this program. Written anew
/// from the other fields each time and never read back, so that it cannot say another thing than they.
const WORDS_FIELD: &str = "markdown";
/// Metadata key that told the format before the field did; still read.
const FORMAT_KEY: &str = "lobar.format";
/// The format that this program writes and reads.
const FORMAT: &str = "1";

/// A model's card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Name of these weights, unique among models: `resnet50-2026-11-21`.
    pub version: String,
    /// The two answers of the first output, by class index: `NORMAL`, `PNEUMONIA`.
    pub labels: [String; 2],
    /// The two answers of the second output, given pneumonia: `VIRAL`, `BACTERIAL`.
    pub sublabels: [String; 2],
    /// What the weights were trained on and must be given.
    pub preprocessing: Preprocessing,
    /// The network's name where it is no residual network: `efficientnet-lite0`. Such a model teaches and is not served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Blocks in each of the four stages: `[3, 4, 6, 3]` for ResNet-50; zeros where it is no residual network.
    pub blocks: [i64; 4],
    /// Channels after the first convolution: 64 for ResNet-50.
    pub width: i64,
    /// The operating point on the calibrated probability, 0..=1, chosen on validation.
    pub threshold: Option<f64>,
    /// Calibration: probability = sigmoid(logit / temperature), fitted on validation.
    pub temperature: Option<f64>,
    /// Where the weights came from.
    pub training: Training,
    /// Figures on validation, at the threshold.
    pub validation: Option<Metrics>,
    /// Figures on the official test split, threshold frozen before.
    pub test: Option<Metrics>,
    /// The check that says what is unlike the training images; none in models that cannot tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub novelty: Option<Novelty>,
    /// How the precisions of the engine compare; none in models for which it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precisions: Option<Precisions>,
    /// Whether a score may be told as a probability: calibration errors of at most
    /// [`Card::MOST_CALIBRATION_ERROR`] on validation and on the test split. None in cards of before it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_is_probability: Option<bool>,
    /// The calibration to a site that threshold and temperature come from; none in models whose own are from validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteCalibration>,
    /// Whom the training images show, and so for whom the figures hold.
    pub population: String,
    /// Their ages in completed years; none in cards that were written before there was this field, see [`Card::ages`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ages: Option<Ages>,
    /// When training ended, RFC 3339.
    pub created_at: String,
}

/// The input that the weights are bound to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Name of the preprocessing: `grey224-v1`.
    pub version: String,
    /// Pixels a side when serving.
    pub side: i64,
    /// Pixels a side of the last images trained on; may differ from `side`.
    pub trained_side: i64,
    /// Subtracted from a pixel after it is scaled to 0..=1.
    pub mean: f32,
    /// Divides a pixel after the mean is subtracted.
    pub std: f32,
}

impl Preprocessing {
    /// What this program does to a picture, for weights trained last at `trained_side` pixels.
    #[must_use]
    pub fn current(trained_side: i64) -> Self {
        Self {
            version: preprocessing::VERSION.to_owned(),
            side: preprocessing::SIDE as i64,
            trained_side,
            mean: preprocessing::MEAN,
            std: preprocessing::STD,
        }
    }
}

/// Where weights came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// SHA-256 over the training files' digests in a fixed order, hexadecimal.
    pub data_sha256: String,
    /// Images trained on.
    pub images: u64,
    /// The settings of the run that matter: epochs, sides, augmentation, seed.
    pub settings: BTreeMap<String, Value>,
}

/// What an evaluation found. Shares are 0..=1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Images evaluated.
    pub images: u64,
    /// Area under the receiver operating characteristic.
    pub auc: f64,
    /// Share answered rightly at the threshold.
    pub accuracy: f64,
    /// Share of pneumonias flagged at the threshold.
    pub sensitivity: f64,
    /// Share of normals not flagged at the threshold.
    pub specificity: f64,
    /// Everything else worth keeping: intervals, calibration error, the second output.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

/// What serving needs of a card that may be served.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Approved {
    /// The operating point on the calibrated probability.
    pub threshold: f64,
    /// Divides the logits before the sigmoid. Above 0.
    pub temperature: f64,
    /// Depth and width of the network.
    pub layout: Layout,
}

/// Why a card may not be served.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CardError {
    /// Weights without a card.
    #[error("it carries no card: train or export it with this program, which writes one")]
    Absent,
    /// Written by another version of this program.
    #[error("its card has format {0}, this program reads {FORMAT}: use the matching release")]
    Format(String),
    /// The JSON cannot be read.
    #[error("its card cannot be read: {0}")]
    Unreadable(String),
    /// Something that serving needs is not there.
    #[error("its card has no {0}: evaluate the model before serving it")]
    Missing(&'static str),
    /// Something cannot be true.
    #[error("its card says {field} {value}, which is not {wanted}")]
    Invalid {
        /// The field at fault.
        field: &'static str,
        /// What it says.
        value: String,
        /// What it could say.
        wanted: &'static str,
    },
    /// A network that the engine does not run.
    #[error(
        "it is a teacher, an {0}, which the engine does not run: train a model from it with `lobar train --teacher`, and serve that"
    )]
    Teacher(String),
    /// Trained on other input than this program makes.
    #[error("it is bound to preprocessing {found}, this program does {}: use the matching release", describe(&Preprocessing::current(0)))]
    Preprocessing {
        /// What the card asks for.
        found: String,
    },
}

impl Card {
    /// What this card says as safetensors metadata.
    ///
    /// # Errors
    /// When a number in it is not finite.
    pub fn to_metadata(&self) -> Result<HashMap<String, String>, CardError> {
        let unreadable = |e: serde_json::Error| CardError::Unreadable(e.to_string());
        let mut json = serde_json::to_value(self).map_err(unreadable)?;
        json[FORMAT_FIELD] = FORMAT.into();
        json[WORDS_FIELD] = model_card(self).into();
        Ok(HashMap::from([(CARD_KEY.to_owned(), json.to_string())]))
    }

    /// The card in a file's metadata; `None` when it has none.
    ///
    /// # Errors
    /// When there is one that this program cannot read.
    pub fn from_metadata(metadata: &HashMap<String, String>) -> Result<Option<Self>, CardError> {
        let Some(json) = metadata.get(CARD_KEY) else { return Ok(None) };
        let unreadable = |e: serde_json::Error| CardError::Unreadable(e.to_string());
        let json: Value = serde_json::from_str(json).map_err(unreadable)?;
        let beside = metadata.get(FORMAT_KEY).map(String::as_str);
        match json.get(FORMAT_FIELD).and_then(Value::as_str).or(beside) {
            Some(FORMAT) => serde_json::from_value(json).map(Some).map_err(unreadable),
            other => Err(CardError::Format(other.unwrap_or("unknown").to_owned())),
        }
    }

    /// Whether a model with this card may be served, and at which operating point.
    ///
    /// # Errors
    /// Says what is missing or wrong.
    pub fn approve(&self) -> Result<Approved, CardError> {
        let current = Preprocessing::current(self.preprocessing.trained_side);
        if self.preprocessing != current {
            return Err(CardError::Preprocessing { found: describe(&self.preprocessing) });
        }
        if self.version.trim().is_empty() {
            return Err(CardError::Missing("version"));
        }
        if self.labels != ["NORMAL", "PNEUMONIA"] || self.sublabels != ["VIRAL", "BACTERIAL"] {
            return Err(CardError::Invalid {
                field: "labels",
                value: format!("{:?} and {:?}", self.labels, self.sublabels),
                wanted: "NORMAL, PNEUMONIA and VIRAL, BACTERIAL",
            });
        }
        let layout = self.layout()?;
        let threshold = self.threshold.ok_or(CardError::Missing("threshold"))?;
        if !(threshold > 0.0 && threshold < 1.0) {
            return Err(CardError::Invalid {
                field: "threshold",
                value: threshold.to_string(),
                wanted: "a probability between 0 and 1",
            });
        }
        let temperature = self.temperature.ok_or(CardError::Missing("temperature"))?;
        if !(temperature > 0.0 && temperature.is_finite()) {
            return Err(CardError::Invalid {
                field: "temperature",
                value: temperature.to_string(),
                wanted: "a positive number",
            });
        }
        if let Some(ages) = self.ages.filter(|ages| ages.from > ages.to) {
            return Err(CardError::Invalid {
                field: "ages",
                value: ages.to_string(),
                wanted: "a range of years, the youngest first",
            });
        }
        self.novelty.as_ref().map_or(Ok(()), Novelty::approve)?;
        self.validation.as_ref().ok_or(CardError::Missing("evaluation on validation"))?;
        self.test.as_ref().ok_or(CardError::Missing("evaluation on the test split"))?;
        Ok(Approved { threshold, temperature, layout })
    }

    /// The largest calibration error (15 bins) with which a score is told as a probability.
    pub const MOST_CALIBRATION_ERROR: f64 = 0.05;

    /// Says in the card whether a score may be told as a probability, by its own figures. What was not measured
    /// counts as too large.
    pub fn judge_calibration(&mut self) {
        let is_small = |metrics: &Option<Metrics>| {
            let error = metrics.as_ref().and_then(|it| it.more.get("calibration_error")?.as_f64());
            error.is_some_and(|error| error <= Self::MOST_CALIBRATION_ERROR)
        };
        self.score_is_probability = Some(is_small(&self.validation) && is_small(&self.test));
    }

    /// The ages of those whom the training images show. A card without them may name them in its sentence on the
    /// population: `Children aged 1 to 5 …`.
    #[must_use]
    pub fn ages(&self) -> Option<Ages> {
        self.ages.or_else(|| Ages::in_words(&self.population))
    }

    /// Depth and width of the network.
    ///
    /// # Errors
    /// When they are absurd, or it is a teacher.
    pub fn layout(&self) -> Result<Layout, CardError> {
        match &self.architecture {
            Some(name) => Err(CardError::Teacher(name.clone())),
            None => self.residual(),
        }
    }

    /// The network, whether it may be served or only teaches.
    ///
    /// # Errors
    /// When this program does not know it.
    pub fn network(&self) -> Result<Architecture, CardError> {
        match &self.architecture {
            None => self.residual().map(Architecture::ResNet),
            Some(name) => name.parse().map_err(|_| CardError::Invalid {
                field: "architecture",
                value: name.clone(),
                wanted: "efficientnet-lite0",
            }),
        }
    }

    fn residual(&self) -> Result<Layout, CardError> {
        let plausible =
            self.blocks.iter().all(|n| (1..=64).contains(n)) && (1..=256).contains(&self.width);
        if plausible {
            Ok(Layout { blocks: self.blocks, width: self.width })
        } else {
            Err(CardError::Invalid {
                field: "layout",
                value: format!("{:?} of width {}", self.blocks, self.width),
                wanted: "1 to 64 blocks a stage and a width of 1 to 256",
            })
        }
    }
}

fn describe(preprocessing: &Preprocessing) -> String {
    let Preprocessing { version, side, mean, std, .. } = preprocessing;
    format!("{version} ({side} pixels, mean {mean}, std {std})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::random_card;

    #[test]
    fn a_card_survives_its_metadata() {
        let mut card = random_card(Layout::RESNET50, 7);
        card.training.settings.insert("epochs".into(), 40.into());
        if let Some(test) = &mut card.test {
            test.more.insert("auc_interval".into(), serde_json::json!([0.96, 0.98]));
        }
        let metadata = card.to_metadata().unwrap();
        assert_eq!(Card::from_metadata(&metadata), Ok(Some(card)));
    }

    #[test]
    fn the_card_in_words_travels_along_and_is_made_anew_when_the_card_changes() {
        let mut card = random_card(Layout::RESNET50, 7);
        card.threshold = Some(0.73);
        let words = |card: &Card| {
            let metadata = card.to_metadata().unwrap();
            let json: Value = serde_json::from_str(&metadata[CARD_KEY]).unwrap();
            json[WORDS_FIELD].as_str().unwrap().to_owned()
        };
        assert!(words(&card).contains("0.7300"));
        let mut read = Card::from_metadata(&card.to_metadata().unwrap()).unwrap().unwrap();
        read.threshold = Some(0.21);
        assert!(words(&read).contains("0.2100") && !words(&read).contains("0.7300"));
    }

    #[test]
    fn metadata_of_others_is_no_card() {
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        assert_eq!(Card::from_metadata(&metadata), Ok(None));
    }

    #[test]
    fn a_card_of_another_format_is_refused() {
        let mut metadata = random_card(Layout::RESNET50, 7).to_metadata().unwrap();
        let card = metadata.get_mut(CARD_KEY).unwrap();
        *card = card.replace(r#""format":"1""#, r#""format":"2""#);
        assert_eq!(Card::from_metadata(&metadata), Err(CardError::Format("2".to_owned())));
    }

    #[test]
    fn a_card_whose_format_stands_beside_it_is_read() {
        let card = random_card(Layout::RESNET50, 7);
        let mut metadata =
            HashMap::from([(CARD_KEY.to_owned(), serde_json::to_string(&card).unwrap())]);
        assert_eq!(Card::from_metadata(&metadata), Err(CardError::Format("unknown".to_owned())));
        metadata.insert(FORMAT_KEY.to_owned(), FORMAT.to_owned());
        assert_eq!(Card::from_metadata(&metadata), Ok(Some(card)));
    }

    #[test]
    fn a_complete_card_is_approved() {
        let approved = random_card(Layout::RESNET50, 7).approve().unwrap();
        assert_eq!(approved.layout, Layout::RESNET50);
        assert!(approved.threshold > 0.0 && approved.threshold < 1.0);
    }

    #[test]
    fn ages_stand_in_their_field_or_in_the_sentence_on_the_population() {
        let mut card = random_card(Layout::RESNET50, 7);
        assert_eq!(card.ages(), None);
        card.population = "Children aged 1 to 5 of one centre.".into();
        assert_eq!(card.ages(), Some(Ages { from: 1, to: 5 }));
        card.ages = Some(Ages { from: 0, to: 17 });
        let read = Card::from_metadata(&card.to_metadata().unwrap()).unwrap().unwrap();
        assert_eq!(read.ages(), Some(Ages { from: 0, to: 17 }));
    }

    #[test]
    fn a_score_is_a_probability_only_where_both_calibration_errors_were_measured_and_are_small() {
        let mut card = random_card(Layout::RESNET50, 7);
        let judged = |card: &mut Card, validation: f64, test: Option<f64>| {
            let set = |metrics: &mut Option<Metrics>, error: Option<f64>| {
                let more = &mut metrics.as_mut().unwrap().more;
                more.remove("calibration_error");
                more.extend(error.map(|error| ("calibration_error".to_owned(), error.into())));
            };
            set(&mut card.validation, Some(validation));
            set(&mut card.test, test);
            card.judge_calibration();
            card.score_is_probability
        };
        assert_eq!(judged(&mut card, 0.03, Some(0.05)), Some(true));
        assert_eq!(judged(&mut card, 0.03, Some(0.06)), Some(false));
        assert_eq!(judged(&mut card, 0.06, Some(0.03)), Some(false));
        assert_eq!(judged(&mut card, 0.03, None), Some(false));
    }

    type Damage = fn(&mut Card);

    #[test]
    fn a_card_without_what_serving_needs_is_refused_by_name() {
        let unknown = |c: &mut Card| {
            let head = None;
            let method = "nearest-neighbour-v9".to_owned();
            let novelty = Novelty { method, head, ..Novelty::default() };
            c.novelty = Some(Novelty { threshold: 1.0, ..novelty });
        };
        let headless = |c: &mut Card| {
            let method = crate::novelty::METHOD_WITH_HEAD.to_owned();
            c.novelty = Some(Novelty { method, threshold: 1.0, ..Novelty::default() });
        };
        let damages: [(&str, Damage); 13] = [
            ("a teacher, an efficientnet-lite0", |c| {
                c.architecture = Some("efficientnet-lite0".into());
            }),
            ("nearest-neighbour-v9", unknown),
            ("head-v2 without a head", headless),
            ("no threshold", |c| c.threshold = None),
            ("no temperature", |c| c.temperature = None),
            ("no evaluation on validation", |c| c.validation = None),
            ("no evaluation on the test split", |c| c.test = None),
            ("preprocessing rgb299-v1", |c| c.preprocessing.version = "rgb299-v1".into()),
            ("mean 0.5", |c| c.preprocessing.mean = 0.5),
            ("threshold 1.5", |c| c.threshold = Some(1.5)),
            ("ages 5 to 1", |c| c.ages = Some(Ages { from: 5, to: 1 })),
            ("temperature 0", |c| c.temperature = Some(0.0)),
            ("PNEUMONIA", |c| c.labels.swap(0, 1)),
        ];
        for (named, damage) in damages {
            let mut card = random_card(Layout::RESNET50, 7);
            damage(&mut card);
            let error = card.approve().expect_err(named).to_string();
            assert!(error.contains(named), "{error} does not name {named}");
        }
    }
}
