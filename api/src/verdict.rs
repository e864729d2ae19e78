//! Verdicts as clients give and see them.

use std::collections::BTreeSet;

use lobar_core::exposure::FirstOpinion;
use lobar_core::finding::Label;
use lobar_core::object::ImageId;
use lobar_core::verdict::{Cause, NewVerdict, Note, Opinion, Verdict};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::picture;
use crate::problem::{Kind, Problem};
use crate::timestamp::rfc3339;

/// Most letters of a note.
pub(crate) const NOTE_MAX: usize = 1_000;
/// Most causes: each once.
pub(crate) const CAUSES_MAX: usize = Cause::ALL.len();
/// Most words of what was displayed, and letters of each.
pub(crate) const DISPLAYED_MAX: usize = 16;
pub(crate) const WORD_MAX: usize = 40;

/// What a reader says of an image. No `Debug`: a note may be personal.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerdictBody {
    /// Version of the model whose result was shown; null when there was none.
    model_version: Option<String>,
    /// `agree`, `disagree` or `not_assessable`.
    opinion: OpinionWord,
    /// With `disagree`: what is right, `PNEUMONIA` or `NORMAL`.
    label: Option<LabelWord>,
    /// With `not_assessable`: why, each word once; with `other` a `note` says it.
    #[schema(value_type = Option<Vec<String>>)]
    causes: Option<Vec<Cause>>,
    /// In the reader's words, at most 1,000 letters. Whoever may see the image may read it.
    note: Option<String>,
    /// As `note`, with `not_assessable`: the name that it had before.
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
    /// Why it is not assessable; empty where no cause was named.
    #[schema(value_type = Vec<String>)]
    causes: Vec<&'static str>,
    /// In the reader's words; null where they wrote nothing.
    note: Option<String>,
    /// The note of what is not assessable, as it was called before; else null.
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
    /// RFC 3339, UTC: when its reader took it back, and since when it counts no more; null where it stands.
    withdrawn_at: Option<String>,
}

/// The verdicts on one image.
#[derive(Serialize, ToSchema)]
pub(crate) struct VerdictList {
    /// Oldest first. The newest that was not withdrawn counts.
    pub(crate) items: Vec<VerdictItem>,
    /// Why nothing is told, null where nothing is withheld: see the image's `withheld`. `own_verdict_first`: the caller's own
    /// are told, and those of others when the caller has given theirs.
    #[schema(value_type = Option<String>)]
    pub(crate) withheld: Option<&'static str>,
}

/// The newest verdict on an image that was not withdrawn, in short.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerdictMark {
    /// Its own id.
    id: Uuid,
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
        let is_other = !matches!(self.opinion, OpinionWord::NotAssessable);
        if is_other && (self.reason.is_some() || self.causes.is_some()) {
            return Err(wrong("`reason` and `causes` go with `not_assessable`."));
        }
        if self.reason.is_some() && self.note.is_some() {
            return Err(wrong("`reason` is another name of `note`: give one of them."));
        }
        let note = self.note.or(self.reason).unwrap_or_default();
        if note.chars().count() > NOTE_MAX || note.contains('\0') {
            return Err(wrong("`note` takes at most 1,000 letters."));
        }
        let causes = self.causes.unwrap_or_default();
        if BTreeSet::from_iter(&causes).len() < causes.len() {
            return Err(wrong("`causes` takes each word once."));
        }
        if causes.contains(&Cause::Other) && note.trim().is_empty() {
            return Err(wrong("The cause `other` needs a `note`."));
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
                OpinionWord::NotAssessable => Opinion::NotAssessable { causes },
            },
            note: Note(note),
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
        let Verdict { id, verdict: given, label, at, withdrawn_at } = verdict;
        let opinion = given.opinion.word();
        let Note(note) = given.note;
        let (causes, reason) = match given.opinion {
            Opinion::NotAssessable { causes } => (causes, Some(note.clone())),
            Opinion::Agree | Opinion::Disagree { .. } | Opinion::Unreadable => (Vec::new(), None),
        };
        Self {
            id,
            image: given.image.0,
            model_version: given.model_version,
            opinion,
            label: label.map(Label::word),
            causes: causes.into_iter().map(Cause::word).collect(),
            note: Some(note).filter(|note| !note.is_empty()),
            reason,
            reader: given.reader,
            role: given.role,
            displayed: given.displayed,
            rendering: given.rendering,
            at: rfc3339(at),
            withdrawn_at: withdrawn_at.map(rfc3339),
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
            causes: Vec::new(),
            note: None,
            reason: None,
            reader: opinion.reader.name,
            role: opinion.role,
            displayed: displayed.into_iter().collect(),
            rendering: opinion.rendering,
            at: rfc3339(at),
            withdrawn_at: None,
        }
    }
}

impl From<&Verdict> for VerdictMark {
    fn from(verdict: &Verdict) -> Self {
        Self {
            id: verdict.id,
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
        for name in ["reason", "note"] {
            let dark = json!({ "opinion": "not_assessable", "causes": ["exposure", "other"], name: "fog" });
            let dark = parsed(dark).expect("well-formed");
            assert_eq!(dark.note, Note("fog".into()));
            let causes = vec![Cause::Exposure, Cause::Other];
            assert_eq!(dark.opinion, Opinion::NotAssessable { causes });
        }
        let noted = parsed(json!({ "opinion": "agree", "note": "ask for the prior" }));
        assert!(noted.is_some_and(|verdict| !verdict.note.is_empty()));
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
            json!({ "opinion": "agree", "note": "a".repeat(1_001) }),
            json!({ "opinion": "agree", "causes": ["rotation"] }),
            json!({ "opinion": "not_assessable", "causes": ["rotation", "rotation"] }),
            json!({ "opinion": "not_assessable", "causes": ["boredom"] }),
            json!({ "opinion": "not_assessable", "causes": ["other"], "note": " " }),
            json!({ "opinion": "not_assessable", "note": "a", "reason": "a" }),
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
