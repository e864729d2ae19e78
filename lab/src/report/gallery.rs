//! The wrong answers, for eyes: the most confidently wrong first.

use maud::{Markup, html};

use super::{ReportError, number, picture};
use crate::dataset::Sample;
use crate::evaluation::Predictions;

/// Most pictures shown of each kind of mistake.
pub const MOST_SHOWN: usize = 24;

/// One wrong answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Place of the picture among all that were evaluated, sorted by split, class and file name; from 1.
    pub number: usize,
    /// Its file name.
    pub name: String,
    /// Probability of pneumonia.
    pub probability: f64,
    /// What the label says of the cause.
    pub subtype: Option<&'static str>,
    picture: String,
    heat: Option<String>,
}

/// The wrong answers of one evaluation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mistakes {
    /// Pneumonia, not flagged: the least probable first, at most [`MOST_SHOWN`].
    pub missed: Vec<Case>,
    /// Normal, flagged: the most probable first, likewise.
    pub flagged: Vec<Case>,
}

impl Mistakes {
    /// Those at `threshold`; samples and answers are in the same order.
    ///
    /// # Errors
    /// A picture cannot be drawn.
    pub fn of(
        samples: &[Sample],
        answers: &Predictions,
        threshold: f64,
    ) -> Result<Self, ReportError> {
        let wrong = |is_pneumonia: bool| {
            let mut places: Vec<usize> = (0..samples.len().min(answers.probability.len()))
                .filter(|&at| answers.is_pneumonia[at] == is_pneumonia)
                .filter(|&at| (answers.probability[at] >= threshold) != is_pneumonia)
                .collect();
            places.sort_by(|&one, &other| {
                let order = answers.probability[one].total_cmp(&answers.probability[other]);
                if is_pneumonia { order } else { order.reverse() }
            });
            places.truncate(MOST_SHOWN);
            places
                .into_iter()
                .map(|at| case(at, &samples[at], answers))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self { missed: wrong(true)?, flagged: wrong(false)? })
    }
}

fn case(at: usize, sample: &Sample, answers: &Predictions) -> Result<Case, ReportError> {
    let heatmap = answers.heatmap.get(at).and_then(Option::as_ref);
    Ok(Case {
        number: at + 1,
        name: sample.name.clone(),
        probability: answers.probability[at],
        subtype: sample.subtype.map(crate::dataset::Etiology::name),
        picture: picture::grey(&sample.pixels)?,
        heat: heatmap.map(|heatmap| picture::heated(&sample.pixels, heatmap)).transpose()?,
    })
}

/// The cases as they stand on the page; `of` is how many there are in all.
pub(super) fn gallery(cases: &[Case], of: u64, names: bool) -> Markup {
    html! {
        @if of == 0 { p { "None." } }
        @if of > cases.len() as u64 {
            p.soft { "The " (cases.len()) " most confidently wrong of " (number::count(of)) "." }
        }
        div.gallery {
            @for case in cases {
                figure.case {
                    div.pair {
                        img src=(case.picture) alt={ "Image " (case.number) } width="224" height="224";
                        @if let Some(heat) = &case.heat {
                            img src=(heat) alt={ "The same under its heatmap" } width="224" height="224";
                        }
                    }
                    figcaption {
                        "Image " (case.number) " · probability " (number::figure(Some(case.probability)))
                        @if let Some(subtype) = case.subtype { " · labelled " (subtype) }
                        @if names { br; code { (case.name) } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Class, Split};
    use lobar_model::preprocessing::SIDE;

    fn answered(probabilities: &[(f64, bool)]) -> (Vec<Sample>, Predictions) {
        let mut answers = Predictions::default();
        let samples = probabilities.iter().enumerate().map(|(at, &(probability, ill))| {
            answers.probability.push(probability);
            answers.is_pneumonia.push(ill);
            Sample {
                name: format!("secret-{at}.jpeg"),
                split: Split::Val,
                class: if ill { Class::Pneumonia } else { Class::Normal },
                subtype: None,
                patient: at.to_string(),
                original_size: None,
                sha256: String::new(),
                pixels: vec![0; SIDE * SIDE],
            }
        });
        (samples.collect(), answers)
    }

    #[test]
    fn mistakes_are_shown_most_confidently_wrong_first() {
        let (samples, answers) = answered(&[
            (0.4, true),
            (0.9, true),
            (0.1, true),
            (0.6, false),
            (0.2, false),
            (0.7, false),
        ]);
        let mistakes = Mistakes::of(&samples, &answers, 0.5).unwrap();
        let numbers = |cases: &[Case]| cases.iter().map(|case| case.number).collect::<Vec<_>>();
        assert_eq!(
            (numbers(&mistakes.missed), numbers(&mistakes.flagged)),
            (vec![3, 1], vec![6, 4])
        );
    }

    #[test]
    fn a_gallery_is_capped_and_names_files_only_when_asked() {
        let (samples, answers) = answered(&[(0.9, false); 30]);
        let mistakes = Mistakes::of(&samples, &answers, 0.5).unwrap();
        assert_eq!(mistakes.flagged.len(), MOST_SHOWN);
        let shown = gallery(&mistakes.flagged, 30, false).into_string();
        assert!(shown.contains("24 most confidently wrong of 30") && !shown.contains("secret"));
        assert!(gallery(&mistakes.flagged, 30, true).into_string().contains("secret-3.jpeg"));
    }
}
