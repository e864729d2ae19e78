//! Stored findings of every release, and of some to come: `findings/read/` and `findings/unreadable/`.
//!
//! A release that writes another shape adds a file of it. Files are never edited: they stand for rows that exist.

use std::collections::BTreeMap;
use std::path::Path;

use lobar_core::finding::{Finding, Label};
use serde_json::Value;

/// The files of a folder, by name.
fn files(folder: &str) -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/findings").join(folder);
    let entries = std::fs::read_dir(path).expect("the corpus is there");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read_to_string(&path).expect("text"))
    };
    paths.map(read).collect()
}

#[test]
fn findings_of_every_earlier_release_are_read() {
    let files = files("read");
    assert!(files.len() >= 7, "{:?}", files.keys());
    for (name, text) in &files {
        let finding: Finding =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let stored: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(finding.model.version, stored["model"]["version"], "{name}");
        assert_eq!(
            finding.probability,
            stored["probability"].as_f64().expect("a number"),
            "{name}"
        );
        assert_eq!(finding.threshold, stored["threshold"].as_f64().expect("a number"), "{name}");
        assert_eq!(finding.flagged, stored["flagged"], "{name}");
        assert_eq!(finding.label == Label::Pneumonia, finding.flagged, "{name}");
    }
    let of = |name: &str| serde_json::from_str::<Finding>(&files[name]).expect("readable");
    let whole = of("unversioned_flagged");
    assert!(whole.subtype.is_some() && whole.heatmap.is_some(), "{whole:?}");
    assert_eq!((whole.warnings.len(), whole.timings_ms.len()), (1, 4));
    let bare = of("without_optional_members");
    assert!(bare.subtype.is_none() && bare.heatmap.is_none() && bare.warnings.is_empty());
}

#[test]
fn what_can_be_shown_without_a_part_that_is_unreadable_is_shown_with_a_warning() {
    let text = &files("read")["newer_optional_members"];
    let finding: Finding = serde_json::from_str(text).expect("readable");
    assert!(finding.flagged && finding.subtype.is_none() && finding.heatmap.is_none());
    assert_eq!(finding.warnings.len(), 1, "{:?}", finding.warnings);
    assert!(finding.warnings[0].contains("cannot be read"), "{:?}", finding.warnings);
}

#[test]
fn a_finding_that_cannot_be_read_for_certain_is_unreadable() {
    let files = files("unreadable");
    assert!(files.len() >= 11, "{:?}", files.keys());
    for (name, text) in files {
        let read = serde_json::from_str::<Finding>(&text);
        assert!(read.is_err(), "{name} was read as {read:?}");
    }
}

#[test]
fn what_is_written_bears_a_version_and_reads_back_as_it_was() {
    for (name, text) in files("read") {
        let finding: Finding = serde_json::from_str(&text).expect("readable");
        let written = serde_json::to_value(&finding).expect("JSON");
        assert_eq!(written["v"], 1, "{name}");
        assert_eq!(
            serde_json::from_value::<Finding>(written).expect("readable"),
            finding,
            "{name}"
        );
    }
}

/// Members that this release writes, in a file of a release that wrote them.
#[test]
fn every_member_of_a_finding_stands_with_a_value_in_a_stored_one_that_is_read_with_it() {
    let mut seen = BTreeMap::new();
    for text in files("read").values() {
        let stored: Value = serde_json::from_str(text).expect("JSON");
        let finding: Finding = serde_json::from_str(text).expect("readable");
        let written = serde_json::to_value(&finding).expect("JSON");
        for (member, value) in written.as_object().expect("members") {
            *seen.entry(member.clone()).or_insert(false) |=
                !value.is_null() && !stored[member].is_null();
        }
    }
    let without: Vec<_> = seen.into_iter().filter(|(_, has)| !has).map(|(name, _)| name).collect();
    assert!(without.is_empty(), "core/tests/findings/read has no file with {without:?}");
}
