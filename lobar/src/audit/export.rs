//! `lobar audit export`.

use lobar_console::outln;
use lobar_core::audit::{Action, Actor, Audit, Cursor, Entry, Filter, NewEntry};
use lobar_core::time::Stamp;
use serde_json::json;

use super::{PAGE, fhir, instant, port};
use crate::cli::Format;
use crate::failure::Failure;
use crate::on_record::os_user;

/// Prints the entries of a time, from the first to the last of them without a gap, so that the file is a chain. That it
/// was asked for is recorded before a line is printed.
pub(super) async fn run(
    audit: &dyn Audit,
    (since, until): (Option<Stamp>, Option<Stamp>),
    format: Format,
    by: &str,
) -> Result<(), Failure> {
    let (first, last) = ends(audit, since, until).await?;
    let word = match format {
        Format::Ndjson => "ndjson",
        Format::Fhir => "fhir",
    };
    let mut told = NewEntry::new(Action::Exported, Actor::local(by));
    told.detail = json!({ "what": "audit", "format": word, "first": first, "last": last, "os_user": os_user() });
    audit.append(&[told]).await.map_err(port)?;
    let (Some(first), Some(last)) = (first, last) else { return Ok(()) };

    let mut after = first.saturating_sub(1);
    while after < last && !lobar_console::is_closed() {
        let page =
            audit.page(&Filter::default(), Cursor::After(after), PAGE).await.map_err(port)?;
        let Some(newest) = page.last() else { break };
        if page[0].number != after + 1 {
            let (from, to) = (after + 1, page[0].number - 1);
            return Err(Failure::failed(format!(
                "the entries {from} to {to} were pruned while the record was printed: what was printed is not whole; do it \
                 again"
            )));
        }
        after = newest.number;
        for entry in page.iter().take_while(|entry| entry.number <= last) {
            match format {
                Format::Ndjson => outln!("{}", line(entry)?),
                Format::Fhir => outln!("{}", fhir::audit_event(entry)),
            }
        }
    }
    Ok(())
}

/// Processes whose clocks differ write no more entries than this out of the order of their times.
const DISORDER: u64 = 10_000;

/// The first entry of a time, and the last before another one. Times have no index: entries are written in their order but
/// for clocks that differ, so halving finds the place, and what lies around it is read.
async fn ends(
    audit: &dyn Audit,
    since: Option<Stamp>,
    until: Option<Stamp>,
) -> Result<(Option<u64>, Option<u64>), Failure> {
    let find = async |filter: Filter, cursor: Cursor| {
        let found = audit.page(&filter, cursor, 1).await.map_err(port)?;
        Ok::<_, Failure>(found.into_iter().next())
    };
    let oldest = find(Filter::default(), Cursor::After(0)).await?;
    let newest = find(Filter::default(), Cursor::NEWEST).await?;
    let (Some(oldest), Some(newest)) = (oldest, newest) else { return Ok((None, None)) };
    let number_of = async |time: Stamp| {
        let (mut low, mut high) = (oldest.number, newest.number + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match find(Filter::default(), Cursor::After(middle - 1)).await? {
                Some(entry) if entry.at >= time => high = middle,
                _ => low = middle + 1,
            }
        }
        Ok::<_, Failure>(low)
    };
    let first = match since {
        None => Some(oldest.number),
        Some(time) => {
            let before = number_of(time).await?.saturating_sub(DISORDER);
            let filter = Filter { since, ..Filter::default() };
            find(filter, Cursor::After(before)).await?.map(|entry| entry.number)
        }
    };
    let last = match until {
        None => Some(newest.number),
        Some(time) => {
            let after = number_of(time).await?.saturating_add(DISORDER);
            let filter = Filter { until, ..Filter::default() };
            find(filter, Cursor::Before(after)).await?.map(|entry| entry.number)
        }
    };
    Ok((first, last))
}

/// An entry in the record's own form, its time also for people.
fn line(entry: &Entry) -> Result<String, Failure> {
    let text = serde_json::to_string(entry).map_err(Failure::failed)?;
    let rest = text.strip_prefix('{').unwrap_or(&text);
    Ok(format!("{{\"time\":\"{}\",{rest}", instant::rfc3339(entry.at)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use lobar_core::audit::{Checkpoint, verify};
    use lobar_core::time::{Clock as _, ManualClock};
    use lobar_opener::Opener;

    use super::*;

    #[tokio::test]
    async fn the_ends_of_a_time_are_found_also_where_clocks_differ() {
        const MINUTE: Duration = Duration::from_secs(60);
        let folder = tempfile::tempdir().expect("a folder");
        let clock = ManualClock::new(Stamp(1_700_000_000_000_000));
        let url = format!("sqlite:{}", folder.path().join("lobar.db").display());
        let opener = Opener::new(Arc::new(clock.clone()));
        let database = opener.database("store", &url.parse().expect("a URL")).await.expect("opens");
        let audit: &dyn Audit = &*database;
        assert_eq!(ends(audit, None, Some(clock.now())).await.expect("read"), (None, None));
        let start = clock.now();
        let mut times = Vec::new();
        // A minute between two entries; every fifth is by a clock that is three minutes behind.
        for n in 0..100 {
            clock.advance(MINUTE);
            let behind = if n % 5 == 4 { 3 * MINUTE } else { Duration::ZERO };
            clock.set_back(behind);
            audit.append(&[NewEntry::new(Action::Viewed, Actor::system())]).await.expect("written");
            times.push(clock.now());
            clock.advance(behind);
        }
        for minute in 0..110 {
            let time = start.plus(MINUTE * minute);
            let first = times.iter().position(|at| *at >= time).map(|place| place as u64 + 1);
            let last = times.iter().rposition(|at| *at < time).map(|place| place as u64 + 1);
            let found = ends(audit, Some(time), Some(time)).await.expect("read");
            assert_eq!(found, (first, last), "{minute}");
        }
        assert_eq!(ends(audit, None, None).await.expect("read"), (Some(1), Some(100)));
    }

    #[test]
    fn a_line_tells_the_time_to_people_and_reads_back_as_its_entry() {
        let new = NewEntry::new(Action::Viewed, Actor::local("ada"));
        let entry = new.seal(Checkpoint::START, Stamp(0));
        let line = line(&entry).expect("JSON");
        assert!(line.starts_with("{\"time\":\"1970-01-01T00:00:00Z\",\"v\":1,"), "{line}");
        let read: Entry = serde_json::from_str(&line).expect("an entry");
        assert!(verify(None, [&read]).is_ok_and(|verified| verified.newest == entry.checkpoint()));
    }
}
