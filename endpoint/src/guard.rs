//! What of a browser's requests is answered, and what every answer tells a browser.
//!
//! An object is other people's bytes under a type that its uploader chose. No page elsewhere may put one here
//! with a browser's help, none may ask under a name that it made point here, and nothing that is served may
//! run: it is saved, not shown; its type is taken at its word; and what is shown all the same has no origin.
//! The rules are those of every server of this program: [`lobar_core::browser`].

use hyper::Method;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use lobar_core::browser::{is_from_own_page, is_own_host};
use s3s::{S3Error, S3ErrorCode};

use super::cors::Cors;

const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const ATTACHMENT: HeaderValue = HeaderValue::from_static("attachment");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Which requests are answered.
#[derive(Debug)]
pub(super) struct Guard {
    /// Names of this server beside localhost and addresses.
    pub(super) hosts: Vec<String>,
    /// Whether browsers may upload by a form. Its signed policy is then what permits it, whatever page it
    /// comes from.
    pub(super) forms: bool,
    /// Pages that may use it.
    pub(super) cors: Cors,
}

impl Guard {
    /// Refuses what a page elsewhere may have sent.
    pub(super) fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), S3Error> {
        let host = text(headers, &header::HOST).unwrap_or_default();
        if !is_own_host(host, &self.hosts) {
            return Err(refusal(
                "This endpoint is not known by the host name of the request. Use localhost or its IP \
                 address, or add the name to its setting `hosts`.",
            ));
        }
        let form = Self::is_form(method, headers);
        if form && !self.forms {
            return Err(refusal(
                "Form uploads of browsers are switched off. The setting `s3_forms` switches them on.",
            ));
        }
        if form || method.is_safe() || self.cors.is_allowed(headers) {
            return Ok(());
        }
        let (origin, site) = (text(headers, &header::ORIGIN), text(headers, &SEC_FETCH_SITE));
        if is_from_own_page(host, origin, site) {
            return Ok(());
        }
        Err(refusal("This request comes from a page that may not use this endpoint."))
    }

    /// Whether a request that was let through is a form.
    pub(super) fn is_form(method: &Method, headers: &HeaderMap) -> bool {
        *method == Method::POST && is_form(headers)
    }

    /// Adds to any answer what keeps browsers from running it.
    pub(super) fn adorn(method: &Method, successful: bool, answer: &mut HeaderMap) {
        answer.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
        answer.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        if *method == Method::GET && successful {
            let saved = saved(answer.get(header::CONTENT_DISPOSITION));
            answer.insert(header::CONTENT_DISPOSITION, saved);
        }
    }
}

fn refusal(why: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::AccessDenied, why)
}

fn is_form(headers: &HeaderMap) -> bool {
    const FORM: &str = "multipart/form-data";
    let kind = text(headers, &header::CONTENT_TYPE).unwrap_or_default().trim_start();
    kind.get(..FORM.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(FORM))
}

/// `attachment`, with the parameters that the object's own disposition has: its file name.
fn saved(stated: Option<&HeaderValue>) -> HeaderValue {
    let stated = stated.map(HeaderValue::as_bytes).unwrap_or_default();
    let end = stated.iter().position(|byte| *byte == b';').unwrap_or(stated.len());
    HeaderValue::from_bytes(&[ATTACHMENT.as_bytes(), &stated[end..]].concat()).unwrap_or(ATTACHMENT)
}

/// A header's text; what is no text is as foreign as an empty one.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "http://127.0.0.1:8080";

    fn guard(forms: bool) -> Guard {
        let cors = Cors::new(vec![PAGE.to_owned()]);
        Guard { hosts: vec!["store.example".to_owned()], forms, cors }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    fn passes(method: &Method, pairs: &[(&'static str, &'static str)]) -> bool {
        guard(false).check(method, &headers(pairs)).is_ok()
    }

    #[test]
    fn a_request_under_a_foreign_name_is_refused_whatever_it_asks_for() {
        for method in [Method::GET, Method::PUT] {
            assert!(passes(&method, &[("host", "127.0.0.1:9000")]));
            assert!(passes(&method, &[("host", "localhost:9000")]));
            assert!(passes(&method, &[("host", "STORE.example")]));
            assert!(!passes(&method, &[("host", "rebound.example:9000")]));
            assert!(!passes(&method, &[]));
        }
    }

    #[test]
    fn a_change_by_a_page_elsewhere_is_refused_and_by_our_own_page_it_is_not() {
        let host = ("host", "127.0.0.1:9000");
        for method in [Method::PUT, Method::POST, Method::DELETE] {
            assert!(passes(&method, &[host]));
            assert!(passes(&method, &[host, ("origin", PAGE), ("sec-fetch-site", "same-site")]));
            assert!(!passes(&method, &[host, ("origin", "http://127.0.0.1:8081")]));
            assert!(!passes(&method, &[host, ("origin", "null")]));
            assert!(!passes(&method, &[host, ("sec-fetch-site", "cross-site")]));
        }
        // A link to an object, signed by whoever may read it.
        assert!(passes(&Method::GET, &[host, ("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn a_form_is_refused_until_forms_are_switched_on() {
        let host = ("host", "127.0.0.1:9000");
        let form = [host, ("content-type", "Multipart/Form-Data; boundary=x")];
        assert!(!passes(&Method::POST, &form));
        assert!(guard(true).check(&Method::POST, &headers(&form)).is_ok());
        let elsewhere = [form[0], form[1], ("origin", "https://portal.example")];
        assert!(guard(true).check(&Method::POST, &headers(&elsewhere)).is_ok());
        let other = [host, ("content-type", "text/plain"), ("origin", "https://portal.example")];
        assert!(guard(true).check(&Method::POST, &headers(&other)).is_err());
    }

    #[test]
    fn what_is_served_is_saved_under_its_own_name_and_never_run() {
        let served = |stated: Option<&'static str>| {
            let mut answer = HeaderMap::new();
            if let Some(stated) = stated {
                answer.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(stated));
            }
            Guard::adorn(&Method::GET, true, &mut answer);
            assert_eq!(answer[header::CONTENT_SECURITY_POLICY], "sandbox");
            assert_eq!(answer[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            answer[header::CONTENT_DISPOSITION].to_str().expect("text").to_owned()
        };
        assert_eq!(served(None), "attachment");
        assert_eq!(served(Some("inline; filename=\"a;b\"")), "attachment; filename=\"a;b\"");
        assert_eq!(served(Some("attachment; filename=x")), "attachment; filename=x");
        assert_eq!(served(Some("inline")), "attachment");
    }
}
