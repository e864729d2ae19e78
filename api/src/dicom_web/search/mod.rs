//! QIDO-RS (PS3.18, 10.6): studies, series and instances by what is known of them. What is asked for is personal: it is in no
//! log, span or metric, and the record has the names of the attributes alone.

mod answer;
mod query;

use actix_web::http::header;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use lobar_core::audit::Action;
use lobar_core::study::{Condition, Level, Search, SearchError, Uid};
use serde_json::json;
use uuid::Uuid;

use self::query::Asked;
use super::address::Address;
use super::outcome::MEDIA_TYPE;
use super::store::{acceptable, accepted};
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::problem::{Kind, Problem};
use crate::record::entry;

/// Results in one answer at most, and where a study is named and no limit is.
const LIMIT_MAX: usize = 1_000;
/// Results where neither is.
const LIMIT: usize = 100;
/// Results that can be passed over.
const OFFSET_MAX: usize = 100_000;

type Pairs = Query<Vec<(String, String)>>;
type Reader = Allowed<need::ReadImages>;

macro_rules! search_route {
    ($name:ident, $path:literal, $level:expr, $words:literal, $uids:ty, |$given:pat_param| $list:expr $(, $param:literal)*) => {
        #[doc = $words]
        ///
        /// Attributes are keys by keyword or tag (`PatientID=`, `00100020=`); further `includefield`, `limit` (1 to 1000), `offset`,
        /// `fuzzymatching`, and `accept`.
        #[utoipa::path(get, path = $path, tag = "dicom-web",
            params(
                $(($param = String, Path, description = "The UID."),)*
                ("PatientID" = Option<String>, Query, description = "One of the attributes that are matched (docs/dicom-web.md): by keyword or tag, to the letter or with `*` and `?`."),
                ("PatientName" = Option<String>, Query, description = "Without case and accents; `*` and `?`."),
                ("AccessionNumber" = Option<String>, Query, description = "To the letter, or with `*` and `?`."),
                ("StudyDate" = Option<String>, Query, description = "A date, or a range: `20260101-20260131`."),
                ("includefield" = Option<String>, Query, description = "Further attributes, with commas between them, or `all`; may be repeated."),
                ("limit" = Option<u32>, Query, description = "At most so many, 1 to 1,000."),
                ("offset" = Option<u32>, Query, description = "So many are left out at the beginning, 100,000 at most."),
                ("fuzzymatching" = Option<bool>, Query, description = "Not done: names are matched literally, with a warning."),
                ("accept" = Option<String>, Query, description = "The media type, in place of the header `Accept`."),
            ),
            responses(
                (status = 200, description = "What matches, the newest study first; an empty list where nothing does. `Warning: 299` tells of more, and of what was not matched.", content_type = "application/dicom+json"),
                (status = 400, description = "An attribute is not known, or a value is none.", content_type = "application/problem+json"),
                (status = 406, description = "The answer is application/dicom+json only.", content_type = "application/problem+json"),
                (status = 413, description = "The offset is too large, or too much would be read: narrow the search.", content_type = "application/problem+json"),
            ),
        )]
        pub(crate) async fn $name(
            allowed: Reader,
            context: Data<Context>,
            request: HttpRequest,
            pairs: Pairs,
            uids: $uids,
        ) -> Result<HttpResponse, Problem> {
            let $given = uids;
            find(&allowed, &context, &request, $level, pairs.into_inner(), $list).await
        }
    };
}

search_route!(
    studies,
    "/dicom-web/studies",
    Level::Study,
    "Searches studies (QIDO-RS).",
    Path<()>,
    |_| vec![]
);
search_route!(
    series,
    "/dicom-web/series",
    Level::Series,
    "Searches series of any study (QIDO-RS).",
    Path<()>,
    |_| vec![]
);
search_route!(
    instances,
    "/dicom-web/instances",
    Level::Instance,
    "Searches instances of any study (QIDO-RS).",
    Path<()>,
    |_| vec![]
);
search_route!(
    series_of_study,
    "/dicom-web/studies/{study}/series",
    Level::Series,
    "Searches the series of a study (QIDO-RS).",
    Path<String>,
    |study| vec![(Level::Study, study.into_inner())],
    "study"
);
search_route!(
    instances_of_study,
    "/dicom-web/studies/{study}/instances",
    Level::Instance,
    "Searches the instances of a study (QIDO-RS).",
    Path<String>,
    |study| vec![(Level::Study, study.into_inner())],
    "study"
);
search_route!(
    instances_of_series,
    "/dicom-web/studies/{study}/series/{series}/instances",
    Level::Instance,
    "Searches the instances of a series (QIDO-RS).",
    Path<(String, String)>,
    |uids| {
        let (study, series) = uids.into_inner();
        vec![(Level::Study, study), (Level::Series, series)]
    },
    "study",
    "series"
);

async fn find(
    allowed: &Reader,
    context: &Data<Context>,
    request: &HttpRequest,
    level: Level,
    pairs: Vec<(String, String)>,
    within: Vec<(Level, String)>,
) -> Result<HttpResponse, Problem> {
    let asked = Asked::read(pairs)?;
    match &asked.accept {
        Some(accept) => acceptable([accept.as_str()])?,
        None => acceptable(accepted(request.headers()))?,
    }
    let mut conditions = asked.conditions;
    for (of, uid) in &within {
        let uid = Uid::parse(uid)
            .ok_or_else(|| Problem::new(Kind::BadParameter, "A UID in the address is none."))?;
        conditions.push(Condition::Uids(*of, vec![uid]));
    }
    let default = if within.is_empty() { LIMIT } else { LIMIT_MAX };
    let offset = asked.offset;
    if offset > OFFSET_MAX {
        let detail = format!(
            "`offset` is {OFFSET_MAX} at most: narrow the search, for instance by StudyDate."
        );
        return Err(Problem::new(Kind::TooLarge, detail));
    }
    let limit = asked.limit.unwrap_or(default).min(LIMIT_MAX);
    let search = Search { level, sites: allowed.sites().clone(), conditions, offset, limit };
    let question = search.clone();
    let results = context
        .ask_port(&context.studies, move |port| async move { port.search(&question).await })
        .await?;
    let mut seen = entry(allowed, Action::Listed, None);
    seen.detail = json!({
        "search": match level { Level::Study => "studies", Level::Series => "series", Level::Instance => "instances" },
        "sites": search.sites.to_string(),
        "matched": asked.matched,
        "further": offset > 0,
        "images": results.found.len(),
    });
    // Hashed: a page of one search is not that of another.
    let which = format!("search {level:?} {within:?} {}", request.query_string());
    let ids: Vec<Uuid> = results.found.iter().map(|found| found.image.0).collect();
    context.recorder.note_list(seen, &which, &ids)?;
    let address = Address::of(request);
    let body = answer::body(level, &results.found, address.root(), &asked.include)?;
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, MEDIA_TYPE));
    response.insert_header((header::CACHE_CONTROL, "private, no-store"));
    for warning in warnings(results.more, asked.fuzzy, &asked.ignored) {
        response.append_header((header::WARNING, format!("299 lobar \"{warning}\"")));
    }
    Ok(response.body(body))
}

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::TooLong => Problem::new(
                Kind::TooLarge,
                "The search reads too much: narrow it, for instance by StudyDate, or by how a name begins.",
            ),
            SearchError::Port(error) => error.into(),
        }
    }
}

/// What the client must know of its answer (PS3.18, 10.6.3 and 8.3.4.2).
fn warnings(more: bool, fuzzy: bool, ignored: &[String]) -> Vec<String> {
    let mut warnings = Vec::new();
    if more {
        warnings.push("There are additional results that can be requested".to_owned());
    }
    if fuzzy {
        warnings.push(
            "The fuzzymatching parameter is not supported. Only literal matching has been performed."
                .to_owned(),
        );
    }
    if !ignored.is_empty() {
        warnings.push(format!("Not matched, and ignored: {}", ignored.join(", ")));
    }
    warnings
}
