//! The second output: bacterial against viral. Experimental, and called so wherever it is shown.

use serde::{Deserialize, Serialize};

use super::bootstrap::intervals;
use super::{ClassReport, Confusion, Interval, Predictions, Ranking, RocPoint};

/// Figures of the second output on the pictures that are labelled bacterial or viral, at probability
/// 0.5; it has no threshold of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubtypeFigures {
    /// Always true.
    pub experimental: bool,
    /// Pictures whose cause is labelled.
    pub images: u64,
    /// Area under the ROC curve, bacterial against viral; `None` unless both are present.
    pub auc: Option<f64>,
    /// 95 % interval, patients drawn again.
    pub auc_interval: Option<Interval>,
    /// Share answered rightly.
    pub accuracy: Option<f64>,
    /// Likewise.
    pub accuracy_interval: Option<Interval>,
    /// Counts; positive is bacterial.
    pub confusion: Confusion,
    /// The classification report's rows.
    pub viral: ClassReport,
    /// Likewise.
    pub bacterial: ClassReport,
    /// The ROC curve, thinned; empty without an area.
    pub roc: Vec<RocPoint>,
}

impl SubtypeFigures {
    /// `None` when no picture has both an answer and a labelled cause.
    pub(super) fn measure(answers: &Predictions) -> Option<Self> {
        let of = answers.with_subtype();
        let confusion = Confusion::at(0.5, &of.probability, &of.positive);
        let [auc_interval, accuracy_interval] = intervals(&of.patient, |choice| {
            let (scores, truth) = super::chosen(&of.probability, &of.positive, choice);
            let ranking = Ranking::of(&scores, &truth);
            [ranking.map(|it| it.auc()), Confusion::at(0.5, &scores, &truth).accuracy()]
        });
        let [viral, bacterial] = confusion.report();
        let ranking = Ranking::of(&of.probability, &of.positive);
        (!of.probability.is_empty()).then(|| Self {
            experimental: true,
            images: of.probability.len() as u64,
            auc: ranking.as_ref().map(Ranking::auc),
            auc_interval,
            accuracy: confusion.accuracy(),
            accuracy_interval,
            confusion,
            viral,
            bacterial,
            roc: ranking.as_ref().map(Ranking::roc).unwrap_or_default(),
        })
    }
}
