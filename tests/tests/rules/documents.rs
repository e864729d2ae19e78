//! What a how-to page of `docs/adding/` asks for, and a machine can see missing.

use std::collections::BTreeSet;

use lobar_core::image::Reason;
use lobar_opener::url::{QueueUrl, StoreUrl};

use super::sources::{file, literals, product, root, words};

/// Words in the code that look like a metric's name: a channel of PostgreSQL's `notify`, and a library.
const NO_METRICS: [&str; 2] = ["lobar_queues", "lobar_torch"];

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

#[test]
fn every_queue_adapter_runs_the_contract_and_can_be_examined_and_is_named_in_the_documents() {
    let examined = file("opener/src/examine.rs");
    let (architecture, operating) = (file("ARCHITECTURE.md"), file("docs/operating.md"));
    let mut adapters = 0;
    for entry in std::fs::read_dir(root().join("adapters")).expect("adapters") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        let code = product(&format!("adapters/{name}/src"));
        if !code.iter().any(|(_, text)| text.contains("Queue for ")) {
            continue;
        }
        adapters += 1;
        let mut tests = String::new();
        let mut folders = vec![root().join("adapters").join(&name).join("tests")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("tests") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    tests.push_str(&std::fs::read_to_string(path).unwrap_or_default());
                }
            }
        }
        assert!(tests.contains("queue_contract!"), "adapters/{name}/tests runs no queue_contract!");
        assert!(examined.contains(&format!("lobar_{name}")), "opener/src/examine.rs lacks {name}");
        assert!(architecture.contains(&format!("-{name}")), "ARCHITECTURE.md lacks {name}");
    }
    assert!(adapters >= 3, "{adapters} queue adapters");
    for url in QueueUrl::KNOWN.split(", ").chain(StoreUrl::KNOWN.split(", ")) {
        // `amqp[s]:` is told as `amqp:`, of which `amqps:` is the one with TLS.
        let scheme = url.split(['[', ':']).next().unwrap_or(url);
        assert!(operating.contains(&format!("`{scheme}:")), "docs/operating.md lacks {scheme}");
    }
}

/// A page of `docs/adding` names places: each is there.
#[test]
fn every_place_that_a_how_to_page_names_is_there() {
    let mut places = 0;
    for entry in std::fs::read_dir(root().join("docs/adding")).expect("docs/adding") {
        let path = entry.expect("an entry").path();
        let page = std::fs::read_to_string(&path).expect("text");
        for quoted in page.split('`').skip(1).step_by(2) {
            let plain = quoted.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            let is_place = plain
                && quoted.contains('/')
                && !quoted.contains("NAME")
                && !quoted.starts_with('/');
            if is_place {
                places += 1;
                assert!(root().join(quoted).exists(), "{} names {quoted}", path.display());
            }
        }
    }
    assert!(places > 30, "{places} places");
}
