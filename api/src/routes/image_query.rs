//! What `GET /v1/images` is asked for.

use lobar_core::access::{SiteName, Sites};
use lobar_core::image::State;
use lobar_core::store::{Filter, PageKey, PatientKey, SearchText};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::batch;
use crate::page_token::{self, ListOrder, UrgentPlace};
use crate::problem::{Kind, Problem};
use crate::whose;

/// Characters of a text that is searched for: as many as a DICOM name's group or an id of LO has.
pub(super) const LONGEST_SEARCH: usize = 64;

/// Which images, and how many at once. An unknown parameter is an error: a filter with a slip in
/// its name must not show everything.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// States, with commas between them: `ready,needs_human`. All when missing.
    pub(super) status: Option<String>,
    /// `true` or `false`: only flagged, or only assessed and not flagged.
    #[param(value_type = Option<bool>)]
    pub(super) flagged: Option<String>,
    /// Only images of the patient of this id, to the letter, whoever issued it.
    pub(super) patient: Option<String>,
    /// Only images that this text finds, at most 64 characters: the id of a patient or an accession number, to the letter, or
    /// the beginning of a name (two characters at least) without case and accents, as `Doe, Ja`.
    pub(super) search: Option<String>,
    /// Only images of this batch: what was uploaded together.
    #[param(value_type = Option<Uuid>)]
    pub(super) batch: Option<String>,
    /// Only this site. One that is not among the caller's has no images, like one that does not exist.
    pub(super) site: Option<String>,
    /// `received`: all images, newest first, which is so when it is missing. `urgency`: only those that wait for a reader,
    /// because there is no verdict on what they show now (where their site has two readers: none of the caller's, until both
    /// agree or a third has decided): first what has waited for too long, then what is flagged or was
    /// sent as urgent, then what needs a human, then the rest, each oldest first. Where the caller's own opinion is asked for
    /// before some results are shown, flags have no part in it.
    #[param(value_type = Option<String>)]
    pub(super) order: Option<String>,
    /// The `next` of the page before, in the same order.
    pub(super) after: Option<String>,
    /// Images a page, 1 to 200; 50 when missing.
    #[param(value_type = Option<u32>)]
    pub(super) limit: Option<String>,
}

/// Where a page begins.
pub(super) enum Start {
    Newest(Option<PageKey>),
    /// The most urgent, or what comes after a place; the moment of the first page is that of all.
    Urgent {
        after: Option<UrgentPlace>,
        by_flag: bool,
        /// Whom images with a verdict of theirs do not wait for.
        reader: Option<String>,
    },
}

/// The order that is asked for.
pub(super) fn order(query: &ListQuery) -> Result<ListOrder, Problem> {
    let word = query.order.as_deref().filter(|word| !word.is_empty());
    let known = ListOrder::ALL.map(ListOrder::as_str).join(", ");
    let wrong = || Problem::new(Kind::BadParameter, format!("`order` takes: {known}."));
    word.map_or(Ok(ListOrder::default()), |word| ListOrder::parse(word).ok_or_else(wrong))
}

/// The page that is asked for, in an order.
pub(super) fn start(
    query: &ListQuery,
    order: ListOrder,
    by_flag: bool,
    reader: Option<String>,
) -> Result<Start, Problem> {
    let detail = "`after` is the `next` of an earlier page in the same order.";
    let wrong = || Problem::new(Kind::BadParameter, detail);
    let token = query.after.as_deref();
    Ok(match order {
        ListOrder::Received => {
            let after = token.map(|token| page_token::decode(token).ok_or_else(wrong));
            Start::Newest(after.transpose()?)
        }
        ListOrder::Urgency => {
            let after = token.map(|token| page_token::decode_urgent(token).ok_or_else(wrong));
            Start::Urgent { after: after.transpose()?, by_flag, reader }
        }
    })
}

/// A site that is not among the caller's is answered like one that does not exist: with nothing.
pub(super) fn narrowed(sites: &Sites, asked: Option<&str>) -> Sites {
    let Some(asked) = asked.filter(|site| !site.is_empty()) else { return sites.clone() };
    let allowed = SiteName::parse(asked).filter(|_| sites.include(Some(asked)));
    allowed.map_or_else(Sites::none, Sites::one)
}

/// Which images are asked for, of the caller's sites.
pub(super) fn filter(query: &ListQuery, sites: &Sites) -> Result<Filter, Problem> {
    let words = query.status.as_deref().unwrap_or_default();
    let states = words.split(',').map(str::trim).filter(|word| !word.is_empty()).map(|word| {
        State::parse(word).ok_or_else(|| {
            let known = State::ALL.map(State::as_str).join(", ");
            Problem::new(Kind::BadParameter, format!("`status` takes: {known}."))
        })
    });
    let flagged = match query.flagged.as_deref() {
        None | Some("") => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => {
            return Err(Problem::new(Kind::BadParameter, "`flagged` takes true or false."));
        }
    };
    let sites = narrowed(sites, query.site.as_deref());
    let patient = match query.patient.as_deref() {
        None | Some("") => None,
        Some(id) => Some(PatientKey(whose::patient_id(id)?)),
    };
    let search = searched(query.search.as_deref())?;
    let batch = batch::said(query.batch.as_deref())?;
    let states = states.collect::<Result<_, _>>()?;
    Ok(Filter { sites, states, flagged, patient, search, batch })
}

/// A text that is searched for; `None` where there is none.
fn searched(text: Option<&str>) -> Result<Option<SearchText>, Problem> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    if text.is_some_and(|text| {
        text.chars().count() > LONGEST_SEARCH || text.contains(char::is_control)
    }) {
        let detail = format!(
            "`search` has at most {LONGEST_SEARCH} characters, none of them a control character."
        );
        return Err(Problem::new(Kind::BadParameter, detail));
    }
    Ok(text.map(|text| SearchText(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_reads_states_flag_and_site() {
        let query = ListQuery {
            status: Some("ready, needs_human".into()),
            flagged: Some("false".into()),
            site: Some(String::new()),
            ..ListQuery::default()
        };
        let filter = filter(&query, &Sites::All).expect("valid");
        assert_eq!(filter.states, [State::Ready, State::NeedsHuman]);
        assert_eq!((filter.flagged, filter.sites), (Some(false), Sites::All));
    }

    #[test]
    fn what_no_filter_can_mean_is_refused() {
        let status = ListQuery { status: Some("readi".into()), ..ListQuery::default() };
        let flagged = ListQuery { flagged: Some("yes".into()), ..ListQuery::default() };
        let filter = |query| filter(query, &Sites::All);
        assert!(filter(&status).is_err() && filter(&flagged).is_err());
        let patient = |id: &str| ListQuery { patient: Some(id.into()), ..ListQuery::default() };
        let [zero, line, padded] = ["\0", "7\n1", "71 "].map(patient);
        assert!(filter(&zero).is_err() && filter(&line).is_err());
        let kept = filter(&padded).expect("as it is kept").patient;
        assert!(kept == Some(PatientKey("71".into())));
    }

    #[test]
    fn a_search_is_a_short_text() {
        let search = |text: &str| {
            let query = ListQuery { search: Some(text.into()), ..ListQuery::default() };
            filter(&query, &Sites::All).map(|filter| filter.search)
        };
        assert_eq!(search(" Doe, J ").ok(), Some(Some(SearchText("Doe, J".into()))));
        assert_eq!(search("  ").ok(), Some(None));
        assert!(search(&"é".repeat(64)).is_ok());
        for bad in ["a\0b", "a\nb", &"a".repeat(65)] {
            assert!(search(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_site_narrows_the_caller_s_and_never_widens_them() {
        let only = |names: &[&str]| {
            Sites::Only(names.iter().map(|name| SiteName::parse(name).expect("a name")).collect())
        };
        let (own, none) = (only(&["north", "south"]), Sites::none());
        let asked = |sites, site: &str| {
            let query = ListQuery { site: Some(site.into()), ..ListQuery::default() };
            filter(&query, sites).expect("valid").sites
        };
        assert_eq!(asked(&own, ""), own);
        assert_eq!(asked(&own, "north"), only(&["north"]));
        assert_eq!(asked(&Sites::All, "west"), only(&["west"]));
        for other in ["west", "nowhere", "north,south", "*", "Doe, Jane"] {
            assert_eq!(asked(&own, other), Sites::none(), "{other}");
        }
        assert_eq!(asked(&Sites::All, "Doe, Jane"), Sites::none());
        assert_eq!((asked(&none, ""), asked(&none, "north")), (none.clone(), none.clone()));
    }
}
