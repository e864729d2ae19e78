//! The report on a terminal.

use lobar_core::exposure::{Figures, Rate, Report};

use crate::columns::columns;

/// A line a row, then what the columns mean.
pub(super) fn text(report: &Report) -> String {
    if report.sites.is_empty() {
        return "No first opinion was given. LOBAR_OPINION_FIRST says of which share of images it is asked for.\n".into();
    }
    let by_person = report.sites.iter().any(|row| row.reader.is_some());
    let mut head = vec!["SITE"];
    if by_person {
        head.push("ACCOUNT");
    }
    head.extend(["OPINIONS", "LEFT OUT", "CHANGED", "TO THE AI'S"]);
    if report.with_truth {
        head.extend(["RIGHT TO WRONG", "WRONG TO RIGHT", "MISLED", "HELPED"]);
    }
    let lines = report.sites.iter().map(|row| {
        let mut cells = vec![row.site.clone().unwrap_or_else(|| "unknown".into())];
        if by_person {
            cells.push(row.reader.map_or_else(String::new, |reader| reader.to_string()));
        }
        if row.few_readers {
            cells.push("fewer than three people read here".into());
            return cells;
        }
        cells.extend([count(row.opinions), left_out(row), rate(row.changed), rate(row.followed)]);
        if report.with_truth {
            let rates = [row.turned_wrong, row.turned_right, row.misled, row.helped];
            cells.extend(rates.map(rate));
        }
        cells
    });
    let mut text = columns(&head, lines);
    text.push_str("\nOf so many, with Wilson's interval of 95 %. ");
    text.push_str(match report.with_truth {
        true => "MISLED: right to wrong where the AI was wrong. HELPED: wrong to right where it was right.\n",
        false => "Without --truth or --adjudicator nobody said what is right: only changes are counted.\n",
    });
    text
}

fn count(count: Option<u64>) -> String {
    count.map_or_else(|| "<5".into(), |count| count.to_string())
}

fn left_out(row: &Figures) -> String {
    let parts = [row.exposed_before, row.unfinished, row.not_painted, row.not_assessable];
    let sum: Option<u64> = parts.into_iter().sum();
    sum.map_or_else(|| "some".into(), |sum| sum.to_string())
}

fn rate(rate: Rate) -> String {
    let percent = |share: f64| format!("{:.1}", share * 100.0);
    match (rate.count, rate.of, rate.share, rate.low, rate.high) {
        (Some(count), Some(of), Some(share), Some(low), Some(high)) => {
            let (share, low, high) = (percent(share), percent(low), percent(high));
            format!("{count}/{of} {share} % ({low}-{high})")
        }
        (Some(_), Some(0), ..) => "-".into(),
        _ => "too few".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_counts_and_intervals_and_hides_what_is_too_small() {
        let changed = Rate {
            count: Some(6),
            of: Some(20),
            share: Some(0.3),
            low: Some(0.1455),
            high: Some(0.519),
        };
        let row = Figures {
            site: Some("north".into()),
            opinions: Some(20),
            exposed_before: Some(0),
            unfinished: None,
            not_painted: Some(0),
            not_assessable: Some(0),
            changed,
            ..Figures::default()
        };
        let few = Figures { few_readers: true, ..Figures::default() };
        let text = text(&Report { with_truth: false, sites: vec![row, few] });
        assert!(text.contains("north    20"), "{text}");
        assert!(text.contains("some      6/20 30.0 % (14.5-51.9)  too few"), "{text}");
        assert!(text.contains("unknown  fewer than three people read here"), "{text}");
        assert!(text.contains("nobody said what is right"), "{text}");
    }
}
