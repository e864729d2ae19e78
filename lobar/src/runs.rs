//! `lobar runs`.

use std::path::Path;

use lobar_console::{out, outln};
use lobar_lab::runs::{find, table};
use serde_json::json;

use crate::failure::Failure;

/// Prints the runs below `folder`, the latest last.
pub fn run(folder: &Path, json: bool) -> Result<(), Failure> {
    if !folder.is_dir() {
        let place = folder.display();
        return Err(Failure::usage(format!(
            "{place} is no folder; name the one that holds the runs"
        )));
    }
    let runs = find(folder);
    if json {
        for (name, record) in &runs {
            outln!("{}", json!({ "run": name, "record": record }));
        }
    } else {
        out!("{}", table(&runs));
    }
    Ok(())
}
