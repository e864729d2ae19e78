//! Every migration keeps the rules of `migrations/README.md`, and what breaks one is refused.

use std::collections::BTreeSet;
use std::path::Path;

use super::sql::{Kind, refusals};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
const BAD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rules/bad_migrations");

/// Landed before the rule, and says in its words why it is bearable.
const EXCEPTIONS: [(&str, u32); 1] = [("postgres/0002_tally.sql", 5)];

/// Names and texts of a folder's migrations, in the order in which they run.
pub(super) fn files(folder: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = std::fs::read_dir(Path::new(FOLDER).join(folder))
        .expect("a folder of migrations")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("text"))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_migration_keeps_the_rules() {
    let mut broken = Vec::new();
    let folders = [
        ("sqlite", Kind::Sqlite),
        ("objects", Kind::Sqlite),
        ("postgres", Kind::Postgres),
        ("postgres/deferred", Kind::Deferred),
    ];
    let mut tables = BTreeSet::new();
    for (folder, kind) in folders {
        if kind != Kind::Deferred {
            tables.clear();
        }
        for (name, text) in files(folder) {
            let name = format!("{folder}/{name}");
            let refused = refusals(kind, &text, &mut tables);
            let counted = refused.iter().filter(|(rule, _)| !EXCEPTIONS.contains(&(&name, *rule)));
            broken.extend(counted.map(|(rule, words)| format!("{name}: rule {rule}: {words}")));
        }
    }
    assert!(broken.is_empty(), "migrations/README.md has the rules:\n{}", broken.join("\n"));
}

#[test]
fn both_databases_get_the_same_files_and_numbers_are_given_once() {
    let names = |folder| files(folder).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names("sqlite"), names("postgres"), "rule 4");
    for folder in ["sqlite", "objects", "postgres", "postgres/deferred"] {
        for (place, name) in names(folder).iter().enumerate() {
            let (number, words) = name.split_once('_').expect("NUMBER_words.sql");
            assert_eq!(number, format!("{:04}", place + 1), "{folder}/{name}: the next number");
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.".contains(c);
            assert!(words.chars().all(plain), "{folder}/{name}: small letters and `_`");
        }
    }
}

/// Each file of `bad_migrations` begins with a line `-- KIND rule N[, N…]`: the refusals that it must get, and
/// no other. What it changes are the tables `image` and `event`.
#[test]
fn a_migration_that_breaks_a_rule_is_refused_by_that_rule() {
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(BAD).expect("bad migrations") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("text");
        let (first, rest) = text.split_once('\n').expect("a first line");
        let (kind, rules) =
            first.trim_start_matches("-- ").split_once(" rule ").expect("-- KIND rule N");
        let kind = match kind {
            "sqlite" => Kind::Sqlite,
            "postgres" => Kind::Postgres,
            "deferred" => Kind::Deferred,
            other => panic!("{path:?}: {other}"),
        };
        let wanted: BTreeSet<u32> =
            rules.split(", ").map(|rule| rule.parse().expect("a number")).collect();
        let mut tables = BTreeSet::from(["image".to_owned(), "event".to_owned()]);
        let refused = refusals(kind, rest, &mut tables);
        let got: BTreeSet<u32> = refused.iter().map(|(rule, _)| *rule).collect();
        assert_eq!(got, wanted, "{path:?}: {refused:#?}");
        seen.extend(wanted);
    }
    assert_eq!(seen, BTreeSet::from([0, 2, 3, 5, 6, 8, 9]), "every rule that a file can break");
}

#[test]
fn a_deferred_migration_that_can_be_begun_again_is_accepted() {
    let mut tables = BTreeSet::from(["image".to_owned()]);
    let text = "\
-- Made beside the running system: nobody waits for it.
drop index concurrently if exists image_by_detail;
create index concurrently image_by_detail
  on image (detail);
-- In portions that each end by themselves.
create or replace procedure fill() language sql as 'select 1';
call fill();
alter table image validate constraint image_size;
";
    assert_eq!(refusals(Kind::Deferred, text, &mut tables), []);
}
