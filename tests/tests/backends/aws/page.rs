//! docs/uploads.md names no test that does not exist.

use std::collections::HashSet;
use std::path::Path;

use lobar_tests::kit;

/// The names of all functions below a folder.
fn functions(folder: &Path, names: &mut HashSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source");
            let named = text.split("fn ").skip(1).map(|rest| {
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
            });
            names.extend(named);
        }
    }
}

#[test]
fn every_test_that_the_page_of_uploads_names_exists() {
    let root = kit::workspace();
    let mut names = HashSet::new();
    for folder in
        ["core/src", "consumer", "adapters", "endpoint", "testkit", "ingest", "worker/src", "tests"]
    {
        functions(&root.join(folder), &mut names);
    }
    let page = std::fs::read_to_string(root.join("docs/uploads.md")).expect("the page");
    let quoted = page.split('`').skip(1).step_by(2);
    let tests: Vec<&str> = quoted
        .filter(|word| word.matches('_').count() > 3 && !word.contains(['.', '/', ' ']))
        .filter(|word| !word.starts_with("lobar_"))
        .collect();
    assert!(tests.len() > 40, "the page names tests");
    let missing: Vec<_> = tests.into_iter().filter(|test| !names.contains(*test)).collect();
    assert!(missing.is_empty(), "named, but not there: {missing:?}");
}
