//! `lobar audit verify`.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use lobar_console::outln;
use lobar_core::audit::{
    Audit, Begin, Broken, Checkpoint, Cursor, Entry, Filter, Verified, Verifier,
};
use serde_json::json;

use super::{PAGE, port};
use crate::failure::Failure;

/// Reads a checkpoint: a number and a hash, or the same as JSON.
pub(super) fn checkpoint(path: &Path) -> Result<Checkpoint, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|e| Failure::usage(format!("checkpoint {shown}: {e}")))?;
    parse(text.trim()).ok_or_else(|| {
        Failure::usage(format!(
            "checkpoint {shown}: it is not what `lobar audit checkpoint` prints, a number and a hash"
        ))
    })
}

fn parse(text: &str) -> Option<Checkpoint> {
    if text.starts_with('{') {
        return serde_json::from_str(text).ok();
    }
    let (number, hash) = text.split_once(' ')?;
    Some(Checkpoint { number: number.parse().ok()?, hash: hash.trim().parse().ok()? })
}

/// Follows what the store has. Its beginning must be the first entry or one that pruning left.
pub(super) async fn store(
    audit: &dyn Audit,
    from: Option<Checkpoint>,
) -> Result<Result<Verified, Broken>, Failure> {
    let mut verifier = Verifier::new(from);
    // The entry of the checkpoint itself comes first.
    let mut after = from.map_or(0, |from| from.number.saturating_sub(1));
    let mut none = true;
    loop {
        let page =
            audit.page(&Filter::default(), Cursor::After(after), PAGE).await.map_err(port)?;
        let Some(last) = page.last() else { break };
        (after, none) = (last.number, false);
        for entry in &page {
            if let Err(broken) = verifier.check(entry) {
                return Ok(Err(broken));
            }
        }
    }
    if let (Some(Checkpoint { number, .. }), true) = (from, none) {
        let end = audit.newest().await.map_err(port)?.number;
        if end < number {
            let what = format!("it is in the checkpoint, and the record ends with entry {end}");
            return Ok(Err(Broken { number, what }));
        }
    }
    Ok(verifier.end().and_then(|verified| match verified.begin {
        Begin::Unproven => Err(Broken {
            number: verified.first,
            what: "the record begins here, and no entry says that those before were pruned".into(),
        }),
        _ => Ok(verified),
    }))
}

/// Follows an export.
pub(super) fn file(
    path: &Path,
    from: Option<Checkpoint>,
) -> Result<Result<Verified, Broken>, Failure> {
    let shown = path.display();
    let file = File::open(path).map_err(|e| Failure::usage(format!("export {shown}: {e}")))?;
    let mut verifier = Verifier::new(from);
    for (place, line) in BufReader::new(file).lines().enumerate() {
        let number = place + 1;
        let line =
            line.map_err(|e| Failure::failed(format!("export {shown}, line {number}: {e}")))?;
        if line.trim().is_empty() {
            continue;
        }
        let entry: Entry = serde_json::from_str(&line).map_err(|error| {
            Failure::failed(format!(
                "export {shown}, line {number}: no entry of the record: {error}"
            ))
        })?;
        if let Err(broken) = verifier.check(&entry) {
            return Ok(Err(broken));
        }
    }
    Ok(verifier.end())
}

/// Says what was found; what is broken is a failure.
pub(super) fn tell(found: Result<Verified, Broken>, as_json: bool) -> Result<(), Failure> {
    match found {
        Ok(verified) if as_json => outln!("{}", in_json(&verified)),
        Ok(verified) => outln!("{}", in_words(&verified)),
        Err(broken) => {
            if as_json {
                let Broken { number, what } = &broken;
                outln!("{}", json!({ "verified": false, "number": number, "what": what }));
            }
            return Err(Failure::failed(format!("the audit record is broken at {broken}")));
        }
    }
    Ok(())
}

fn in_json(verified: &Verified) -> serde_json::Value {
    let Verified { begin, first, entries, newest } = verified;
    let begin = match begin {
        Begin::First => "first",
        Begin::Checkpoint => "checkpoint",
        Begin::Pruned => "pruned",
        Begin::Unproven => "unproven",
    };
    json!({ "verified": true, "begin": begin, "first": first, "entries": entries, "newest": newest })
}

fn in_words(verified: &Verified) -> String {
    let Verified { begin, first, entries, newest: Checkpoint { number, hash } } = verified;
    if *entries == 0 {
        return "There are no entries.".into();
    }
    let begin = match begin {
        Begin::First => "It begins with the first entry.",
        Begin::Checkpoint => "It goes on from the checkpoint.",
        Begin::Pruned => "What came before was pruned, and the record says so.",
        Begin::Unproven => {
            "What came before is not in it: that nothing is missing there shows in the whole record only, or from a \
             checkpoint."
        }
    };
    format!("Entries {first} to {number} are one unbroken chain. {begin}\nnewest  {number} {hash}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lobar_core::audit::Digest;

    #[test]
    fn a_checkpoint_is_read_as_it_is_printed_and_nothing_else_is() {
        let noted = Checkpoint { number: 7, hash: Digest::of(b"x") };
        assert_eq!(parse(&format!("7 {}", noted.hash)), Some(noted));
        assert_eq!(parse(&json!(noted).to_string()), Some(noted));
        for bad in ["", "7", "7 abc", "x 00", "{}", "-1 00"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
