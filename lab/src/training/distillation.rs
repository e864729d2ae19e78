//! What a network may learn from beside labels: the answers of networks that know more, and other views of the
//! same picture.

use std::path::PathBuf;

use super::TrainError;

/// Learning from teachers (Hinton et al. 2015, <https://arxiv.org/abs/1503.02531>), who see the very views that the
/// learning network sees (Beyer et al. 2022, <https://arxiv.org/abs/2106.05237>), and from the views' likeness.
#[derive(Clone, Debug, PartialEq)]
pub struct Distillation {
    /// Models with their cards; the mean of their logits is what they say. None: labels alone.
    pub teachers: Vec<PathBuf>,
    /// Share of the teachers' word in the target, 0..=1; the rest is the label's.
    pub share: f64,
    /// How often each picture is in a batch, changed differently. Teachers' answers are averaged over the views of
    /// a picture, so that all are taught the same. Divides the batch.
    pub views: usize,
    /// Weight of the mean squared distance between the logits of a picture's views; 0 with one view.
    pub consistency: f64,
}

impl Default for Distillation {
    fn default() -> Self {
        Self { teachers: Vec::new(), share: 0.7, views: 1, consistency: 0.0 }
    }
}

impl Distillation {
    /// Whether anybody teaches.
    #[must_use]
    pub fn has_teachers(&self) -> bool {
        !self.teachers.is_empty()
    }

    pub(super) fn check(&self, batch: usize) -> Result<(), TrainError> {
        let wrong = |what: String| Err(TrainError::Options(what));
        if !(0.0..=1.0).contains(&self.share) {
            return wrong(format!("the teachers' share must be from 0 to 1, not {}", self.share));
        }
        if self.views == 0 || !batch.is_multiple_of(self.views) {
            return wrong(format!(
                "{} views of a picture do not divide a batch of {batch}",
                self.views
            ));
        }
        if !(self.consistency >= 0.0 && self.consistency.is_finite()) {
            return wrong("the weight of the views' likeness must be at least 0".to_owned());
        }
        if self.consistency > 0.0 && self.views < 2 {
            return wrong(
                "views can be alike only where there are two or more of each picture".to_owned(),
            );
        }
        Ok(())
    }
}
