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

/// Tries, when the oldest entries are pruned between two pages.
const TRIES: usize = 5;

/// Follows what the store has now, however much is written meanwhile. Its beginning must be the first entry or one that
/// pruning left.
pub(super) async fn store(
    audit: &dyn Audit,
    from: Option<Checkpoint>,
) -> Result<Result<Verified, Broken>, Failure> {
    for _ in 0..TRIES {
        let begin = oldest(audit).await?;
        let found = follow(audit, from).await?;
        // What was pruned under way looks like what was taken away.
        if found.is_ok() || oldest(audit).await? == begin {
            return Ok(found);
        }
    }
    Err(Failure::failed("old entries are being pruned: try again when that has ended"))
}

async fn oldest(audit: &dyn Audit) -> Result<Option<u64>, Failure> {
    let first = audit.page(&Filter::default(), Cursor::After(0), 1).await.map_err(port)?;
    Ok(first.first().map(|entry| entry.number))
}

async fn follow(
    audit: &dyn Audit,
    from: Option<Checkpoint>,
) -> Result<Result<Verified, Broken>, Failure> {
    // What is written from here on is another time's: somebody writes all the time.
    let end = audit.newest().await.map_err(port)?.number;
    if let Some(Checkpoint { number, .. }) = from.filter(|from| from.number > end) {
        let what = format!("it is in the checkpoint, and the record ends with entry {end}");
        return Ok(Err(Broken { number, what }));
    }
    let mut verifier = Verifier::new(from);
    // The entry of the checkpoint itself comes first.
    let mut after = from.map_or(0, |from| from.number.saturating_sub(1));
    while after < end {
        let page =
            audit.page(&Filter::default(), Cursor::After(after), PAGE).await.map_err(port)?;
        let Some(last) = page.last() else { break };
        after = last.number;
        for entry in page.iter().take_while(|entry| entry.number <= end) {
            if let Err(broken) = verifier.check(entry) {
                return Ok(Err(broken));
            }
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;
    use lobar_core::audit::{Action, Actor, Digest, NewEntry};
    use lobar_core::failure::PortError;
    use lobar_core::store::{Retained, Store};
    use lobar_core::time::{ManualClock, Stamp};
    use lobar_opener::{Database, Opener};

    use super::*;

    const AGE: Duration = Duration::from_secs(100);

    /// A record in which something happens after each time that it is read: an entry is written, and once all that is old is
    /// pruned.
    struct Meanwhile {
        database: Arc<dyn Database>,
        prune_at: usize,
        reads: AtomicUsize,
    }

    #[async_trait]
    impl Audit for Meanwhile {
        async fn append(&self, entries: &[NewEntry]) -> Result<(), PortError> {
            self.database.append(entries).await
        }

        async fn page(
            &self,
            filter: &Filter,
            cursor: Cursor,
            limit: usize,
        ) -> Result<Vec<Entry>, PortError> {
            let page = Audit::page(&*self.database, filter, cursor, limit).await?;
            self.meanwhile().await?;
            Ok(page)
        }

        async fn newest(&self) -> Result<Checkpoint, PortError> {
            let newest = Audit::newest(&*self.database).await?;
            self.meanwhile().await?;
            Ok(newest)
        }
    }

    impl Meanwhile {
        async fn meanwhile(&self) -> Result<(), PortError> {
            let read = self.reads.fetch_add(1, Ordering::Relaxed);
            assert!(read < 100, "it ends");
            if read == self.prune_at {
                let store: &dyn Store = &*self.database;
                assert_eq!(store.prune(Retained::Audit, AGE, 10 * PAGE).await?, 2 * PAGE);
            }
            self.append(&[viewed()]).await
        }
    }

    fn viewed() -> NewEntry {
        NewEntry::new(Action::Viewed, Actor::system())
    }

    /// Two pages of old entries and one that is new.
    async fn meanwhile(folder: &Path, prune_at: usize) -> Meanwhile {
        let clock = ManualClock::new(Stamp(1_700_000_000_000_000));
        let url = format!("sqlite:{}", folder.join("lobar.db").display());
        let opener = Opener::new(Arc::new(clock.clone()));
        let database = opener.database("store", &url.parse().expect("a URL")).await.expect("opens");
        database.append(&vec![viewed(); 2 * PAGE]).await.expect("appended");
        clock.advance(2 * AGE);
        database.append(&[viewed()]).await.expect("appended");
        Meanwhile { database, prune_at, reads: AtomicUsize::new(0) }
    }

    #[tokio::test]
    async fn a_record_that_is_written_all_the_time_is_followed_to_where_it_ended_at_the_beginning()
    {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = meanwhile(folder.path(), usize::MAX).await;
        let end = Audit::newest(&audit).await.expect("answers").number;
        let verified = store(&audit, None).await.expect("read").expect("whole");
        assert_eq!((verified.first, verified.begin), (1, Begin::First));
        assert!(verified.newest.number <= end + 3, "{verified:?}");
    }

    #[tokio::test]
    async fn what_is_pruned_while_the_record_is_followed_is_not_taken_for_missing() {
        // Before it is known where the record ends, before its first page is read, and after that.
        for prune_at in 0..3 {
            let folder = tempfile::tempdir().expect("a folder");
            let audit = meanwhile(folder.path(), prune_at).await;
            let verified = store(&audit, None).await.expect("read").expect("whole");
            let first = 1 + 2 * PAGE as u64;
            assert_eq!((verified.first, verified.begin), (first, Begin::Pruned), "{prune_at}");
        }
    }

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
