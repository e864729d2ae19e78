//! What a calibration is fitted on.

use std::collections::BTreeSet;

use lobar_model::card::site::SiteFigures;

use crate::evaluation::{Confusion, Predictions, chosen, expected_calibration_error, intervals};

/// Images of a site, one entry an image.
pub(super) struct Cases {
    /// The network's logit of pneumonia, before any calibration of this module.
    pub(super) logit: Vec<f64>,
    /// Whether the label says pneumonia.
    pub(super) is_pneumonia: Vec<bool>,
    /// Who is shown.
    pub(super) patient: Vec<String>,
}

/// What a model says of each case.
pub(super) struct Said {
    /// Probability of pneumonia.
    pub(super) probability: Vec<f64>,
    /// Whether it is at or above the threshold.
    pub(super) flagged: Vec<bool>,
}

impl Cases {
    /// The images that were `answered`, by a model of this `temperature`: a probability is the sigmoid of the logit over the
    /// temperature.
    pub(super) fn of(answers: &Predictions, answered: &[bool], temperature: f64) -> Self {
        let logits = answers.logits();
        let kept: Vec<usize> = (0..logits.len()).filter(|&n| answered[n]).collect();
        Self {
            logit: kept.iter().map(|&n| logits[n] * temperature).collect(),
            is_pneumonia: kept.iter().map(|&n| answers.is_pneumonia[n]).collect(),
            patient: kept.iter().map(|&n| answers.patient[n].clone()).collect(),
        }
    }

    /// Logits and labels of a choice of cases.
    pub(super) fn chosen(&self, choice: &[usize]) -> (Vec<f64>, Vec<bool>) {
        chosen(&self.logit, &self.is_pneumonia, choice)
    }

    /// Images of pneumonia.
    pub(super) fn pneumonias(&self) -> usize {
        self.is_pneumonia.iter().filter(|&&is| is).count()
    }

    /// Patients.
    pub(super) fn patients(&self) -> usize {
        self.patient.iter().collect::<BTreeSet<_>>().len()
    }

    /// Patients with an image of pneumonia, or with one of none.
    pub(super) fn patients_with(&self, pneumonia: bool) -> usize {
        let of_class = self.patient.iter().zip(&self.is_pneumonia);
        let patients: BTreeSet<_> =
            of_class.filter(|(_, is)| **is == pneumonia).map(|(patient, _)| patient).collect();
        patients.len()
    }

    /// What the model itself says, at its temperature and threshold.
    pub(super) fn by(&self, temperature: f64, threshold: f64) -> Said {
        let probability: Vec<f64> =
            self.logit.iter().map(|logit| 1.0 / (1.0 + (-logit / temperature).exp())).collect();
        let flagged = probability.iter().map(|it| *it >= threshold).collect();
        Said { probability, flagged }
    }

    /// Figures of what was said, with intervals.
    pub(super) fn figures(&self, said: &Said) -> SiteFigures {
        let counted = |choice: &[usize]| {
            let flag = |n: &usize| f64::from(u8::from(said.flagged[*n]));
            let flags: Vec<f64> = choice.iter().map(flag).collect();
            let (probability, truth) = chosen(&said.probability, &self.is_pneumonia, choice);
            let counts = Confusion::at(0.5, &flags, &truth);
            let error = expected_calibration_error(&probability, &truth);
            [counts.sensitivity(), counts.specificity(), Some(error)]
        };
        let of = intervals(&self.patient, counted);
        let all: Vec<usize> = (0..self.logit.len()).collect();
        let [sensitivity, specificity, error] = counted(&all);
        SiteFigures {
            sensitivity,
            sensitivity_interval: of[0],
            specificity,
            specificity_interval: of[1],
            calibration_error: error.unwrap_or(0.0),
            calibration_error_interval: of[2],
        }
    }
}
