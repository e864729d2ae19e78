//! Where a queue adapter must be named (`docs/adding/queue-adapter.md`), beside the places that do not compile
//! without it.

use lobar_opener::url::{QueueUrl, SignalUrl, StoreUrl};

use super::architecture::{features, metadata};
use super::sources::{comment, every, file, product, root, row};

/// Folders of `adapters/` whose crate has the port of a queue.
fn queue_adapters() -> Vec<String> {
    let mut adapters = Vec::new();
    for entry in std::fs::read_dir(root().join("adapters")).expect("adapters") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        let code = product(&format!("adapters/{name}/src"));
        if code.iter().any(|(_, text)| text.contains("Queue for ")) {
            adapters.push(name);
        }
    }
    assert!(adapters.len() >= 3, "{adapters:?}");
    adapters
}

#[test]
fn every_queue_adapter_runs_the_contract_and_can_be_examined_and_is_named_in_the_documents() {
    let (opener, features) = (file("opener/src/examine.rs"), features(&metadata(), "lobar-opener"));
    let (architecture, developing) = (file("ARCHITECTURE.md"), file("docs/developing.md"));
    let house = row(&architecture, "`adapters/*`");
    let port = row(&architecture, "`Queue`").to_lowercase();
    let suites = developing.lines().find(|line| line.contains("(`adapters/*/tests/`)"));
    let suites = suites.expect("docs/developing.md has a row of the adapters' suites");
    for name in queue_adapters() {
        let tests = every(&format!("adapters/{name}/tests"));
        let runs = tests.iter().any(|(_, text)| text.contains("queue_contract!"));
        assert!(runs, "adapters/{name}/tests runs no queue_contract!");
        assert!(opener.contains(&format!("lobar_{name}")), "opener/src/examine.rs lacks {name}");
        assert!(house.contains(&format!("-{name}")), "ARCHITECTURE.md, The house, lacks {name}");
        assert!(suites.contains(&format!("`{name}`")), "docs/developing.md, The suites: {name}");
        let built = format!("dep:lobar-{name}");
        let built = features.iter().filter(|(_, enables)| enables.contains(&built));
        let built: Vec<_> = built.map(|(feature, _)| feature).collect();
        assert!(!built.is_empty(), "opener/Cargo.toml has no feature of {name}");
        for feature in built {
            assert!(port.contains(feature), "ARCHITECTURE.md, Ports, `Queue` lacks {feature}");
        }
    }
}

/// Whether a text tells of URLs with this scheme: `amqp[s]:` is told as that or as `amqp:`.
fn tells(text: &str, scheme: &str) -> bool {
    text.contains(&format!("`{scheme}:")) || text.contains(&format!("`{scheme}[s]:"))
}

#[test]
fn every_url_is_told_in_the_help_and_in_the_tables_of_each_setting_that_takes_it() {
    let help = file("lobar/src/settings/partial.rs");
    let (operating, services) = (file("docs/operating.md"), file("docs/running-on-services.md"));
    for (setting, known) in [
        ("store", StoreUrl::KNOWN),
        ("uploads", QueueUrl::KNOWN),
        ("jobs", QueueUrl::KNOWN),
        ("signal", SignalUrl::KNOWN),
    ] {
        let variable = format!("`LOBAR_{}`", setting.to_uppercase());
        for url in known.split(", ") {
            let scheme = url.split(['[', ':']).next().unwrap_or(url);
            let place = format!("the help of --{setting} lacks {scheme}");
            assert!(tells(&comment(&help, &format!("pub {setting}:")), scheme), "{place}");
            let told = row(&operating, &variable);
            let told = tells(&told, scheme) || (setting == "jobs" && told.contains("the same"));
            assert!(told, "docs/operating.md, {variable} lacks {scheme}");
            // What lives in a file or within a process is no service.
            if !["sqlite", "memory"].contains(&scheme) {
                let told = tells(&row(&services, &variable), scheme);
                assert!(told, "docs/running-on-services.md, {variable} lacks {scheme}");
            }
        }
    }
}
