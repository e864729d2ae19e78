//! The stress table.

use lobar_model::card::StressRow;
use maud::{Markup, html};

use crate::report::number::{count, figure, percent};
use crate::report::page::table;

pub(super) fn stress(rows: &[StressRow]) -> Markup {
    let cells = |row: &StressRow| {
        vec![
            row.change.clone(),
            figure(row.auc),
            percent(row.sensitivity),
            percent(row.specificity),
            count(row.to_flagged),
            count(row.to_not_flagged),
            row.unlike.map_or("–".to_owned(), count),
            match (row.most_flips, row.is_within_bound()) {
                (Some(most), Some(kept)) => {
                    let said = if kept { "kept" } else { "missed" };
                    format!(
                        "{said}: {} of {}",
                        percent(Some(row.flip_share())),
                        percent(Some(most))
                    )
                }
                _ => "–".to_owned(),
            },
        ]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let head = [
        "changed",
        "AUC",
        "sensitivity",
        "specificity",
        "flips to flagged",
        "to not flagged",
        "to a person",
        "bound on flips",
    ];
    html! {
        p {
            "The same images, changed in ways that change nothing for a radiologist, at the same threshold. A flip is an image \
             that is answered otherwise than as it was."
        }
        (table(&head, &rows))
    }
}
