//! `GET /v1/batches/{id}/export`: the images of a batch as lines, a page at a time: nothing holds the whole.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use actix_web::web::{Bytes, Data, Path, Query};
use futures::stream;
use lobar_core::access::Sites;
use lobar_core::audit::Action;
use lobar_core::batch::BatchId;
use lobar_core::store::{Filter, PageKey};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;
use uuid::Uuid;

use super::super::images::items;
use super::visible;
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::problem::{Kind, Problem};
use crate::record::entry;

/// Images that are read at once.
const PAGE: usize = 200;

/// In which form.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportQuery {
    /// `csv`, or `ndjson`: one image a line as lists show it.
    format: Option<String>,
}

/// A form of lines.
#[derive(Clone, Copy)]
enum Form {
    Csv,
    Ndjson,
}

/// The columns of a table, and where an image has their values.
const COLUMNS: [(&str, &str); 19] = [
    ("id", "/id"),
    ("status", "/status"),
    ("reason", "/reason"),
    ("reason_text", "/reason_text"),
    ("reason_detail", "/reason_detail"),
    ("site", "/site"),
    ("priority", "/priority"),
    ("received_at", "/received_at"),
    ("finished_at", "/finished_at"),
    ("flagged", "/result/flagged"),
    ("score", "/result/probability"),
    ("threshold", "/result/threshold"),
    ("model_version", "/result/model/version"),
    ("withheld", "/withheld"),
    ("reading", "/reading/state"),
    ("patient_id", "/patient/id"),
    ("accession", "/study/accession"),
    ("study_date", "/study/date"),
    ("statement_of_use", "/result/statement_of_use"),
];

/// The images of a batch, newest first, as CSV or NDJSON. What lists withhold from the caller is withheld here. An answer that
/// breaks off is not whole: read it again.
#[utoipa::path(get, path = "/v1/batches/{id}/export", tag = "uploads",
    params(("id" = Uuid, Path, description = "The batch's id."), ExportQuery),
    responses(
        (status = 200, description = "Lines.", content((String = "text/csv"), (String = "application/x-ndjson"))),
        (status = 404, description = "Not known.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn export(
    allowed: Allowed<need::ReadImages>,
    context: Data<Context>,
    id: Path<Uuid>,
    query: Query<ExportQuery>,
) -> Result<HttpResponse, Problem> {
    let form = match query.format.as_deref() {
        None | Some("csv") => Form::Csv,
        Some("ndjson") => Form::Ndjson,
        Some(_) => {
            return Err(Problem::new(Kind::BadParameter, "`format` is `csv` or `ndjson`."));
        }
    };
    let batch = visible(&context, &allowed, BatchId(id.into_inner())).await?;
    let mut exported = entry(&allowed, Action::Exported, batch.site.as_ref().map(|it| it.as_str()));
    exported.detail = json!({
        "batch": batch.id.to_string(), "files": batch.counts.files(), "format": form.word(),
    });
    context.record(exported).await?;
    let sites = batch.site.map_or(allowed.sites().clone(), Sites::one);
    let filter = Filter { batch: Some(batch.id), ..Filter::at(sites) };
    let (kind, name) = (form.media_type(), format!("batch-{}.{}", batch.id, form.word()));
    let head = Bytes::from(form.head());
    let next = Some((Some(head), None));
    let lines = stream::try_unfold((next, filter), move |(next, filter)| {
        let (context, allowed) = (context.clone(), allowed.clone());
        async move {
            match next {
                None => Ok::<_, Problem>(None),
                Some((Some(head), after)) => Ok(Some((head, (Some((None, after)), filter)))),
                Some((None, after)) => {
                    let (lines, after) = page(&context, &allowed, &filter, after, form).await?;
                    Ok(Some((lines, (after.map(|after| (None, Some(after))), filter))))
                }
            }
        }
    });
    Ok(HttpResponse::Ok()
        .content_type(kind)
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .streaming(lines))
}

/// Lines of one page, and where the next begins.
async fn page(
    context: &Data<Context>,
    allowed: &Allowed<need::ReadImages>,
    filter: &Filter,
    after: Option<PageKey>,
    form: Form,
) -> Result<(Bytes, Option<PageKey>), Problem> {
    let asked = filter.clone();
    let page = context.ask(move |store| async move { store.list(&asked, after, PAGE).await });
    let page = page.await?;
    let mut lines = String::new();
    for item in items(context, allowed, page.items).await? {
        let item = serde_json::to_value(item);
        let item = item.map_err(|error| Problem::internal("batch export", &error))?;
        form.write(&item, &mut lines);
    }
    Ok((lines.into(), page.next))
}

impl Form {
    fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    fn head(self) -> String {
        match self {
            Self::Csv => COLUMNS.map(|(name, _)| name).join(",") + "\r\n",
            Self::Ndjson => String::new(),
        }
    }

    fn write(self, item: &Value, lines: &mut String) {
        match self {
            Self::Csv => {
                let fields = COLUMNS.map(|(_, place)| field(item.pointer(place)));
                lines.push_str(&fields.join(","));
                lines.push_str("\r\n");
            }
            Self::Ndjson => {
                lines.push_str(&item.to_string());
                lines.push('\n');
            }
        }
    }
}

/// A field of CSV (RFC 4180). A text that a spreadsheet would take for a formula begins with an apostrophe
/// (<https://owasp.org/www-community/attacks/CSV_Injection>): patients' ids come from anywhere.
fn field(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => return String::new(),
        Some(Value::String(text)) => text,
        Some(value) => return value.to_string(),
    };
    let is_formula =
        text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let text = if is_formula { format!("'{text}") } else { text.clone() };
    match text.contains(['"', ',', '\r', '\n', ';', '\'']) || text.trim() != text {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_of_a_table_is_a_formula_or_ends_early() {
        let written = |text: &str| field(Some(&json!(text)));
        for (text, expected) in [
            ("4711", "4711"),
            ("=1+1", "\"'=1+1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("-2", "\"'-2\""),
            ("\tx", "\"'\tx\""),
            ("a\",\"b", "\"a\"\",\"\"b\""),
            ("a\r\nb", "\"a\r\nb\""),
            (" a", "\" a\""),
        ] {
            assert_eq!(written(text), expected, "{text:?}");
        }
        assert_eq!((field(None), field(Some(&Value::Null))), (String::new(), String::new()));
        assert_eq!(
            (field(Some(&json!(-0.5))), field(Some(&json!(true)))),
            ("-0.5".into(), "true".into())
        );
    }

    #[test]
    fn every_column_is_a_member_of_an_image() {
        let schemas = &crate::openapi::document()["components"]["schemas"];
        let of = |schema: &str, member: &str| schemas[schema]["properties"][member].is_object();
        for (_, place) in COLUMNS {
            let path: Vec<&str> = place.split('/').skip(1).collect();
            let known = match path[..] {
                [member] => of("ImageItem", member),
                ["result", "model", member] => of("ModelBody", member),
                ["result", member] => of("ResultBody", member),
                ["reading", member] => of("ReadingBody", member),
                ["patient", member] => of("PatientBody", member),
                ["study", member] => of("StudyBody", member),
                _ => false,
            };
            assert!(known, "{place}");
        }
    }
}
