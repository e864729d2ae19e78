//! Verdicts as clients give and see them.

use lobar_core::exposure::FirstOpinion;
use lobar_core::finding::Label;
use lobar_core::object::ImageId;
use lobar_core::verdict::{NewVerdict, Opinion, Verdict};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::picture;
use crate::problem::{Kind, Problem};
use crate::timestamp::rfc3339;

/// Most letters of a reason.
pub(crate) const REASON_MAX: usize = 1_000;
/// Most words of what was displayed, and letters of each.
pub(crate) const DISPLAYED_MAX: usize = 16;
pub(crate) const WORD_MAX: usize = 40;

/// What a reader says of an image. No `Debug`: a reason may be personal.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerdictBody {
    /// Version of the model whose result was shown; null when there was none.
    model_version: Option<String>,
    /// `agree`, `disagree` or `not_assessable`.
    opinion: OpinionWord,
    /// With `disagree`: what is right, `PNEUMONIA` or `NORMAL`.
    label: Option<LabelWord>,
    /// With `not_assessable`: why, in the reader's words, at most 1,000 letters.
    reason: Option<String>,
    /// What was displayed: plain words such as `picture` and `heatmap`.
    #[serde(default)]
    displayed: Vec<String>,
    /// Which rendering of the picture was decoded and painted before the reader's eyes: the `ETag` of
    /// `/v1/images/{id}/picture`. Left out or null where there was none; nothing is learnt from such a verdict.
    rendering: Option<String>,
}

/// What a reader says of a result.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OpinionWord {
    Agree,
    Disagree,
    NotAssessable,
}

/// What is right.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
enum LabelWord {
    Pneumonia,
    Normal,
}

/// One verdict.
#[derive(Serialize, ToSchema)]
pub(crate) struct VerdictItem {
    /// Its own id.
    id: Uuid,
    /// On which image.
    image: Uuid,
    /// Version of the model whose result was shown.
    model_version: Option<String>,
    /// `agree`, `disagree` or `not_assessable`; `own` where it was said before the result was shown; `unreadable` where what
    /// was said is stored and this release cannot read it.
    #[schema(value_type = String)]
    opinion: &'static str,
    /// The label that it comes to; null for what is not assessable or unreadable.
    #[schema(value_type = Option<String>)]
    label: Option<&'static str>,
    /// Why it is not assessable, in the reader's words.
    reason: Option<String>,
    /// Who gave it.
    reader: String,
    /// The reader's role.
    role: String,
    /// What was displayed.
    displayed: Vec<String>,
    /// Which rendering of the picture was painted; null where none was.
    rendering: Option<String>,
    /// RFC 3339, UTC.
    at: String,
}

/// The verdicts on one image.
#[derive(Serialize, ToSchema)]
pub(crate) struct VerdictList {
    /// Oldest first. The newest counts.
    pub(crate) items: Vec<VerdictItem>,
    /// Why nothing is told, null where nothing is withheld: see the image's `withheld`.
    #[schema(value_type = Option<String>)]
    pub(crate) withheld: Option<&'static str>,
}

/// The newest verdict on an image, in short.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerdictMark {
    /// `agree`, `disagree`, `not_assessable` or `unreadable`.
    #[schema(value_type = String)]
    opinion: &'static str,
    /// The label that it comes to; null for what is not assessable or unreadable.
    #[schema(value_type = Option<String>)]
    label: Option<&'static str>,
    /// Whether the picture was on the screen. Nothing is learnt from a verdict without it.
    seen: bool,
    /// RFC 3339, UTC.
    at: String,
}

impl VerdictBody {
    /// The verdict on `image` of this reader, whose role the caller fills in; a problem where its members do not go together.
    pub(crate) fn on(self, image: ImageId, reader: &str) -> Result<NewVerdict, Problem> {
        let wrong = |detail: &str| Problem::new(Kind::BadParameter, detail);
        if self.label.is_some() != matches!(self.opinion, OpinionWord::Disagree) {
            return Err(wrong("`label` goes with `disagree`, and `disagree` with a label."));
        }
        if self.reason.is_some() && !matches!(self.opinion, OpinionWord::NotAssessable) {
            return Err(wrong("`reason` goes with `not_assessable`."));
        }
        let reason = self.reason.unwrap_or_default();
        if reason.chars().count() > REASON_MAX || reason.contains('\0') {
            return Err(wrong("`reason` takes at most 1,000 letters."));
        }
        let words = &self.displayed;
        if words.len() > DISPLAYED_MAX || !words.iter().all(|word| is_word(word)) {
            return Err(wrong("`displayed` takes up to 16 plain words: letters, digits and `_`."));
        }
        if self.model_version.as_ref().is_some_and(|version| version.contains('\0')) {
            return Err(wrong("`model_version` names no model."));
        }
        let rendering = self.rendering.as_deref().map(|tag| tag.trim_matches('"').to_owned());
        if rendering.as_ref().is_some_and(|rendering| !picture::is_rendering_of(rendering, image)) {
            let detail = "`rendering` is the ETag of this image's picture, or left out.";
            return Err(wrong(detail));
        }
        let label = match self.label {
            Some(LabelWord::Pneumonia) => Label::Pneumonia,
            Some(LabelWord::Normal) | None => Label::Normal,
        };
        Ok(NewVerdict {
            image,
            model_version: self.model_version,
            opinion: match self.opinion {
                OpinionWord::Agree => Opinion::Agree,
                OpinionWord::Disagree => Opinion::Disagree { label },
                OpinionWord::NotAssessable => Opinion::NotAssessable { reason },
            },
            reader: reader.into(),
            role: String::new(),
            displayed: self.displayed,
            rendering,
        })
    }
}

fn is_word(word: &str) -> bool {
    (1..=WORD_MAX).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl From<Verdict> for VerdictItem {
    fn from(verdict: Verdict) -> Self {
        let Verdict { id, verdict: given, label, at } = verdict;
        let opinion = given.opinion.word();
        Self {
            id,
            image: given.image.0,
            model_version: given.model_version,
            opinion,
            label: label.map(Label::word),
            reason: match given.opinion {
                Opinion::NotAssessable { reason } => Some(reason),
                Opinion::Agree | Opinion::Disagree { .. } | Opinion::Unreadable => None,
            },
            reader: given.reader,
            role: given.role,
            displayed: given.displayed,
            rendering: given.rendering,
            at: rfc3339(at),
        }
    }
}

impl From<FirstOpinion> for VerdictItem {
    fn from(first: FirstOpinion) -> Self {
        let FirstOpinion { id, opinion, answer, found: _, at } = first;
        let displayed = opinion.rendering.as_ref().map(|_| "picture".to_owned());
        Self {
            id,
            image: opinion.image.0,
            model_version: Some(answer.model_version),
            opinion: "own",
            label: opinion.label.map(Label::word),
            reason: None,
            reader: opinion.reader.name,
            role: opinion.role,
            displayed: displayed.into_iter().collect(),
            rendering: opinion.rendering,
            at: rfc3339(at),
        }
    }
}

impl From<&Verdict> for VerdictMark {
    fn from(verdict: &Verdict) -> Self {
        Self {
            opinion: verdict.verdict.opinion.word(),
            label: verdict.label.map(Label::word),
            seen: verdict.verdict.rendering.is_some(),
            at: rfc3339(verdict.at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: serde_json::Value) -> Option<NewVerdict> {
        let body: VerdictBody = serde_json::from_value(body).ok()?;
        body.on(ImageId(Uuid::nil()), "jane").ok()
    }

    #[test]
    fn members_that_do_not_go_together_are_refused() {
        use serde_json::json;
        let whole = json!({ "model_version": "7", "opinion": "disagree", "label": "NORMAL",
            "displayed": ["picture", "heatmap"] });
        let verdict = parsed(whole).expect("well-formed");
        assert_eq!(verdict.opinion, Opinion::Disagree { label: Label::Normal });
        assert_eq!(verdict.reader, "jane");
        assert!(parsed(json!({ "opinion": "not_assessable" })).is_some());
        let seen = picture::rendering(ImageId(Uuid::nil()), 1600);
        for tag in [seen.clone(), format!("\"{seen}\"")] {
            let verdict =
                parsed(json!({ "opinion": "agree", "rendering": tag })).expect("well-formed");
            assert_eq!(verdict.rendering.as_ref(), Some(&seen));
        }
        for wrong in [
            json!({}),
            json!({ "opinion": "maybe" }),
            json!({ "opinion": "disagree" }),
            json!({ "opinion": "disagree", "label": "normal" }),
            json!({ "opinion": "agree", "label": "NORMAL" }),
            json!({ "opinion": "agree", "reason": "why not" }),
            json!({ "opinion": "not_assessable", "reason": "a".repeat(1_001) }),
            json!({ "opinion": "agree", "displayed": ["Doe, John"] }),
            json!({ "opinion": "agree", "displayed": vec!["a"; 17] }),
            json!({ "opinion": "agree", "reader": "somebody else" }),
            json!({ "opinion": "agree", "rendering": "" }),
            json!({ "opinion": "agree", "rendering": "picture" }),
            json!({ "opinion": "agree", "rendering": picture::rendering(ImageId(Uuid::max()), 1600) }),
        ] {
            assert!(parsed(wrong.clone()).is_none(), "{wrong}");
        }
    }
}
