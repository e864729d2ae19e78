//! An evaluation as three files: `evaluation.json`, `model-card.md`, `report.html`.

mod baselines;
mod figures;
mod plots;
mod stress;
mod words;

use std::path::{Path, PathBuf};

use lobar_core::statement::STATEMENT_OF_USE;
use lobar_model::card::{Card, Metrics};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::page::{page, section};
use super::{Mistakes, ReportError, gallery, model_card, number};
use crate::evaluation::Evaluation;

/// Figure of a card's test metrics that tells how many models had been shown the test split by then, this one
/// included, see [`crate::looks`].
pub const TEST_LOOKS: &str = "looks";

/// A model's evaluation, ready to be written.
#[derive(Debug)]
pub struct EvaluationReport<'a> {
    /// The model's card.
    pub card: &'a Card,
    /// SHA-256 of the weights file, hexadecimal.
    pub sha256: &'a str,
    /// What the answers were computed on: [`lobar_core::engine::EngineInfo::device`].
    pub device: &'a str,
    /// What was measured, in the order of the page. The last one's mistakes are shown.
    pub parts: Vec<EvaluatedSplit<'a>>,
    /// Whether file names stand beside the pictures.
    pub names: bool,
}

/// The evaluation on one set of pictures.
#[derive(Debug)]
pub struct EvaluatedSplit<'a> {
    /// `train`, `validation`, `val` or `test`.
    pub split: &'a str,
    /// Digest of the pictures and their labels, see [`crate::dataset::digest`].
    pub data_sha256: String,
    /// What was found.
    pub evaluation: &'a Evaluation,
    /// The wrong answers at the model's threshold.
    pub mistakes: Mistakes,
}

impl EvaluationReport<'_> {
    /// All figures: the card, the exact model, the device, and each evaluation under its split's name.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut all = json!({
            "card": self.card,
            "model": {
                "version": self.card.version,
                "sha256": self.sha256,
                "preprocessing": self.card.preprocessing.version,
            },
            "device": self.device,
        });
        for part in &self.parts {
            all[part.split] = json!(part.evaluation);
            all["data_sha256"][part.split] = part.data_sha256.clone().into();
        }
        all
    }

    /// The page.
    ///
    /// # Errors
    /// A plot cannot be drawn.
    pub fn html(&self) -> Result<String, ReportError> {
        let lead = html! {
            p.use { (STATEMENT_OF_USE) }
            p { strong { "Whom the figures hold for: " } (self.card.population) }
        };
        let mut body = html! {};
        for part in &self.parts {
            body = html! { (body) (self.part(part)?) };
        }
        let body = html! { (body) (self.method()) };
        Ok(page(&format!("Evaluation of {}", self.card.version), &lead, &body))
    }

    /// Writes all three into `folder`, which is made if absent; gives their paths.
    ///
    /// # Errors
    /// A file cannot be written, a plot cannot be drawn, or a figure is no number.
    pub fn write(&self, folder: &Path) -> Result<[PathBuf; 3], ReportError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ReportError::Write { path, source }
        };
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
        let json = serde_json::to_string_pretty(&self.json())? + "\n";
        let files = [
            (folder.join("evaluation.json"), json),
            (folder.join("model-card.md"), model_card(self.card)),
            (folder.join("report.html"), self.html()?),
        ];
        for (path, text) in &files {
            std::fs::write(path, text).map_err(failed(path))?;
        }
        Ok(files.map(|(path, _)| path))
    }

    fn part(&self, part: &EvaluatedSplit<'_>) -> Result<Markup, ReportError> {
        let it = part.evaluation;
        let id = |what: &str| format!("{}-{what}", part.split);
        let on = |what: &str| match self.parts.len() {
            1 => what.to_owned(),
            _ => format!("{what} on {}", part.split),
        };
        Ok(html! {
            (section(&id("summary"), &on("In words"), &words::summary(part)))
            (section(&id("figures"), &on("Figures"), &figures::figures(it)))
            (section(&id("plots"), &on("Curves"), &plots::plots(it)?))
            (section(&id("confusion"), &on("Right and wrong"), &figures::confusion(it)))
            @if !it.groups.is_empty() {
                (section(&id("groups"), &on("By burnt-in text"), &figures::groups(it)))
            }
            @if !it.stress.is_empty() {
                (section(&id("stress"), &on("Changed images"), &stress::stress(&it.stress)))
            }
            (section(&id("baselines"), &on("What could be said without looking"), &baselines::baselines(it)))
            (section(&id("subtype"), &on("Bacterial or viral, experimental"), &figures::subtype(it)))
            (section(&id("mistakes"), &on("The mistakes"), &self.mistakes(part)))
        })
    }

    fn mistakes(&self, part: &EvaluatedSplit<'_>) -> Markup {
        let counts = &part.evaluation.at_threshold.confusion;
        html! {
            p {
                "The most confidently wrong first, each beside its heatmap: where the score for pneumonia came from, which \
                 is not the outline of a lesion. "
                @if !self.names {
                    "An image's number is its place among all evaluated ones, sorted by class and file name."
                }
            }
            h3 { "Labelled pneumonia, not flagged: " (number::count(counts.false_negative)) }
            (gallery::gallery(&part.mistakes.missed, counts.false_negative, self.names))
            h3 { "Labelled normal, flagged: " (number::count(counts.false_positive)) }
            (gallery::gallery(&part.mistakes.flagged, counts.false_positive, self.names))
        }
    }

    fn method(&self) -> Markup {
        let card = self.card;
        let looks = card.test.as_ref().and_then(|it: &Metrics| it.more.get(TEST_LOOKS));
        section(
            "method",
            "How it was measured",
            &html! {
                ul {
                    li {
                        "Split: by patient. Training, validation and test share nobody; the program refuses data where they do."
                    }
                    li {
                        @match &card.site {
                            Some(site) => {
                                "Threshold, temperature and bias were fitted on images of a site: " (site.line()) ". They were frozen \
                                 before these images were measured."
                            }
                            None => {
                                "Threshold: on validation the highest, and so the one of highest specificity, that still flags 95 % of \
                                 pneumonia. Temperature and bias were fitted on validation too. All of it was frozen before the test split \
                                 was measured."
                            }
                        }
                    }
                    li {
                        @match looks {
                            Some(looks) => { "Models that this test split had been shown to, this one included: " (looks) "." }
                            None => { "Nobody counted how many models this test split had been shown to." }
                        }
                    }
                    li {
                        "Intervals hold 95 % of 1,000 draws of patients with replacement. Drawing images instead would make them too \
                         narrow."
                    }
                    li {
                        "Calibration error: mean distance between probability and frequency over 15 bins of equal width, weighted by \
                         images. Brier score: mean squared distance between probability and label."
                    }
                    li { "Engine: the one that serves, on this very file, on " code { (self.device) } "." }
                    li { "Weights: SHA-256 " code { (self.sha256) } ", preprocessing " code { (card.preprocessing.version) } "." }
                    @for part in &self.parts {
                        li { "Data of " (part.split) ": digest " code { (part.data_sha256) } "." }
                    }
                    li { "Trained on " (number::of(card.training.images, "image", "images")) ", digest " code { (card.training.data_sha256) } "." }
                }
            },
        )
    }
}
