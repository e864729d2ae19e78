//! What a how-to page of `docs/adding/` asks for, and a machine can see missing.

use std::collections::BTreeSet;

use lobar_core::image::Reason;

use super::sources::{every, file, literals, product, root, words};

/// Words in the code that look like a metric's name: a channel of PostgreSQL's `notify`, a library, a cookie, and what
/// secrets begin with.
const NO_METRICS: [&str; 7] = [
    "lobar_k_",
    "lobar_l_",
    "lobar_queues",
    "lobar_s_",
    "lobar_session",
    "lobar_t_",
    "lobar_torch",
];

/// Names of metrics in the code of the product.
fn metrics() -> BTreeSet<String> {
    let crates = |name: &str| {
        let folder = name.trim_start_matches("lobar_");
        root().join(folder).is_dir() || root().join("adapters").join(folder).is_dir()
    };
    let mut metrics = BTreeSet::new();
    for (_, text) in product(".") {
        metrics.extend(literals(&text, "lobar_"));
    }
    metrics.retain(|name| !NO_METRICS.contains(&&**name) && !crates(name));
    assert!(metrics.len() > 20, "{metrics:?}");
    metrics
}

#[test]
fn every_metric_stands_in_the_table_of_metrics_and_every_row_is_a_metric() {
    let (metrics, page) = (metrics(), file("docs/operating.md"));
    let documented = words(&page, "lobar_");
    let missing: Vec<_> = metrics.difference(&documented).collect();
    assert!(missing.is_empty(), "docs/operating.md, What the metrics mean: {missing:?}");
    let table = page.lines().filter(|line| line.starts_with("| `lobar_"));
    let rows: BTreeSet<String> = table.flat_map(|line| words(line, "lobar_")).collect();
    let unknown: Vec<_> = rows.difference(&metrics).collect();
    assert!(unknown.is_empty(), "docs/operating.md tells of metrics that nothing has: {unknown:?}");
}

#[test]
fn every_setting_stands_in_the_table_of_settings() {
    let mut settings = BTreeSet::new();
    for (_, text) in product("lobar/src/settings") {
        let named = text.lines().filter(|line| line.contains("env = \""));
        settings.extend(named.flat_map(|line| literals(line, "LOBAR_")));
    }
    assert!(settings.len() > 20, "{settings:?}");
    let documented = words(&file("docs/operating.md"), "LOBAR_");
    let missing: Vec<_> = settings.difference(&documented).collect();
    assert!(missing.is_empty(), "docs/operating.md, Settings: {missing:?}");
}

#[test]
fn every_reason_stands_in_the_table_of_reasons_with_the_words_that_a_doctor_reads() {
    let page = file("docs/reasons.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    for reason in Reason::ALL {
        let row = format!("| `{}` | {} |", reason.code(), reason.text());
        let found = rows.iter().any(|line| line.starts_with(&row));
        assert!(found, "docs/reasons.md has no row that begins so: {row}");
    }
    assert_eq!(rows.len(), Reason::ALL.len(), "docs/reasons.md has a row of no reason");
}

/// What a document calls a place: a path in quotes, with nothing in it to be filled in.
fn places(page: &str) -> impl Iterator<Item = &str> {
    page.split('`').skip(1).step_by(2).filter(|quoted| {
        let plain = quoted.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
        plain && quoted.contains('/') && !quoted.starts_with('/') && !quoted.contains("NAME")
    })
}

/// The documents in a folder, by their paths.
fn pages(folder: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(root().join(folder)).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let names = names.filter(|name| name.ends_with(".md"));
    names.map(|name| format!("{folder}/{name}")).map(|path| (file(&path), path)).collect()
}

#[test]
fn every_place_that_a_how_to_page_names_is_there() {
    let mut seen = 0;
    for (page, path) in pages("docs/adding") {
        for place in places(&page) {
            seen += 1;
            assert!(root().join(place).exists(), "{path} names {place}");
        }
    }
    assert!(seen > 30, "{seen} places");
}

/// What fuzzing makes, and what stands for a name.
const NOT_THERE: [&str; 3] = ["fuzz/corpus", "fuzz/artifacts", "fuzz/seeds/TARGET"];

#[test]
fn every_place_in_a_crate_or_folder_of_the_project_that_a_document_names_is_there() {
    let mut seen = 0;
    for folder in [".", "docs", "migrations", "ops"] {
        for (page, path) in pages(folder) {
            let ours = places(&page).filter(|place| {
                let top = place.split('/').next().unwrap_or_default();
                let ours = !top.starts_with('.') && top != "target" && root().join(top).is_dir();
                ours && !NOT_THERE.contains(place)
            });
            for place in ours {
                seen += 1;
                assert!(root().join(place).exists(), "{path} names {place}");
            }
        }
    }
    assert!(seen > 60, "{seen} places");
}

/// What a page says will fail is a test.
#[test]
fn every_test_that_a_how_to_page_names_is_there() {
    let code = every(".");
    let mut tests = 0;
    for (page, path) in pages("docs/adding") {
        let named = page.split('`').skip(1).step_by(2).filter(|quoted| {
            let word = quoted.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            word && quoted.matches('_').count() >= 4
        });
        for name in named {
            tests += 1;
            let function = format!("fn {name}(");
            let found = code.iter().any(|(_, text)| text.contains(&function));
            assert!(found, "{path} names the test {name}");
        }
    }
    assert!(tests > 10, "{tests} tests");
}
