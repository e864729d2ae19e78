//! From the network's answer to what is stored.

use std::collections::BTreeMap;

use lobar_core::engine::{EngineInfo, NoveltyPolicy, Prediction};
use lobar_core::finding::{Finding, Heatmap, Label, Subtype, SubtypeLabel};
use lobar_core::image::Reason;
use lobar_core::population::{AGE_UNKNOWN, Standing};
use lobar_core::store::Outcome;
use lobar_core::study::AgeTold;

/// The outcome of an image that the engine answered. One whose patient is known to be outside the ages that the model was
/// trained on needs a human. One that is unlike the training data needs a
/// human, whatever the network says of it, unless the operator wants a warning; and so does a probability that is not one: a failure
/// never looks negative.
pub fn assemble(
    engine: &EngineInfo,
    prediction: Prediction,
    mut warnings: Vec<String>,
    timings_ms: BTreeMap<String, f64>,
    age: &AgeTold,
) -> Outcome {
    match engine.population.standing(age) {
        Standing::Inside => {}
        Standing::Unknown => warnings.push(AGE_UNKNOWN.to_owned()),
        Standing::Outside(ages) => {
            let detail = format!("The network was trained on patients aged {ages}.");
            return Outcome::NeedsHuman { reason: Reason::OutOfPopulation, detail };
        }
    }
    if let Some(novelty) = prediction.novelty.filter(|_| prediction.is_novel()) {
        let detail = unlike(novelty);
        if engine.novelty_policy != NoveltyPolicy::Warn {
            return Outcome::NeedsHuman { reason: Reason::UnlikeTraining, detail };
        }
        warnings.push(detail);
    }
    let Prediction { probability, bacterial, heatmap, novelty: _ } = prediction;
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
        heatmap: heatmap.filter(Heatmap::is_whole),
        warnings,
        timings_ms,
    }))
}

/// The outcome of an image for which the network has no number.
pub fn unusable(detail: impl Into<String>) -> Outcome {
    Outcome::NeedsHuman { reason: Reason::EngineFailed, detail: detail.into() }
}

/// The sentence that goes with an image unlike the training data.
fn unlike(novelty: f64) -> String {
    let far =
        if novelty.is_finite() { format!("{novelty:.2} times") } else { "more than".to_owned() };
    format!(
        "Unlike the training data: {far} what is accepted. The network's answer may mean nothing."
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use lobar_core::finding::ModelRef;
    use lobar_core::population::{Ages, Population};

    #[test]
    fn an_operator_may_have_what_is_unlike_answered_with_a_warning() {
        let warned = outcome_of(0.9, None, Some(1.5), NoveltyPolicy::Warn);
        let Outcome::Ready(finding) = warned else { panic!("{warned:?}") };
        assert!(finding.flagged && finding.warnings[0].contains("1.50 times"), "{finding:?}");
        let alike = outcome_of(0.9, None, Some(0.9), NoveltyPolicy::Warn);
        assert!(matches!(alike, Outcome::Ready(finding) if finding.warnings.is_empty()));
    }

    fn outcome(probability: f64, bacterial: Option<f64>) -> Outcome {
        outcome_at(probability, bacterial, Some(1.0))
    }

    fn outcome_at(probability: f64, bacterial: Option<f64>, novelty: Option<f64>) -> Outcome {
        outcome_of(probability, bacterial, novelty, NoveltyPolicy::NeedsHuman)
    }

    fn engine(novelty_policy: NoveltyPolicy, population: Population) -> EngineInfo {
        let model =
            ModelRef { version: "1".into(), sha256: "0".repeat(64), preprocessing: "1".into() };
        EngineInfo {
            model,
            threshold: 0.4,
            max_batch: 1,
            replicas: 1,
            device: "test".into(),
            tolerance: 0.0,
            novelty_policy,
            population,
        }
    }

    fn outcome_of(
        probability: f64,
        bacterial: Option<f64>,
        novelty: Option<f64>,
        novelty_policy: NoveltyPolicy,
    ) -> Outcome {
        let engine = engine(novelty_policy, Population::default());
        let heatmap = Heatmap { width: 1, height: 1, cells: vec![f32::NAN] };
        let heatmap = Some(heatmap);
        let prediction = Prediction { probability, bacterial, heatmap, novelty };
        assemble(&engine, prediction, vec![], BTreeMap::new(), &AgeTold::Nothing)
    }

    fn of_age(age: AgeTold) -> Outcome {
        let population = Population { ages: Some(Ages { from: 1, to: 5 }) };
        let engine = engine(NoveltyPolicy::NeedsHuman, population);
        let (heatmap, bacterial) = (None, None);
        // Unlike the training images as well: who is outside is told of first.
        let novelty = age == AgeTold::Years(vec![62, 3]);
        let novelty = Some(if novelty { 2.0 } else { 0.5 });
        let prediction = Prediction { probability: 0.1, bacterial, heatmap, novelty };
        assemble(&engine, prediction, vec![], BTreeMap::new(), &age)
    }

    #[test]
    fn who_is_outside_the_ages_of_the_model_needs_a_human_and_who_may_be_is_warned_of() {
        for years in [vec![0], vec![6], vec![62, 3]] {
            match of_age(AgeTold::Years(years)) {
                Outcome::NeedsHuman { reason: Reason::OutOfPopulation, detail } => {
                    assert_eq!(detail, "The network was trained on patients aged 1 to 5 years.");
                }
                other => panic!("{other:?}"),
            }
        }
        for (age, warned) in [
            (AgeTold::Years(vec![3]), vec![]),
            (AgeTold::Unknown, vec![AGE_UNKNOWN]),
            (AgeTold::Nothing, vec![]),
        ] {
            let Outcome::Ready(finding) = of_age(age) else { panic!("a result") };
            assert_eq!(finding.warnings, warned);
        }
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
    fn what_is_unlike_the_training_data_needs_a_human_whatever_the_network_says() {
        for probability in [0.0, 0.3, 0.9, f64::NAN] {
            for novelty in [1.001, 70.0, f64::INFINITY, f64::NAN] {
                match outcome_at(probability, None, Some(novelty)) {
                    Outcome::NeedsHuman { reason: Reason::UnlikeTraining, detail } => {
                        assert!(detail.starts_with("Unlike the training data"), "{detail}");
                    }
                    other => panic!("{probability}, {novelty}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn what_is_like_it_or_was_not_compared_with_it_is_assessed() {
        for novelty in [None, Some(0.0), Some(1.0)] {
            assert!(matches!(outcome_at(0.3, None, novelty), Outcome::Ready(_)), "{novelty:?}");
        }
    }

    #[test]
    fn a_broken_heatmap_is_left_out() {
        assert_eq!(finding(0.5, None).heatmap, None);
    }
}
