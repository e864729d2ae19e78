//! What a calibration to a site came to, for people and for programs.

use std::fmt;

use lobar_model::card::number::{figure, range, with_interval};
use lobar_model::card::site::{CaseSource, SiteCalibration};
use lobar_model::card::{Card, Interval};
use serde::Serialize;

use super::CalibrateOptions;
use super::fit::Fitted;

/// See the module's documentation.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Version of the revision.
    pub version: String,
    /// Its threshold, on its own probability.
    pub threshold: f64,
    /// Its temperature.
    pub temperature: f64,
    /// Where the parent's threshold lies on that probability: at the same logit of the network.
    pub parent_threshold_here: f64,
    /// Whether the new threshold's interval leaves the parent's out. If not there is no evidence that it should change.
    pub threshold_differs: bool,
    /// What was fitted, on what, and its figures.
    pub calibration: SiteCalibration,
    /// Images left out because they are unlike those that the model was trained on: it does not answer such.
    pub unlike: usize,
    /// AUC on the test images in the parent's card, and its interval: ranking elsewhere, which no calibration changes.
    pub test_auc: Option<f64>,
    /// See there.
    pub test_auc_interval: Option<Interval>,
}

impl Outcome {
    pub(super) fn new(
        card: &Card,
        fitted: &Fitted,
        site: SiteCalibration,
        options: &CalibrateOptions,
        unlike: usize,
    ) -> Self {
        let version = options.name.clone();
        let version = version.unwrap_or_else(|| default_version(&site.parent.version, &site.site));
        let here = fitted.here(site.parent.threshold, card.temperature.unwrap_or(1.0));
        let interval = site.threshold_interval;
        let test = card.test.as_ref();
        let in_card = test.and_then(|it| it.more.get("auc_interval").cloned());
        Self {
            version,
            threshold: fitted.threshold,
            temperature: fitted.calibration.temperature,
            parent_threshold_here: here,
            threshold_differs: interval.is_some_and(|it| here < it.low || here > it.high),
            unlike,
            test_auc: test.map(|it| it.auc),
            test_auc_interval: in_card.and_then(|it| serde_json::from_value(it).ok()),
            calibration: site,
        }
    }
}

/// The version of a revision for a site, where nobody names it.
#[must_use]
pub fn default_version(parent: &str, site: &str) -> String {
    format!("{parent}-{site}")
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it = &self.calibration;
        let source = match it.source {
            CaseSource::Verdicts => "doctors' verdicts",
            CaseSource::Labels => "labelled images",
        };
        writeln!(f, "{}, calibrated to site {} by {source}", it.parent.version, it.site)?;
        writeln!(
            f,
            "{} images of {} patients; {} show pneumonia ({:.0} %)",
            it.images,
            it.patients,
            it.pneumonias,
            100.0 * it.pneumonias as f64 / it.images.max(1) as f64
        )?;
        if self.unlike > 0 {
            let unlike = self.unlike;
            writeln!(
                f,
                "{unlike} more are unlike its training images, which it leaves to a person"
            )?;
        }
        writeln!(
            f,
            "AUC here {}; on the test images of its card {}. No calibration changes it.\n",
            with_interval(it.auc, it.auc_interval),
            with_interval(self.test_auc, self.test_auc_interval)
        )?;
        let fitted = |value: f64, interval: Option<Interval>| with_interval(Some(value), interval);
        writeln!(f, "threshold    {}", fitted(self.threshold, it.threshold_interval))?;
        writeln!(
            f,
            "             before {}, which is {} on the new probability",
            figure(Some(it.parent.threshold)),
            figure(Some(self.parent_threshold_here))
        )?;
        writeln!(f, "temperature  {}", fitted(self.temperature, it.temperature_interval))?;
        writeln!(f, "bias         {}\n", fitted(it.bias, it.bias_interval))?;
        writeln!(f, "{:18} {:23} after", "", "before")?;
        let (before, after) = (&it.before, &it.after);
        for (name, before, after) in [
            (
                "sensitivity",
                with_interval(before.sensitivity, before.sensitivity_interval),
                with_interval(after.sensitivity, after.sensitivity_interval),
            ),
            (
                "specificity",
                with_interval(before.specificity, before.specificity_interval),
                with_interval(after.specificity, after.specificity_interval),
            ),
            (
                "calibration error",
                fitted(before.calibration_error, before.calibration_error_interval),
                fitted(after.calibration_error, after.calibration_error_interval),
            ),
        ] {
            writeln!(f, "{name:18} {before:23} {after}")?;
        }
        writeln!(
            f,
            "after: on patients left out of the fit ({} parts). Intervals are of 95 %, patients drawn again.",
            it.folds
        )?;
        match (self.threshold_differs, it.threshold_interval) {
            (false, Some(interval)) => writeln!(
                f,
                "\nNo evidence that the threshold should change: the interval of the new one ({}) has the old one in it.",
                range(interval)
            ),
            _ => Ok(()),
        }
    }
}
