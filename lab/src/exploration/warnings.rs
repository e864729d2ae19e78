//! What a scientist should know before training, in words.

use super::{Group, Survey};
use crate::dataset::Split;
use crate::evaluation::roc_auc;

/// An AUC from which a single number deserves a warning.
const SEPARATES: f64 = 0.7;
/// The ratio of odds from which a unit's text deserves a warning,
const CONFOUNDED: f64 = 2.0;
/// if so many films have it.
const FEWEST_WITH_TEXT: u64 = 10;
/// A class with less than this share of a split is rare.
const RARE: f64 = 0.2;

pub(super) fn warnings(it: &Survey) -> Vec<String> {
    let mut all = Vec::new();
    for shared in &it.shared_patients {
        all.push(format!(
            "{} and {} share {}: figures measured on the one are too good when the other was trained on. Training \
             refuses such data.",
            shared.first.name(),
            shared.second.name(),
            amount(shared.patients, "patient", "patients")
        ));
    }
    if it.without_patient > 0 {
        all.push(format!(
            "Of {} neither file name nor manifest.csv tells whom they show, so validation cannot be kept apart from them. \
             Training refuses them.",
            amount(it.without_patient, "image", "images")
        ));
    }
    if !it.unreadable.is_empty() {
        let files = amount(it.unreadable.len() as u64, "file", "files");
        all.push(format!("{files} cannot be read. Training stops at the first of them."));
    }
    duplicates(it, &mut all);
    numbers(it, &mut all);
    burnt_in(it, &mut all);
    balance(it, &mut all);
    for (reason, count) in &it.refused_by_serving {
        all.push(format!(
            "{} would not be assessed when served ({reason}), though training would learn from them.",
            amount(*count, "image", "images")
        ));
    }
    all
}

fn duplicates(it: &Survey, all: &mut Vec<String>) {
    let surplus =
        |groups: &[&Group]| groups.iter().map(|it| it.numbers.len() as u64 - 1).sum::<u64>();
    let kinds = [("equal", &it.exact_duplicates), ("nearly equal", &it.near_duplicates)];
    for (kind, groups) in kinds {
        let labels: Vec<&Group> = groups.iter().filter(|it| it.classes.len() > 1).collect();
        if !labels.is_empty() {
            all.push(format!(
                "{} of {kind} images carry both labels: one of them is wrong.",
                amount(labels.len() as u64, "group", "groups")
            ));
        }
        let across: Vec<&Group> = groups.iter().filter(|it| it.splits.len() > 1).collect();
        if !across.is_empty() {
            all.push(format!(
                "{} of {kind} images lie in more than one split: what is measured has been seen before.",
                amount(across.len() as u64, "group", "groups")
            ));
        }
        let patients: Vec<&Group> = groups.iter().filter(|it| it.patients > 1).collect();
        if !patients.is_empty() {
            all.push(format!(
                "{} of {kind} images are said to show different patients.",
                amount(patients.len() as u64, "group", "groups")
            ));
        }
    }
    let exact = surplus(&it.exact_duplicates.iter().collect::<Vec<_>>());
    if exact > 0 {
        all.push(format!("{} the same file as another.", are(exact)));
    }
}

fn numbers(it: &Survey, all: &mut Vec<String>) {
    for number in &it.numbers {
        if let Some(auc) = number.auc.filter(|auc| *auc >= SEPARATES) {
            all.push(format!(
                "The {} alone separates the classes with AUC {auc:.2} ({} of which it is known). A network can learn that instead of lungs.",
                number.name,
                amount(number.known, "image", "images")
            ));
        }
        if let Some(auc) = number.shift_auc.filter(|auc| *auc >= SEPARATES) {
            all.push(format!(
                "The {} tells train from test within one class with AUC {auc:.2}: the folders differ, and what holds on the one \
                 need not hold on the other.",
                number.name
            ));
        }
    }
    // Having a known size at all can give the class away.
    let known: Vec<f64> =
        it.records.iter().map(|it| f64::from(u8::from(it.original_size.is_some()))).collect();
    let ill: Vec<bool> =
        it.records.iter().map(|it| it.class == crate::dataset::Class::Pneumonia).collect();
    if let Some(auc) =
        roc_auc(&known, &ill).map(|it| it.max(1.0 - it)).filter(|it| *it >= SEPARATES)
    {
        all.push(format!(
            "Whether the original's size is known separates the classes with AUC {auc:.2}: figures by size are about one class."
        ));
    }
}

/// Text that names a unit, where the unit tells the class. What was true of one split need not be of the other.
fn burnt_in(it: &Survey, all: &mut Vec<String>) {
    for found in &it.burnt_in {
        let (films, ratio) = (found.normal + found.pneumonia, found.odds_ratio());
        if films < FEWEST_WITH_TEXT || (1.0 / CONFOUNDED..CONFOUNDED).contains(&ratio) {
            continue;
        }
        let (more, factor) = match ratio > 1.0 {
            true => ("ill", ratio),
            false => ("normal", 1.0 / ratio),
        };
        all.push(format!(
            "Text is burnt in at the {} of {} of {}: {} of {} labelled pneumonia, {} of {} labelled normal, odds {factor:.1} \
             times those of the others for the {more}. It names a unit, and a network can learn the unit instead of lungs: \
             train with --balance-groups, and look at the group's own figures in the evaluation.",
            found.corner.name(),
            amount(films, "image", "images"),
            found.split.name(),
            found.pneumonia,
            found.of_pneumonia,
            found.normal,
            found.of_normal,
        ));
    }
}

fn balance(it: &Survey, all: &mut Vec<String>) {
    for split in &it.splits {
        let sum = split.normal + split.pneumonia;
        let share = split.normal.min(split.pneumonia) as f64 / sum.max(1) as f64;
        if share == 0.0 {
            all.push(format!("Only one class is in {}.", split.split.name()));
        } else if share < RARE {
            all.push(format!(
                "The rarer class is {:.0} % of {}.",
                share * 100.0,
                split.split.name()
            ));
        }
        if split.split == Split::Val && sum < 100 {
            all.push(format!(
                "val has {}: too few to choose a threshold on. If they are less than a twentieth, training joins them to train \
                 and cuts a validation set by patient.",
                amount(sum, "image", "images")
            ));
        }
    }
    let share = |split: Split| {
        let of = it.splits.iter().find(|it| it.split == split)?;
        Some(of.pneumonia as f64 / (of.normal + of.pneumonia).max(1) as f64)
    };
    if let (Some(train), Some(test)) = (share(Split::Train), share(Split::Test))
        && (train - test).abs() >= 0.05
    {
        all.push(format!(
            "Pneumonia is {:.0} % of train and {:.0} % of test: probabilities fitted to the one are off on the other.",
            train * 100.0,
            test * 100.0
        ));
    }
}

fn amount(count: u64, one: &str, more: &str) -> String {
    crate::report::of(count, one, more)
}

fn are(count: u64) -> String {
    format!("{} {}", amount(count, "image", "images"), if count == 1 { "is" } else { "are" })
}
