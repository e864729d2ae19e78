//! `lobar audit export`.

use lobar_console::outln;
use lobar_core::audit::{Action, Actor, Audit, Cursor, Entry, Filter, NewEntry};
use lobar_core::time::Stamp;
use serde_json::json;

use super::{PAGE, fhir, instant, port};
use crate::cli::Format;
use crate::failure::Failure;

/// Prints the entries of a time, from the first to the last of them without a gap, so that the file is a chain. That it
/// was asked for is recorded before a line is printed.
pub(super) async fn run(
    audit: &dyn Audit,
    (since, until): (Option<Stamp>, Option<Stamp>),
    format: Format,
    by: &str,
) -> Result<(), Failure> {
    let end = async |filter: Filter, cursor: Cursor| {
        let found = audit.page(&filter, cursor, 1).await.map_err(port)?;
        Ok::<_, Failure>(found.first().map(|entry| entry.number))
    };
    let first = end(Filter { since, ..Filter::default() }, Cursor::After(0)).await?;
    let last = end(Filter { until, ..Filter::default() }, Cursor::NEWEST).await?;
    let word = match format {
        Format::Ndjson => "ndjson",
        Format::Fhir => "fhir",
    };
    let mut told = NewEntry::new(Action::Exported, Actor::local(by));
    told.detail = json!({ "what": "audit", "format": word, "first": first, "last": last });
    audit.append(&[told]).await.map_err(port)?;
    let (Some(first), Some(last)) = (first, last) else { return Ok(()) };

    let mut after = first.saturating_sub(1);
    while after < last && !lobar_console::is_closed() {
        let page =
            audit.page(&Filter::default(), Cursor::After(after), PAGE).await.map_err(port)?;
        let Some(newest) = page.last() else { break };
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

/// An entry in the record's own form, its time also for people.
fn line(entry: &Entry) -> Result<String, Failure> {
    let text = serde_json::to_string(entry).map_err(Failure::failed)?;
    let rest = text.strip_prefix('{').unwrap_or(&text);
    Ok(format!("{{\"time\":\"{}\",{rest}", instant::rfc3339(entry.at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lobar_core::audit::{Checkpoint, verify};

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
