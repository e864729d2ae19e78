//! What a card says of a calibration to one site: on which cases it was fitted, how sure it is, and what it is a revision of.
//!
//! Rank, and so every AUC, is that of the parent model. All else that the card's figures on validation and test say was
//! measured with the parent's probabilities at its threshold: [`of_parent`] marks them so.

use serde::{Deserialize, Serialize};

use super::number::{Interval, figure, with_interval};
use super::{Card, Metrics};

/// Entry of [`Metrics::more`]: version of the model at whose threshold, and with whose probabilities, the figures were
/// measured, where that is another one than the card's.
pub const AT_THRESHOLD_OF: &str = "at_threshold_of";
/// Entry beside it: that threshold.
pub const AT_THRESHOLD: &str = "at_threshold";

/// Where a case's label came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseSource {
    /// From what doctors said of the site's images.
    Verdicts,
    /// From a folder of labelled images.
    Labels,
}

/// Threshold, temperature and bias fitted on the cases of one site. Shares are 0..=1, intervals of 95 %, patients drawn again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteCalibration {
    /// The site.
    pub site: String,
    /// Where the labels came from.
    pub source: CaseSource,
    /// Images.
    pub images: u64,
    /// Of those, images of pneumonia.
    pub pneumonias: u64,
    /// Patients; an image of nobody known counts as a patient of its own.
    pub patients: u64,
    /// Share of pneumonia that the threshold was to flag.
    pub wanted_sensitivity: f64,
    /// Interval of the threshold, on the probability that this model gives.
    pub threshold_interval: Option<Interval>,
    /// Added to the parent's logit before the temperature divides it.
    pub bias: f64,
    /// Interval of that.
    pub bias_interval: Option<Interval>,
    /// Interval of the temperature.
    pub temperature_interval: Option<Interval>,
    /// Area under the receiver operating characteristic on these cases, which calibration leaves as it is.
    pub auc: Option<f64>,
    /// Interval of that.
    pub auc_interval: Option<Interval>,
    /// What the parent came to on these cases.
    pub before: SiteFigures,
    /// What such a calibration comes to on patients that it was not fitted on: cross-validation by patient.
    pub after: SiteFigures,
    /// Parts of that cross-validation.
    pub folds: u64,
    /// The model that this one is a revision of.
    pub parent: ParentModel,
    /// When it was fitted, RFC 3339.
    pub fitted_at: String,
}

/// What a model came to on the cases of a site.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SiteFigures {
    /// Share of pneumonia that is flagged.
    pub sensitivity: Option<f64>,
    /// Interval of that.
    pub sensitivity_interval: Option<Interval>,
    /// Share of the others that is not flagged.
    pub specificity: Option<f64>,
    /// Interval of that.
    pub specificity_interval: Option<Interval>,
    /// Calibration error over 15 bins.
    pub calibration_error: f64,
    /// Interval of that.
    pub calibration_error_interval: Option<Interval>,
}

/// A model of which another is a revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParentModel {
    /// The version in its card.
    pub version: String,
    /// SHA-256 of its weights file, hexadecimal.
    pub sha256: String,
    /// Its threshold, on its own probability.
    pub threshold: f64,
}

/// Marks figures as those of the parent; such that bear another model's mark keep it.
pub fn of_parent(figures: &mut Option<Metrics>, parent: &ParentModel) {
    let Some(figures) = figures.as_mut().filter(|it| !it.more.contains_key(AT_THRESHOLD_OF)) else {
        return;
    };
    figures.more.insert(AT_THRESHOLD_OF.to_owned(), parent.version.clone().into());
    figures.more.insert(AT_THRESHOLD.to_owned(), parent.threshold.into());
}

/// Whether figures were measured at another model's threshold than that of their card.
#[must_use]
pub fn are_of_another(figures: &Metrics) -> bool {
    figures.more.contains_key(AT_THRESHOLD_OF)
}

/// How the operating point was chosen, as a sentence of the card in words.
pub(super) fn chosen(card: &Card) -> String {
    match &card.site {
        None => "both were chosen on validation and then frozen".to_owned(),
        Some(it) => format!(
            "both were fitted on images of the site {}, and apply at every other site as well once this model is \
             active",
            it.site
        ),
    }
}

/// At which threshold the figures in the card's table are, as a sentence.
pub(super) fn threshold_of_figures(card: &Card) -> String {
    let measured = card.test.iter().chain(&card.validation).find(|it| are_of_another(it));
    match measured {
        None => "Accuracy, sensitivity and specificity are at the model's threshold.".to_owned(),
        Some(it) => format!(
            "AUC and average precision hold for this model. All that depends on a threshold or a probability was measured with those \
             of {}, whose threshold is {}, before the calibration to a site.",
            it.more.get(AT_THRESHOLD_OF).and_then(|it| it.as_str()).unwrap_or("another model"),
            figure(it.more.get(AT_THRESHOLD).and_then(serde_json::Value::as_f64)),
        ),
    }
}

impl SiteCalibration {
    /// In a line: `north, 412 images of 380 patients, 140 with pneumonia, by verdicts, from resnet50-2026-11-26`.
    #[must_use]
    pub fn line(&self) -> String {
        let source = match self.source {
            CaseSource::Verdicts => "verdicts",
            CaseSource::Labels => "labels",
        };
        format!(
            "{}, {} images of {} patients, {} with pneumonia, by {source}, from {}",
            self.site, self.images, self.patients, self.pneumonias, self.parent.version
        )
    }

    /// The section of the card in words.
    pub(super) fn section(&self) -> String {
        let row = |title: &str, of: &dyn Fn(&SiteFigures) -> String| {
            format!("| {title} | {} | {} |\n", of(&self.before), of(&self.after))
        };
        format!(
            "## Calibrated to a site\n\n{}, fitted {} for a sensitivity of {}. AUC there {}.\n\n\
             | | before | after, on patients left out of the fit |\n|---|---|---|\n{}{}{}\n",
            self.line(),
            self.fitted_at,
            self.wanted_sensitivity,
            with_interval(self.auc, self.auc_interval),
            row("sensitivity", &|it| with_interval(it.sensitivity, it.sensitivity_interval)),
            row("specificity", &|it| with_interval(it.specificity, it.specificity_interval)),
            row("calibration error, 15 bins", &|it| {
                with_interval(Some(it.calibration_error), it.calibration_error_interval)
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CardError, model_card};
    use super::*;
    use crate::network::Layout;
    use crate::weights::random_card;

    fn calibrated() -> Card {
        let mut card = random_card(Layout::RESNET50, 7);
        let parent = ParentModel {
            version: card.version.clone(),
            sha256: "ab".repeat(32),
            threshold: 0.859,
        };
        of_parent(&mut card.validation, &parent);
        of_parent(&mut card.test, &parent);
        let interval = Some(Interval { low: 0.9, high: 0.97 });
        let figures = SiteFigures {
            sensitivity: Some(0.95),
            sensitivity_interval: interval,
            ..SiteFigures::default()
        };
        card.site = Some(SiteCalibration {
            site: "north".into(),
            source: CaseSource::Verdicts,
            images: 412,
            pneumonias: 140,
            patients: 380,
            wanted_sensitivity: 0.95,
            threshold_interval: interval,
            bias: -1.5,
            bias_interval: None,
            temperature_interval: None,
            auc: Some(0.98),
            auc_interval: None,
            before: figures.clone(),
            after: figures,
            folds: 5,
            parent,
            fitted_at: "2026-11-28T09:00:00Z".into(),
        });
        card
    }

    #[test]
    fn a_calibration_to_a_site_survives_the_metadata_and_cards_without_one_stay_as_they_were() {
        let card = calibrated();
        let read = Card::from_metadata(&card.to_metadata().unwrap());
        assert_eq!(read, Ok::<_, CardError>(Some(card)));
        let plain = serde_json::to_value(random_card(Layout::RESNET50, 7)).unwrap();
        assert!(plain.get("site").is_none());
    }

    #[test]
    fn figures_at_another_model_s_threshold_are_never_told_as_if_at_this_one_s() {
        let card = calibrated();
        let words = model_card(&card);
        for shown in [
            "north, 412 images of 380 patients, 140 with pneumonia, by verdicts, from random-7",
            "apply at every other site as well",
            "with those of random-7, whose threshold is 0.859",
        ] {
            assert!(words.contains(shown), "{shown} is not in {words}");
        }
        for hidden in ["chosen on validation and then frozen", "are at the model's threshold"] {
            assert!(!words.contains(hidden), "{hidden} is in {words}");
        }
    }

    #[test]
    fn figures_keep_the_mark_of_the_model_they_were_measured_with() {
        let mut card = calibrated();
        let second =
            ParentModel { version: "second".into(), sha256: String::new(), threshold: 0.4 };
        of_parent(&mut card.test, &second);
        assert_eq!(card.test.unwrap().more[AT_THRESHOLD_OF], "random-7");
    }
}
