//! What a reader had before them when they gave a verdict, as an entity tag: of `/v1/images/{id}/verdicts`, sent back in
//! `If-Match` (RFC 9110, 13.1.1).

use actix_web::HttpRequest;
use actix_web::http::header::{EntityTag, Header as _, IF_MATCH, IfMatch};
use lobar_core::time::Stamp;
use lobar_core::verdict::{Seen, Verdict};
use uuid::Uuid;

use crate::problem::{Kind, Problem};

/// Changes with what the rest means.
const FORM: &str = "v1";
/// Stands for what there is not.
const NONE: &str = "0";

/// What there is of an image, by the verdicts that its reader may see, oldest first.
pub(crate) fn seen<'a>(
    finished_at: Option<Stamp>,
    verdicts: impl IntoIterator<Item = &'a Verdict>,
) -> Seen {
    let counting = verdicts.into_iter().filter(|verdict| verdict.counts());
    Seen { finished_at, newest: counting.last().map(|verdict| verdict.id) }
}

/// The tag, without quotes.
pub(crate) fn tag(seen: Seen) -> String {
    let at = seen.finished_at.map_or_else(|| NONE.to_owned(), |at| format!("{:x}", at.0));
    let newest = seen.newest.map_or_else(|| NONE.to_owned(), |id| id.simple().to_string());
    format!("{FORM}-{at}-{newest}")
}

/// The same, as headers have it.
pub(crate) fn quoted(seen: Seen) -> String {
    format!("\"{}\"", tag(seen))
}

/// What a tag stands for; `None` for one that was never given out.
pub(crate) fn parse(tag: &str) -> Option<Seen> {
    let mut parts = tag.split('-');
    let (form, at, newest) = (parts.next()?, parts.next()?, parts.next()?);
    let at = i64::from_str_radix(at, 16).ok().map(Stamp);
    let newest = Uuid::try_parse(newest).ok();
    let seen = Seen { finished_at: at.filter(|at| at.0 != 0), newest };
    // One text for one meaning.
    (form == FORM && parts.next().is_none() && self::tag(seen) == tag).then_some(seen)
}

/// What the client says was before its reader: any of these; `None` where it does not say, or anything will do.
///
/// # Errors
///
/// A header that is no list of entity tags.
pub(crate) fn if_match(request: &HttpRequest) -> Result<Option<Vec<Seen>>, Problem> {
    if !request.headers().contains_key(IF_MATCH) {
        return Ok(None);
    }
    let wrong = || Problem::new(Kind::BadParameter, "`If-Match` takes entity tags, or `*`.");
    match IfMatch::parse(request).map_err(|_| wrong())? {
        IfMatch::Any => Ok(None),
        IfMatch::Items(tags) if tags.is_empty() => Err(wrong()),
        // A weak tag matches nothing.
        IfMatch::Items(tags) => Ok(Some(tags.iter().filter_map(strong).collect())),
    }
}

fn strong(tag: &EntityTag) -> Option<Seen> {
    (!tag.weak).then(|| parse(tag.tag())).flatten()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const AT: Option<Stamp> = Some(Stamp(1_790_000_000_000_000));

    #[test]
    fn every_tag_reads_back_and_no_other_text_does() {
        for finished_at in [None, AT] {
            for newest in [None, Some(Uuid::from_u128(7))] {
                let seen = Seen { finished_at, newest };
                assert_eq!(parse(&tag(seen)), Some(seen));
            }
        }
        for wrong in
            ["", "v1", "v1-0", "v1-0-0-0", "v2-0-0", "v1-00-0", "v1-x-0", "v1-0-7", "v1--0"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_header_names_what_was_seen_and_a_tag_that_is_none_of_ours_matches_nothing() {
        let asked = |header: &str| {
            let request = TestRequest::default().insert_header((IF_MATCH, header));
            if_match(&request.to_http_request()).map_err(|problem| problem.kind())
        };
        let seen = Seen { finished_at: AT, newest: None };
        let own = format!("\"{}\"", tag(seen));
        assert_eq!(asked(&own), Ok(Some(vec![seen])));
        assert_eq!(asked(&format!("\"other\", {own}")), Ok(Some(vec![seen])));
        assert_eq!(asked("*"), Ok(None));
        for none in ["\"other\"".to_owned(), format!("W/{own}")] {
            assert_eq!(asked(&none), Ok(Some(vec![])), "{none}");
        }
        assert_eq!(asked("without quotes"), Err(Kind::BadParameter));
        let silent = TestRequest::default().to_http_request();
        assert!(matches!(if_match(&silent), Ok(None)));
    }
}
