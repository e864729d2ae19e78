//! What knows nothing of lungs, beside the model.

use maud::{Markup, html};

use crate::evaluation::Evaluation;
use crate::report::number::{count, figure};
use crate::report::page::table;

pub(super) fn baselines(it: &Evaluation) -> Markup {
    let images = count(it.images);
    let row =
        |name: &str, auc: Option<f64>, of: &str| vec![name.to_owned(), figure(auc), of.to_owned()];
    let mut rows = vec![row("the model", it.auc, &images)];
    if let Some(shortcut) = &it.shortcut {
        let known = count(shortcut.images);
        rows.push(row("height of the original alone", Some(shortcut.by_height), &known));
        rows.push(row(
            "aspect ratio of the original alone",
            Some(shortcut.by_aspect_ratio),
            &known,
        ));
    }
    rows.push(row("sharpness of the image alone", it.sharpness_auc, &images));
    html! {
        p {
            "AUC, either way round, of single numbers that know nothing of lungs. Where one of them comes near the model, the model \
             may be using it: it then measures how a hospital takes its pictures, and fails elsewhere."
        }
        (table(&["", "AUC", "images"], &rows))
        @if it.shortcut.is_none() {
            p.soft { "The size of the originals is not known for both classes, so nothing can be said of height and aspect ratio." }
        }
        p.soft { "Sharpness: variance of the Laplacian of the 224×224 image." }
    }
}
