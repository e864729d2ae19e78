//! The figures of each group of films that one unit may have made, told by the text in their corners.

use serde::{Deserialize, Serialize};

use super::{Confusion, Predictions, roc_auc};
use crate::dataset::Corner;

/// What an evaluation found among some of its films.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupFigures {
    /// `text lower right`, `no text`.
    pub group: String,
    /// Films labelled normal.
    pub normal: u64,
    /// Films labelled pneumonia.
    pub pneumonia: u64,
    /// Area under the ROC curve within the group; none unless both classes are there.
    pub auc: Option<f64>,
    /// Share of its pneumonias that is flagged at the model's threshold.
    pub sensitivity: Option<f64>,
    /// Share of its normals that is not flagged.
    pub specificity: Option<f64>,
}

/// The films with text in each corner, where there are any, and those without text.
pub(super) fn groups(answers: &Predictions, threshold: f64) -> Vec<GroupFigures> {
    let with = |corner: Corner| move |text: &[Corner]| text.contains(&corner);
    let mut all: Vec<GroupFigures> = Corner::ALL
        .into_iter()
        .map(|corner| group(&format!("text {}", corner.name()), answers, threshold, with(corner)))
        .filter(|group| group.normal + group.pneumonia > 0)
        .collect();
    if !all.is_empty() {
        all.push(group("no text", answers, threshold, <[Corner]>::is_empty));
    }
    all
}

fn group(
    name: &str,
    answers: &Predictions,
    threshold: f64,
    belongs: impl Fn(&[Corner]) -> bool,
) -> GroupFigures {
    let of = answers.text.iter().enumerate().filter(|(_, text)| belongs(text));
    let (probability, ill): (Vec<f64>, Vec<bool>) =
        of.map(|(index, _)| (answers.probability[index], answers.is_pneumonia[index])).unzip();
    let counts = Confusion::at(threshold, &probability, &ill);
    let pneumonia = ill.iter().filter(|ill| **ill).count() as u64;
    GroupFigures {
        group: name.to_owned(),
        normal: ill.len() as u64 - pneumonia,
        pneumonia,
        auc: roc_auc(&probability, &ill),
        sensitivity: counts.sensitivity(),
        specificity: counts.specificity(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn films_with_text_and_those_without_have_figures_of_their_own() {
        let answers = Predictions {
            probability: vec![0.9, 0.8, 0.7, 0.2],
            is_pneumonia: vec![true, false, true, false],
            text: vec![vec![Corner::LowerRight], vec![Corner::LowerRight], vec![], vec![]],
            ..Predictions::default()
        };
        let groups = groups(&answers, 0.5);
        let names: Vec<&str> = groups.iter().map(|it| it.group.as_str()).collect();
        assert_eq!(names, ["text lower right", "no text"]);
        assert_eq!((groups[0].specificity, groups[0].auc), (Some(0.0), Some(1.0)));
        assert_eq!((groups[1].specificity, groups[1].normal), (Some(1.0), 1));
        assert!(super::groups(&Predictions { text: vec![vec![]; 4], ..answers }, 0.5).is_empty());
    }
}
