//! From the network's answer to what is stored.

use std::collections::BTreeMap;

use lobar_core::engine::{EngineInfo, Prediction};
use lobar_core::finding::{Finding, Heatmap, Label, Subtype, SubtypeLabel};
use lobar_core::image::Reason;
use lobar_core::store::Outcome;

/// The outcome of an image that the engine answered. A probability that is not one needs a human:
/// a failure never looks negative.
pub fn assemble(
    engine: &EngineInfo,
    prediction: Prediction,
    warnings: Vec<String>,
    timings_ms: BTreeMap<String, f64>,
) -> Outcome {
    let Prediction { probability, bacterial, heatmap } = prediction;
    if !is_probability(probability) {
        return unusable("The network's answer is not a probability.");
    }
    let flagged = probability >= engine.threshold;
    let subtype = bacterial.filter(|p| flagged && is_probability(*p)).map(subtype);
    Outcome::Ready(Box::new(Finding {
        model: engine.model.clone(),
        probability,
        threshold: engine.threshold,
        flagged,
        label: if flagged { Label::Pneumonia } else { Label::Normal },
        subtype,
        heatmap: heatmap.filter(is_whole),
        warnings,
        timings_ms,
    }))
}

/// The outcome of an image for which the network has no number.
pub fn unusable(detail: impl Into<String>) -> Outcome {
    Outcome::NeedsHuman { reason: Reason::EngineFailed, detail: detail.into() }
}

fn subtype(bacterial: f64) -> Subtype {
    let (label, probability) = if bacterial >= 0.5 {
        (SubtypeLabel::Bacterial, bacterial)
    } else {
        (SubtypeLabel::Viral, 1.0 - bacterial)
    };
    Subtype { label, probability, experimental: true }
}

fn is_probability(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

fn is_whole(heatmap: &Heatmap) -> bool {
    u64::from(heatmap.width) * u64::from(heatmap.height) == heatmap.cells.len() as u64
        && heatmap.cells.iter().all(|cell| cell.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lobar_core::finding::ModelRef;

    fn outcome(probability: f64, bacterial: Option<f64>) -> Outcome {
        let model =
            ModelRef { version: "1".into(), sha256: "0".repeat(64), preprocessing: "1".into() };
        let engine = EngineInfo {
            model,
            threshold: 0.4,
            max_batch: 1,
            device: "test".into(),
            tolerance: 0.0,
        };
        let heatmap = Heatmap { width: 1, height: 1, cells: vec![f32::NAN] };
        let prediction = Prediction { probability, bacterial, heatmap: Some(heatmap) };
        assemble(&engine, prediction, vec![], BTreeMap::new())
    }

    fn finding(probability: f64, bacterial: Option<f64>) -> Finding {
        match outcome(probability, bacterial) {
            Outcome::Ready(finding) => *finding,
            other => panic!("not assessed: {other:?}"),
        }
    }

    #[test]
    fn the_threshold_itself_is_flagged() {
        assert!(finding(0.4, None).flagged);
        assert_eq!(finding(0.4, None).label, Label::Pneumonia);
        assert_eq!(finding(0.399, None).label, Label::Normal);
    }

    #[test]
    fn a_subtype_is_named_only_when_flagged_and_is_the_likelier_one() {
        assert_eq!(finding(0.1, Some(0.9)).subtype, None);
        let viral = finding(0.9, Some(0.25)).subtype.expect("a subtype");
        assert_eq!((viral.label, viral.probability), (SubtypeLabel::Viral, 0.75));
        assert!(viral.experimental);
        assert_eq!(finding(0.9, Some(f64::NAN)).subtype, None);
    }

    #[test]
    fn what_is_no_probability_needs_a_human() {
        for bad in [f64::NAN, f64::INFINITY, -0.1, 1.1] {
            let needs_human = matches!(
                outcome(bad, None),
                Outcome::NeedsHuman { reason: Reason::EngineFailed, .. }
            );
            assert!(needs_human, "{bad}");
        }
    }

    #[test]
    fn a_broken_heatmap_is_left_out() {
        assert_eq!(finding(0.5, None).heatmap, None);
    }
}
