//! Ranges that are none, which RFC 9110 (section 14.2) has a server ignore: `s3s` refuses them.
//!
//! A header that is signed cannot be taken off before the signature is checked. So the request is asked as it
//! came; once its signature has been found good and it was refused all the same, it is asked again without
//! the range, of a service that checks no signature.

use std::sync::{Arc, OnceLock};

use hyper::header::{self, HeaderMap};
use hyper::{Method, Request, StatusCode};
use s3s::dto::Range;
use s3s::{Body, HttpResponse};

use super::auth::{AskedAgain, Signer};

/// Who signed a request whose signature was found good.
#[derive(Clone, Debug, Default)]
pub(super) struct Signed(Arc<OnceLock<Signer>>);

impl Signed {
    /// Notes that the signature was found good, and whose it is.
    pub(super) fn by(&self, signer: Signer) {
        // A request is signed once.
        let _ = self.0.set(signer);
    }
}

/// A request whose range is to be ignored, without it.
pub(super) struct Unranged {
    signed: Signed,
    request: Request<Body>,
}

impl Unranged {
    /// Takes a range that is none off the request; where that would break its signature, keeps the request
    /// without it for later.
    pub(super) fn of<B>(request: &mut Request<B>) -> Option<Self> {
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        let range = request.headers().get(header::RANGE).filter(|_| reads)?;
        if range.to_str().is_ok_and(|range| Range::parse(range).is_ok()) {
            return None;
        }
        if !is_signed(request.headers()) {
            request.headers_mut().remove(header::RANGE);
            return None;
        }
        let signed = Signed::default();
        request.extensions_mut().insert(signed.clone());
        let mut bare = Request::new(Body::empty());
        *bare.method_mut() = request.method().clone();
        *bare.uri_mut() = request.uri().clone();
        *bare.headers_mut() = request.headers().clone();
        bare.headers_mut().remove(header::RANGE);
        bare.headers_mut().remove(header::AUTHORIZATION);
        Some(Self { signed, request: bare })
    }

    /// The request, if what it was answered with its range may be the range's fault alone.
    pub(super) fn again(mut self, answer: &HttpResponse) -> Option<Request<Body>> {
        let signer = self.signed.0.get().filter(|_| answer.status() == StatusCode::BAD_REQUEST)?;
        self.request.extensions_mut().insert(signer.clone());
        self.request.extensions_mut().insert(AskedAgain);
        Some(self.request)
    }
}

/// Whether the range is among the headers that the signature covers.
fn is_signed(headers: &HeaderMap) -> bool {
    let signature = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let names = signature.and_then(|text| text.split_once("SignedHeaders="));
    names.is_some_and(|(_, names)| {
        let names = names.split([',', ' ']).next().unwrap_or_default();
        names.split(';').any(|name| name == "range")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(range: &str, signed: &str) -> Request<()> {
        let signature =
            format!("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders={signed}, Signature=c");
        let request = Request::get("/xrays/k").header("range", range);
        request.header("authorization", signature).body(()).expect("a request")
    }

    #[test]
    fn a_range_stays_when_it_is_one_and_goes_when_it_is_none() {
        for (range, stays) in [
            ("bytes=0-1", true),
            ("bytes=-5", true),
            ("bytes=900-", true),
            ("bytes=5-2", false),
            ("bytes=a-b", false),
            ("lines=1-2", false),
            ("bytes=0-1,3-4", false),
        ] {
            let mut unsigned = request(range, "host;x-amz-date");
            assert!(Unranged::of(&mut unsigned).is_none());
            assert_eq!(unsigned.headers().contains_key("range"), stays, "{range}");
            let mut signed = request(range, "host;range;x-amz-date");
            assert_eq!(Unranged::of(&mut signed).is_none(), stays, "{range}");
            assert!(signed.headers().contains_key("range"));
        }
    }

    #[test]
    fn a_request_whose_signature_is_not_good_is_not_asked_again() {
        let refused = |status| {
            let mut answer = HttpResponse::new(Body::empty());
            *answer.status_mut() = status;
            answer
        };
        let mut one = request("bytes=5-2", "host;range");
        let unranged = Unranged::of(&mut one).expect("signed");
        assert!(unranged.again(&refused(StatusCode::BAD_REQUEST)).is_none());
        let unranged = Unranged::of(&mut one).expect("signed");
        unranged.signed.by(Signer::Operator);
        assert!(unranged.again(&refused(StatusCode::FORBIDDEN)).is_none());
        let unranged = Unranged::of(&mut one).expect("signed");
        unranged.signed.by(Signer::Operator);
        let again = unranged.again(&refused(StatusCode::BAD_REQUEST)).expect("asked again");
        assert!(!again.headers().contains_key("authorization"));
        assert!(
            matches!(again.extensions().get(), Some(Signer::Operator)),
            "it is the signer's still"
        );
    }
}
