//! What one connection may hold at once. An HTTP/2 connection carries any number of requests, of any size, and the
//! framework sets no bounds of its own there (RFC 9113, 10.5); an HTTP/1 connection carries one, whose head it bounds.

use std::any::Any;
use std::cell::Cell;
use std::rc::Rc;

use actix_web::dev::{Extensions, ServiceRequest};
use actix_web::http::Version;
use actix_web::http::header::HeaderMap;

use crate::problem::{Kind, Problem};

/// Requests of one connection that are answered at once. Browsers take up to 100 for one site.
const REQUESTS: usize = 128;
/// Header fields of one request, as the framework takes over HTTP/1.
const FIELDS: usize = 96;
/// Bytes of the header fields of one request, as the framework takes over HTTP/1.
const FIELD_BYTES: usize = 128 << 10;

/// Requests of a connection that are being answered.
#[derive(Clone, Default)]
struct Requests(Rc<Cell<usize>>);

/// Counts from nothing on a new connection; for `HttpServer::on_connect`.
pub(crate) fn connected(_: &dyn Any, data: &mut Extensions) {
    data.insert(Requests::default());
}

/// A request's place on its connection, until its answer was sent or is given up.
pub(crate) struct Place(Requests);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get().saturating_sub(1));
    }
}

/// Takes a place for a request over HTTP/2.
///
/// # Errors
/// 431 for header fields that are too many or too large, 429 when the connection has no place left.
pub(crate) fn enter(request: &ServiceRequest) -> Result<Option<Place>, Problem> {
    if request.version() < Version::HTTP_2 {
        return Ok(None);
    }
    check_size(request.headers())?;
    let Some(requests) = request.conn_data::<Requests>() else { return Ok(None) };
    if requests.0.get() >= REQUESTS {
        let detail = format!("At most {REQUESTS} requests at once on one connection.");
        return Err(Problem::new(Kind::TooManyRequests, detail));
    }
    requests.0.set(requests.0.get() + 1);
    Ok(Some(Place(requests.clone())))
}

fn check_size(headers: &HeaderMap) -> Result<(), Problem> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > FIELDS || bytes > FIELD_BYTES {
        let detail = format!("At most {FIELDS} header fields of {FIELD_BYTES} bytes together.");
        return Err(Problem::new(Kind::HeadersTooLarge, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    #[test]
    fn a_place_is_free_again_once_it_is_dropped() {
        let requests = Requests::default();
        requests.0.set(1);
        drop(Place(requests.clone()));
        assert_eq!(requests.0.get(), 0);
    }

    #[test]
    fn fields_are_bounded_in_number_and_in_bytes() {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_static("x-a");
        headers.insert(name.clone(), HeaderValue::from_static("a"));
        assert!(check_size(&headers).is_ok());
        for _ in 0..FIELDS {
            headers.append(name.clone(), HeaderValue::from_static("a"));
        }
        assert_eq!(check_size(&headers).expect_err("refused").kind(), Kind::HeadersTooLarge);
        let mut headers = HeaderMap::new();
        let large = HeaderValue::from_str(&"a".repeat(FIELD_BYTES)).expect("text");
        headers.insert(name, large);
        assert!(check_size(&headers).is_err());
    }
}
