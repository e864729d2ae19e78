//! Models as people read them on a terminal.

use std::fmt::Write;

use lobar_api::models::{Comparisons, History, ModelItem, ModelList};
use serde_json::Value;

use crate::columns::{columns, minutes};

/// Every model in a line.
pub fn models(list: &ModelList) -> String {
    if list.items.is_empty() {
        return "No model is registered. The first worker that starts registers the shipped one; `lobar \
                model register FILE` registers another."
            .into();
    }
    let lines = list.items.iter().map(|model| {
        let stage =
            if model.shadow { format!("{}, shadow", model.stage) } else { model.stage.into() };
        let figures = &model.card["test"];
        let is_own = figures["at_threshold_of"].is_null();
        let at_own = |figure: &Value| if is_own { share(figure) } else { "-".into() };
        vec![
            model.version.clone(),
            stage,
            minutes(&model.registered_at),
            share(&figures["auc"]),
            at_own(&figures["sensitivity"]),
            at_own(&figures["specificity"]),
            share(&model.card["threshold"]),
            model.sha256.chars().take(12).collect(),
        ]
    });
    let head = ["VERSION", "STAGE", "REGISTERED", "AUC", "SENS", "SPEC", "THRESHOLD", "SHA-256"];
    let mut text = columns(&head, lines);
    for model in &list.items {
        if let Some(site) = site(&model.card) {
            text.push_str(&format!(
                "{}: threshold and calibration are fitted to site {site}.\n",
                model.version
            ));
        }
    }
    if list.pinned {
        text.push_str(
            "LOBAR_MODEL is set: a worker with these settings serves that file instead.\n",
        );
    }
    text
}

/// One model with its card.
pub fn model(model: &ModelItem) -> String {
    let card = serde_json::to_string_pretty(&model.card).unwrap_or_default();
    let shadow = if model.shadow { ", shadow" } else { "" };
    let site = site(&model.card).map_or_else(String::new, |site| format!("site        {site}\n"));
    format!(
        "version     {}\nstage       {}{shadow}, since {}\nregistered  {}\nSHA-256     {}\nbytes       {}\n{site}card        {card}\n",
        model.version,
        model.stage,
        minutes(&model.changed_at),
        minutes(&model.registered_at),
        model.sha256,
        model.bytes,
    )
}

/// A shadow against each model that was shown.
pub fn comparisons(comparisons: &Comparisons) -> String {
    if comparisons.items.is_empty() {
        let version = &comparisons.version;
        return format!(
            "{version} has shadowed no image yet: `lobar model shadow {version}` begins."
        );
    }
    let mut text = String::new();
    for other in &comparisons.items {
        let percent = |images: u64| 100.0 * images as f64 / (other.images.max(1)) as f64;
        let counted = |images: u64| format!("{images} ({:.1} %)", percent(images));
        let neither = other.images
            - other.both_flagged
            - other.only_shadow_flagged
            - other.only_shown_flagged;
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{} beside {}, which was shown, on {} images\n  \
             flagged by both             {}\n  \
             by the shadow alone         {}\n  \
             by the shown one alone      {}\n  \
             by neither                  {}\n  \
             difference of probability   mean {:+.4}, mean absolute {:.4}, largest {:.4}\n",
            comparisons.version,
            other.shown_version,
            other.images,
            counted(other.both_flagged),
            counted(other.only_shadow_flagged),
            counted(other.only_shown_flagged),
            counted(neither),
            other.mean_difference,
            other.mean_absolute_difference,
            other.largest_difference,
        );
        if other.verdicts > 0 {
            let _ = writeln!(
                text,
                "  right by doctors' labels    {} of {}, the shown one {}",
                other.verdicts_for_shadow, other.verdicts, other.verdicts_for_shown
            );
        }
    }
    text
}

/// Every change in a line.
pub fn history(history: &History) -> String {
    if history.items.is_empty() {
        return "Nothing was registered yet.".into();
    }
    let lines = history.items.iter().map(|change| {
        let revision = change.revision.to_string();
        let (action, version) = (change.action.clone(), change.version.clone());
        vec![revision, minutes(&change.at), action, version, change.by.clone().unwrap_or_default()]
    });
    columns(&["REVISION", "AT (UTC)", "ACTION", "VERSION", "BY"], lines)
}

/// The site that a model was calibrated to, on what, and of which model it is a revision; none of others.
fn site(card: &Value) -> Option<String> {
    let site = card.get("site")?;
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    Some(format!(
        "{}, on {} images of {} patients, {} with pneumonia, from {}",
        text(&site["site"]),
        site["images"],
        site["patients"],
        site["pneumonias"],
        text(&site["parent"]["version"])
    ))
}

fn share(value: &Value) -> String {
    value.as_f64().map_or("-".into(), |share| format!("{share:.3}"))
}
