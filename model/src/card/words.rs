//! The model card in words, after Mitchell et al. 2019 (<https://arxiv.org/abs/1810.03993>).

use std::fmt::Write as _;

use lobar_core::statement::STATEMENT_OF_USE;
use serde_json::Value;

use serde::{Deserialize, Serialize};

use super::number::{Interval, figure, percent, with_interval};
use super::{Card, Metrics, StressRow, site};

/// AUC of pneumonia against normal by the original's format alone, either way round: what one could answer
/// without looking at the picture. It lies in a card's [`Metrics::more`] under `shortcut`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shortcut {
    /// Pictures whose format is known.
    pub images: u64,
    /// By the original's height in pixels.
    pub by_height: f64,
    /// By width divided by height.
    pub by_aspect_ratio: f64,
}

/// The card as Markdown. It says what the card says and nothing else, so it can be made at any time,
/// and the copy in a weights file can never say another thing than the card beside it.
#[must_use]
pub fn model_card(card: &Card) -> String {
    let mut text = format!("# {}\n\n{STATEMENT_OF_USE}\n\n", line(&card.version));
    // Writing to a String cannot fail.
    let _ = details(&mut text, card);
    let _ = figures(&mut text, card);
    let _ = stress(&mut text, card);
    let _ = caveats(&mut text, card);
    let _ = training(&mut text, card);
    text
}

fn details(text: &mut String, card: &Card) -> std::fmt::Result {
    let [normal, pneumonia] = &card.labels;
    let [viral, bacterial] = &card.sublabels;
    writeln!(text, "## What it is\n")?;
    let network = match &card.architecture {
        Some(name) => format!("A teacher, {}, which the engine does not run", line(name)),
        None => format!("A ResNet with blocks {:?} of width {}", card.blocks, card.width),
    };
    writeln!(
        text,
        "{network}, made {}. It gives the probability of {pneumonia} against {normal} \
         and, as an experiment, of {bacterial} against {viral} given {pneumonia}.\n",
        line(&card.created_at)
    )?;
    let input = &card.preprocessing;
    writeln!(
        text,
        "Input: {} (grey, {side}×{side} pixels, mean {}, standard deviation {}); last trained at {} pixels.\n",
        line(&input.version),
        input.mean,
        input.std,
        input.trained_side,
        side = input.side
    )?;
    writeln!(text, "## Whom it knows\n\n{}\n", line(&card.population))?;
    writeln!(
        text,
        "The figures hold for them. On other people, views or centres, measure it first.\n"
    )
}

fn figures(text: &mut String, card: &Card) -> std::fmt::Result {
    writeln!(text, "## How good it is\n")?;
    if let (Some(threshold), Some(temperature)) = (card.threshold, card.temperature) {
        writeln!(
            text,
            "It flags an image at a probability of {threshold:.4} or more (temperature {temperature:.4}); {}.\n",
            site::chosen(card)
        )?;
    }
    let columns: Vec<(&str, &Metrics)> = [("validation", &card.validation), ("test", &card.test)]
        .into_iter()
        .filter_map(|(name, metrics)| Some((name, metrics.as_ref()?)))
        .collect();
    if columns.is_empty() {
        return writeln!(text, "It has not been evaluated.\n");
    }
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    writeln!(text, "| | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()))?;
    let mut row = |title: &str, cell: &dyn Fn(&Metrics) -> String| {
        let cells: Vec<String> = columns.iter().map(|(_, metrics)| cell(metrics)).collect();
        writeln!(text, "| {title} | {} |", cells.join(" | "))
    };
    row("images", &|it| it.images.to_string())?;
    row("patients", &|it| it.more.get("patients").map_or("–".into(), ToString::to_string))?;
    row("AUC, pneumonia against normal", &|it| {
        with_interval(Some(it.auc), interval(it, "auc_interval"))
    })?;
    row("accuracy", &|it| with_interval(Some(it.accuracy), interval(it, "accuracy_interval")))?;
    row("sensitivity", &|it| {
        with_interval(Some(it.sensitivity), interval(it, "sensitivity_interval"))
    })?;
    row("specificity", &|it| {
        with_interval(Some(it.specificity), interval(it, "specificity_interval"))
    })?;
    row("accuracy at 0.5", &|it| figure(number(it, "accuracy_at_half")))?;
    row("average precision", &|it| figure(number(it, "average_precision")))?;
    row("calibration error, 15 bins", &|it| figure(number(it, "calibration_error")))?;
    row("Brier score", &|it| figure(number(it, "brier")))?;
    row("AUC, bacterial against viral (experimental)", &|it| figure(number(it, "subtype_auc")))?;
    writeln!(
        text,
        "\nIntervals are of 95 %, patients drawn again. {}\n",
        site::threshold_of_figures(card)
    )?;
    card.site.as_ref().map_or(Ok(()), |it| writeln!(text, "{}", it.section()))
}

/// The stress table, of the test split where it was made there.
fn stress(text: &mut String, card: &Card) -> std::fmt::Result {
    let rows = |metrics: &Metrics| -> Option<Vec<StressRow>> {
        serde_json::from_value(metrics.more.get(StressRow::FIELD)?.clone()).ok()
    };
    let test = card.test.as_ref().and_then(|it| Some(("test", rows(it)?)));
    let validation = || card.validation.as_ref().and_then(|it| Some(("validation", rows(it)?)));
    let Some((split, rows)) = test.or_else(validation) else { return Ok(()) };
    writeln!(text, "## Changed images\n")?;
    writeln!(
        text,
        "The images of {split}, changed in ways that change nothing for a radiologist, at the same threshold. A flip is \
         an image that is answered otherwise than as it was.\n"
    )?;
    writeln!(
        text,
        "| changed | AUC | sensitivity | specificity | flips | most flips |\n|---|---|---|---|---|---|"
    )?;
    for row in &rows {
        let most = row.most_flips.map_or("–".to_owned(), |most| {
            let kept = if row.is_within_bound() == Some(true) { "kept" } else { "**missed**" };
            format!("{} ({kept})", percent(Some(most)))
        });
        writeln!(
            text,
            "| {} | {} | {} | {} | {} of {} | {most} |",
            line(&row.change),
            figure(row.auc),
            percent(row.sensitivity),
            percent(row.specificity),
            row.flips(),
            row.images
        )?;
    }
    if let Some(lowest) = StressRow::lowest_sensitivity(&rows) {
        writeln!(
            text,
            "\nThe lowest sensitivity under any of these changes is {}.",
            percent(Some(lowest))
        )?;
    }
    writeln!(text)
}

fn caveats(text: &mut String, card: &Card) -> std::fmt::Result {
    writeln!(text, "## What to know\n")?;
    writeln!(text, "- *Not flagged* is not *normal*: it looks for one thing.")?;
    let score = match card.score_is_probability {
        Some(true) => {
            "Its calibration was measured and is good: where half are ill, a score is about the share of the ill."
        }
        _ => "A score is a place on the model's own scale, and no probability.",
    };
    writeln!(text, "- {score}")?;
    writeln!(text, "- Bacterial or viral is experimental, whatever its figures.")?;
    let measured = card.test.as_ref().map(|it| ("test", it)).into_iter();
    for (split, metrics) in measured.chain(card.validation.as_ref().map(|it| ("validation", it))) {
        let shortcut = metrics.more.get("shortcut").cloned();
        if let Some(it) = shortcut.and_then(|it| serde_json::from_value::<Shortcut>(it).ok()) {
            writeln!(
                text,
                "- On {split} the original's height alone separates the classes with an AUC of {:.3} and its aspect \
                 ratio with {:.3} ({} images of known size): hold the model's AUC against that.",
                it.by_height, it.by_aspect_ratio, it.images
            )?;
        }
        if let Some(auc) = number(metrics, "sharpness_auc") {
            writeln!(text, "- On {split} sharpness alone separates them with an AUC of {auc:.3}.")?;
        }
        let half = number(metrics, "accuracy_at_half").filter(|_| !site::are_of_another(metrics));
        if let Some(half) = half {
            writeln!(
                text,
                "- On {split} it answers {} rightly at its own threshold and {} at 0.5.",
                percent(Some(metrics.accuracy)),
                percent(Some(half))
            )?;
        }
    }
    writeln!(text)
}

fn training(text: &mut String, card: &Card) -> std::fmt::Result {
    writeln!(text, "## How it was trained\n")?;
    writeln!(
        text,
        "On {} images; the digest of the data is `{}`. Nobody is in two of training, validation and test. Settings:\n",
        card.training.images,
        line(&card.training.data_sha256)
    )?;
    for (name, value) in &card.training.settings {
        writeln!(text, "    {} = {}", line(name), line(&value.to_string()))?;
    }
    Ok(())
}

fn number(metrics: &Metrics, name: &str) -> Option<f64> {
    metrics.more.get(name).and_then(Value::as_f64)
}

fn interval(metrics: &Metrics, name: &str) -> Option<Interval> {
    serde_json::from_value(metrics.more.get(name)?.clone()).ok()
}

/// On one line: a card's words shall not make headings.
fn line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Layout;
    use crate::weights::random_card;

    #[test]
    fn the_card_in_words_shows_its_own_figures_and_whom_it_knows() {
        let mut card = random_card(Layout::RESNET50, 7);
        card.threshold = Some(0.73);
        if let Some(test) = &mut card.test {
            test.auc = 0.97751;
            test.more
                .insert("auc_interval".into(), serde_json::json!({"low": 0.966, "high": 0.987}));
            test.more.insert("sharpness_auc".into(), 0.61.into());
        }
        let text = model_card(&card);
        for shown in [
            "# random-7",
            "0.978 (0.966 to 0.987)",
            "0.7300",
            &card.population,
            "0.610",
            STATEMENT_OF_USE,
        ] {
            assert!(text.contains(shown), "{shown} is not in {text}");
        }
    }

    #[test]
    fn words_of_a_card_cannot_make_headings_of_their_own() {
        let mut card = random_card(Layout::RESNET50, 7);
        card.population = "Adults.\n\n# Cleared for use".into();
        assert!(model_card(&card).contains("Adults. # Cleared for use"));
    }

    #[test]
    fn a_card_without_figures_says_so() {
        let mut card = random_card(Layout::RESNET50, 7);
        (card.validation, card.test, card.threshold) = (None, None, None);
        assert!(model_card(&card).contains("has not been evaluated"));
    }
}
