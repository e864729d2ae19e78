//! What stands in the project's files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A file of the project, as text.
pub(crate) fn file(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project").to_owned()
}

/// Folders and crates beside which no code of the product lies.
const ASIDE: [&str; 5] = ["tests", "testkit", "fuzz", "target", "examples"];

/// Every `.rs` file of the product under `folder`, with its text.
pub(crate) fn product(folder: &str) -> Vec<(PathBuf, String)> {
    code(folder, &ASIDE)
}

/// The same with tests, examples and test-kit.
pub(crate) fn every(folder: &str) -> Vec<(PathBuf, String)> {
    code(folder, &["target"])
}

fn code(folder: &str, aside: &[&str]) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // A link leads out of the project: libtorch, environments of the tests.
            if path.is_symlink() || name.starts_with('.') || aside.contains(&&*name) {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("text");
                files.push((path, text));
            }
        }
    }
    files
}

/// The row of a table that begins with the cell `first`.
pub(crate) fn row(page: &str, first: &str) -> String {
    let row = page.lines().find(|line| line.starts_with(&format!("| {first} |")));
    row.unwrap_or_else(|| panic!("no table has a row of {first}")).to_owned()
}

/// The documentation right above `item`, without what stands between.
pub(crate) fn comment(text: &str, item: &str) -> String {
    let above = text.split_once(item).unwrap_or_else(|| panic!("nothing is {item}")).0;
    let lines = above.lines().rev().map(str::trim).skip_while(|line| !line.starts_with("///"));
    let lines: Vec<_> = lines.take_while(|line| line.starts_with("///")).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Every word of `text` that begins with `start` and goes on with letters, digits and `_`.
pub(crate) fn words(text: &str, start: &str) -> BTreeSet<String> {
    let of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c: char| !of_word(c))
        .filter(|word| word.len() > start.len() && word.starts_with(start))
        .map(str::to_owned)
        .collect()
}

/// String literals of `text` that begin with `start` and are one such word.
pub(crate) fn literals(text: &str, start: &str) -> BTreeSet<String> {
    let quoted = text.split('"');
    quoted.filter(|literal| words(literal, start).contains(*literal)).map(str::to_owned).collect()
}
