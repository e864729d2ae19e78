//! The frame that every report shares: one file, nothing fetched, nothing run.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Light, dark, narrow and printed alike.
const STYLE: &str = include_str!("style.css");

/// A whole page of HTML around `body`. `lead` stands under the title.
pub(super) fn page(title: &str, lead: &Markup, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // No script, no request: also a browser that is asked to would refuse.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    header { h1 { (title) } (lead) }
                    (body)
                }
            }
        }
    }
    .into_string()
}

/// A section with a heading that can be linked to.
pub(super) fn section(id: &str, title: &str, body: &Markup) -> Markup {
    html! { section id=(id) { h2 { (title) } (body) } }
}

/// A table whose first column names the row; `head` names the columns.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> Markup {
    html! {
        div.wide {
            table {
                thead { tr { @for title in head { th scope="col" { (title) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (index, cell) in row.iter().enumerate() {
                                @if index == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A picture with what it shows under it.
pub(super) fn figure(picture: &Markup, caption: &Markup) -> Markup {
    html! { figure.plot { (picture) figcaption { (caption) } } }
}
