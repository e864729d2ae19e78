//! What makes a picture not assessable: a closed list, so that it can be counted.

use serde::{Deserialize, Serialize};

/// Why nobody can tell from a picture: what the image criteria for chest radiographs ask for and it lacks (European Guidelines
/// on Quality Criteria for Diagnostic Radiographic Images, EUR 16260), or something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The patient was turned.
    Rotation,
    /// Too dark or too light.
    Exposure,
    /// The patient had not breathed in far enough.
    Inspiration,
    /// A part of the lungs is not on the picture.
    CutOff,
    /// Something lies over it, or the patient moved.
    Artefact,
    /// It shows something else, or the chest from the side.
    NotFrontalChest,
    /// Something else, which a note says.
    Other,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 7] = [
        Self::Rotation,
        Self::Exposure,
        Self::Inspiration,
        Self::CutOff,
        Self::Artefact,
        Self::NotFrontalChest,
        Self::Other,
    ];

    /// The word used in storage and HTTP. Never changed, never used again.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rotation => "rotation",
            Self::Exposure => "exposure",
            Self::Inspiration => "inspiration",
            Self::CutOff => "cut_off",
            Self::Artefact => "artefact",
            Self::NotFrontalChest => "not_frontal_chest",
            Self::Other => "other",
        }
    }

    /// The cause of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_reads_back_from_its_word() {
        for cause in Cause::ALL {
            assert_eq!(Cause::parse(cause.word()), Some(cause));
            assert_eq!(serde_json::json!(cause), cause.word());
        }
        assert_eq!(Cause::parse("boredom"), None);
    }
}
