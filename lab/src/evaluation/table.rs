//! An evaluation as plain text.

use std::fmt;

use super::{AtThreshold, ClassReport, Evaluation, Interval};

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} images of {} patients", self.images, self.patients)?;
        writeln!(f, "AUC, pneumonia against normal   {}", figure(self.auc, self.auc_interval))?;
        let precision = figure(self.average_precision, self.average_precision_interval);
        writeln!(f, "average precision of pneumonia  {precision}")?;
        let subtype = self.subtype.as_ref().and_then(|it| it.auc_interval);
        let subtype = figure(self.subtype_auc, subtype);
        writeln!(f, "AUC, bacterial against viral    {subtype} (experimental)")?;
        let calibration = figure(Some(self.calibration_error), self.calibration_error_interval);
        writeln!(f, "calibration error (15 bins)     {calibration}")?;
        let brier = figure(Some(self.brier), self.brier_interval);
        writeln!(f, "Brier score                     {brier}")?;
        if let Some(auc) = self.sharpness_auc {
            writeln!(f, "AUC by sharpness alone          {auc:.3}")?;
        }
        if let Some(shortcut) = &self.shortcut {
            writeln!(
                f,
                "AUC by the original's height or aspect ratio alone ({} images)   {:.3}, {:.3}",
                shortcut.images, shortcut.by_height, shortcut.by_aspect_ratio
            )?;
        }
        write!(
            f,
            "\nat the model's threshold {}\nat threshold {}",
            self.at_threshold, self.at_half
        )?;
        if !self.groups.is_empty() {
            writeln!(
                f,
                "\n{:<38} {:>6} {:>6} {:>6}  normal, pneumonia",
                "burnt-in text", "AUC", "sens.", "spec."
            )?;
        }
        for it in &self.groups {
            writeln!(
                f,
                "{:<38} {:>6} {:>6} {:>6}  {}, {}",
                it.group,
                figure(it.auc, None),
                figure(it.sensitivity, None),
                figure(it.specificity, None),
                it.normal,
                it.pneumonia
            )?;
        }
        if self.stress.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{:<38} {:>6} {:>6} {:>6}  flips", "changed", "AUC", "sens.", "spec.")?;
        for row in &self.stress {
            let bound = match row.is_within_bound() {
                Some(true) => ", within its bound",
                Some(false) => ", beyond its bound",
                None => "",
            };
            writeln!(
                f,
                "{:<38} {:>6} {:>6} {:>6}  {} to flagged, {} to not flagged{bound}",
                row.change,
                figure(row.auc, None),
                figure(row.sensitivity, None),
                figure(row.specificity, None),
                row.to_flagged,
                row.to_not_flagged
            )?;
        }
        Ok(())
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
        for (name, it) in
            [("macro mean", &self.macro_average), ("weighted mean", &self.weighted_average)]
        {
            writeln!(
                f,
                "  {name:<13}                       {:>9}  {:>6}  {:>6}",
                figure(it.precision, None),
                figure(it.recall, None),
                figure(it.f1, None)
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
