//! An evaluation as plain text.

use std::fmt;

use super::{AtThreshold, ClassReport, Evaluation, Interval};

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} images of {} patients", self.images, self.patients)?;
        writeln!(f, "AUC, pneumonia against normal   {}", figure(self.auc, self.auc_interval))?;
        writeln!(f, "AUC, bacterial against viral    {}", figure(self.subtype_auc, None))?;
        writeln!(f, "calibration error (15 bins)     {:.4}", self.calibration_error)?;
        writeln!(f, "Brier score                     {:.4}", self.brier)?;
        if let Some(shortcut) = &self.shortcut {
            writeln!(
                f,
                "AUC by the original's height or aspect ratio alone ({} images)   {:.3}, {:.3}",
                shortcut.images, shortcut.by_height, shortcut.by_aspect_ratio
            )?;
        }
        write!(f, "\nat the model's threshold {}\nat threshold {}", self.at_threshold, self.at_half)
    }
}

impl fmt::Display for AtThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:.4}", self.threshold)?;
        writeln!(f, "  accuracy      {}", figure(self.accuracy, self.accuracy_interval))?;
        writeln!(f, "  sensitivity   {}", figure(self.sensitivity, self.sensitivity_interval))?;
        writeln!(f, "  specificity   {}", figure(self.specificity, self.specificity_interval))?;
        writeln!(f, "                flagged  not flagged  precision  recall      F1  images")?;
        let counts = &self.confusion;
        let rows = [
            ("NORMAL", counts.false_positive, counts.true_negative, &self.normal),
            ("PNEUMONIA", counts.true_positive, counts.false_negative, &self.pneumonia),
        ];
        for (name, flagged, not_flagged, report) in rows {
            let ClassReport { precision, recall, f1, support } = report;
            writeln!(
                f,
                "  {name:<12}  {flagged:>7}  {not_flagged:>11}  {:>9}  {:>6}  {:>6}  {support:>6}",
                figure(*precision, None),
                figure(*recall, None),
                figure(*f1, None)
            )?;
        }
        Ok(())
    }
}

fn figure(value: Option<f64>, interval: Option<Interval>) -> String {
    match (value, interval) {
        (None, _) => "-".to_owned(),
        (Some(value), None) => format!("{value:.4}"),
        (Some(value), Some(Interval { low, high })) => {
            format!("{value:.4} ({low:.4} to {high:.4})")
        }
    }
}
