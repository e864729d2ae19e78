//! A migration that has landed is never edited: its checksum stands in `migrations/landed.sha256`, as
//! databases that ran it keep one.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::migrations::files;

const LANDED: &str = include_str!("../../../migrations/landed.sha256");

#[test]
fn a_migration_that_has_landed_is_never_edited() {
    let mut landed: BTreeMap<&str, &str> = LANDED
        .lines()
        .map(|line| line.split_once("  ").expect("sha256sum's form"))
        .map(|(sum, name)| (name, sum))
        .collect();
    for folder in ["objects", "postgres", "postgres/deferred", "sqlite"] {
        for (name, text) in files(folder) {
            let name = format!("{folder}/{name}");
            let sum = hex::encode(Sha256::digest(text.as_bytes()));
            match landed.remove(name.as_str()) {
                Some(known) => {
                    assert_eq!(known, sum, "{name} has landed: write the next file instead")
                }
                None => panic!(
                    "{name} is new; add this line to migrations/landed.sha256:\n{sum}  {name}"
                ),
            }
        }
    }
    assert!(landed.is_empty(), "landed, and gone: {landed:?}");
}
