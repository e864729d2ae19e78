//! Where studies, series and instances are had (PS3.18, 10.4.1), as the client that asks would write it.

use actix_web::HttpRequest;
use actix_web::http::header;
use lobar_core::study::Uid;

use crate::peer::Peer;

/// The address of DICOMweb, by the host that the client asked: also behind a proxy that is trusted.
#[derive(Clone)]
pub(crate) struct Address(String);

impl Address {
    /// That of the request's own server. The host was found to be an own one.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let peer = Peer::of(request);
        let secure = peer.as_ref().map_or_else(|| request.app_config().secure(), |it| it.secure);
        let host = peer.and_then(|peer| peer.host);
        let authority = request.uri().authority().map(ToString::to_string);
        let named = || request.headers().get(header::HOST)?.to_str().ok().map(str::to_owned);
        let host = host.or(authority).or_else(named).unwrap_or_default();
        let scheme = if secure { "https" } else { "http" };
        Self(format!("{scheme}://{host}/dicom-web"))
    }

    /// Without a slash at its end.
    pub(crate) fn root(&self) -> &str {
        &self.0
    }

    /// Of a study.
    pub(crate) fn study(&self, study: &Uid) -> String {
        format!("{}/studies/{}", self.0, study.as_str())
    }

    /// Of a series.
    pub(crate) fn series(&self, study: &Uid, series: &Uid) -> String {
        format!("{}/series/{}", self.study(study), series.as_str())
    }

    /// Of an instance.
    pub(crate) fn instance(&self, study: &Uid, series: &Uid, instance: &Uid) -> String {
        format!("{}/instances/{}", self.series(study, series), instance.as_str())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn an_instance_is_had_from_the_host_that_was_asked() {
        let request = TestRequest::get().insert_header(("host", "a.example:8080"));
        let address = Address::of(&request.to_http_request());
        let [study, series, instance] =
            ["1.2", "1.3", "1.4"].map(|it| Uid::parse(it).expect("one"));
        assert_eq!(
            address.instance(&study, &series, &instance),
            "http://a.example:8080/dicom-web/studies/1.2/series/1.3/instances/1.4"
        );
    }
}
