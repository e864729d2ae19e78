//! Where an image format that is read must be named (`docs/adding/image-format.md`), beside the places that do not
//! compile without it.

use std::path::PathBuf;

use lobar_imaging::{Format, Limits, decode, sniff};

use super::sources::{file, root, row};

/// The files of a folder with their names.
fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let read = |path: PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read(&path).expect("a file"))
    };
    let entries = std::fs::read_dir(root().join(folder)).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.is_file()).map(read).collect()
}

/// Fails unless every format that is read is named in `text`, a part of `place`.
fn assert_named(text: &str, place: &str) {
    for format in Format::READ {
        let name = format.name();
        assert!(text.contains(name), "{place} does not name {name}: {text}");
    }
}

#[test]
fn every_format_that_is_read_is_named_where_people_read_what_they_may_send() {
    let readme = file("README.md");
    let told: Vec<_> = readme.split("\n\n").filter(|text| text.contains("are read")).collect();
    assert_named(&told.concat(), "README.md, the paragraph on what files are read,");
    assert_named(&row(&file("docs/reasons.md"), "`not_an_image`"), "docs/reasons.md");
    let page = file("api/web/index.html");
    let drop = page.lines().find(|line| line.contains("drop-words")).expect("words of the drop");
    assert_named(drop, "api/web/index.html, where files are dropped,");
    assert_named(&row(&file("docs/fuzzing.md"), "`image`"), "docs/fuzzing.md");
    assert_named(&file("fuzz/targets/image.rs"), "fuzz/targets/image.rs");
    let manual = file("imaging/src/lib.rs");
    let (_, memory) = manual.split_once("//! Memory while decoding").expect("a paragraph");
    assert_named(memory.split("\n\n").next().unwrap_or_default(), "imaging/src/lib.rs, memory,");
}

#[test]
fn the_endings_of_every_format_that_is_read_are_told_where_training_data_is() {
    let page = file("docs/training.md");
    let told = page.lines().find(|line| line.contains("/FILE.{")).expect("how files are named");
    for ending in Format::READ.into_iter().flat_map(Format::endings) {
        let parts = told.split(|c: char| !c.is_ascii_alphanumeric());
        assert!(parts.into_iter().any(|part| part == *ending), "docs/training.md lacks {ending}");
    }
}

#[test]
fn every_format_that_is_read_has_good_and_bad_seeds_and_nothing_else_is_read() {
    let seeds = files("fuzz/seeds/image");
    for format in Format::READ {
        let of = seeds.iter().filter(|(_, bytes)| sniff(bytes) == Some(format));
        let ends: Vec<bool> =
            of.map(|(_, bytes)| decode(bytes, &Limits::default()).is_ok()).collect();
        assert!(ends.contains(&true), "fuzz/seeds/image has no good {}", format.name());
        assert!(ends.contains(&false), "fuzz/seeds/image has no bad {}", format.name());
    }
    for (name, bytes) in seeds.iter().chain(&files("imaging/tests/fixtures")) {
        if let Ok(radiograph) = decode(bytes, &Limits::default()) {
            let listed = Format::READ.contains(&radiograph.format);
            assert!(listed, "{name} is read, and {:?} not in Format::READ", radiograph.format);
        }
    }
}

#[test]
fn every_format_that_is_read_has_fixtures_and_each_fixture_is_drawn_and_compared() {
    let fixtures = files("imaging/tests/fixtures");
    let listed = file("imaging/tests/fixture/mod.rs");
    let listed = listed.split_once("FIXTURES").and_then(|(_, list)| list.split_once("];"));
    let (listed, _) = listed.expect("the list of fixtures");
    let drawn = ["make.py", "make_dicom.py"];
    let drawn = drawn.map(|name| file(&format!("imaging/tests/fixtures/{name}"))).concat();
    let mut formats = Vec::new();
    for (name, bytes) in &fixtures {
        let is_made = |other: &(String, _)| other.0 == format!("{name}.grey");
        if sniff(bytes).is_some_and(|format| Format::READ.contains(&format)) {
            let quoted = format!("\"{name}\"");
            assert!(listed.contains(&quoted), "FIXTURES of imaging/tests/fixture lacks {name}");
            assert!(drawn.contains(&quoted), "imaging/tests/fixtures/make*.py lack {name}");
            assert!(fixtures.iter().any(is_made), "imaging/tests/fixtures lacks {name}.grey");
            formats.extend(sniff(bytes));
        }
    }
    for format in Format::READ {
        assert!(formats.contains(&format), "imaging/tests/fixtures has no {}", format.name());
    }
}
