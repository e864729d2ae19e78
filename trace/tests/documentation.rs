//! docs/logging.md names every span and every field of spans and log lines, and the code uses no other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What JSON lines have beside the fields.
const OF_THE_FORM: [&str; 1] = ["spans"];

fn workspace() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Source files of the crates, without tests and dependencies.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let skipped = ["target", "tests", "examples", "testkit", "fuzz", "data"];
        if path.is_dir() && !name.starts_with('.') && !skipped.contains(&&*name) {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

/// The arguments of every macro of `tracing` in a file, and the macro's name.
fn calls(text: &str) -> Vec<(&str, Vec<&str>)> {
    // What tests log is not documented.
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let mut calls = Vec::new();
    for (at, _) in text.match_indices("tracing::") {
        let rest = &text[at + "tracing::".len()..];
        let Some((name, rest)) = rest.split_once("!(") else { continue };
        let is_name = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if is_name {
            calls.push((name, arguments(rest)));
        }
    }
    calls
}

/// Splits at the commas between arguments, up to the closing parenthesis.
fn arguments(text: &str) -> Vec<&str> {
    let (mut arguments, mut depth, mut from) = (Vec::new(), 0, 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'(' | b'[' | b'{' => depth += 1,
            b')' if depth == 0 => {
                arguments.push(text[from..at].trim());
                break;
            }
            b')' | b']' | b'}' => depth -= 1,
            b',' if depth == 0 => {
                arguments.push(text[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    arguments.retain(|argument| !argument.is_empty());
    arguments
}

/// The field that an argument sets; `None` for a message, a name, a parent.
fn field(argument: &str) -> Option<&str> {
    if argument.starts_with('"') || argument.split('=').next()?.contains(':') {
        return None;
    }
    Some(argument.trim_start_matches(['%', '?']).split('=').next()?.trim())
}

/// The words in the first column of the tables below a heading of the page.
fn documented(page: &str, heading: &str) -> BTreeSet<String> {
    let part = page.split(&format!("\n{heading}\n")).nth(1).expect("the heading is there");
    let part = part.split("\n#").next().unwrap_or(part);
    let cells = part.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let words = cells.flat_map(|cell| cell.split('`').map(str::to_owned).collect::<Vec<_>>());
    words.filter(|word| !word.is_empty() && !word.contains([' ', ','])).collect()
}

#[test]
fn every_span_and_every_field_has_its_line_in_the_page_and_the_page_no_other() {
    let page = std::fs::read_to_string(workspace().join("docs/logging.md")).expect("the page");
    let mut files = Vec::new();
    sources(&workspace(), &mut files);
    let (mut spans, mut fields) = (BTreeMap::new(), BTreeMap::new());
    for file in &files {
        let text = std::fs::read_to_string(file).expect("a source file");
        for (name, arguments) in calls(&text) {
            let text = arguments.iter().position(|argument| argument.starts_with('"'));
            // Behind a line's text stand the values that it is made of; behind a span's name, its fields.
            let end = if name.ends_with("_span") { None } else { text };
            if let (None, Some(name)) = (end, text) {
                spans.insert(arguments[name].trim_matches('"').to_owned(), file.clone());
            }
            let before = arguments.into_iter().take(end.unwrap_or(usize::MAX));
            for field in before.filter_map(field) {
                fields.insert(field.to_owned(), file.clone());
            }
        }
    }
    assert!(fields.len() > 10 && spans.len() > 3, "this test no longer finds what it looks for");
    for (heading, used) in [("### Fields", fields), ("## Traces", spans)] {
        let named = documented(&page, heading);
        for (word, file) in &used {
            let place = file.display();
            assert!(
                named.contains(word),
                "{word:?} of {place} is not in docs/logging.md, {heading}"
            );
        }
        for word in named.iter().filter(|word| !OF_THE_FORM.contains(&word.as_str())) {
            assert!(used.contains_key(word), "docs/logging.md names {word:?}, which nothing uses");
        }
    }
}
