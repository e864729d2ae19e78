//! Every error of the API: RFC 9457 `application/problem+json` with stable types, from one table.

use std::fmt;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use lobar_core::failure::PortError;
use serde_json::{Value, json};

use crate::request::RequestId;

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $slug:literal, $title:literal;)*) => {
        /// A type of problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// Every type.
            pub(crate) const ALL: &'static [Kind] = &[$(Kind::$name),*];

            /// The HTTP status.
            pub(crate) fn status(self) -> u16 { match self { $(Kind::$name => $status),* } }

            /// The last part of the type's URI, `/problems/{slug}`.
            pub(crate) fn slug(self) -> &'static str { match self { $(Kind::$name => $slug),* } }

            /// What it means, the same for every occurrence.
            pub(crate) fn title(self) -> &'static str { match self { $(Kind::$name => $title),* } }
        }
    };
}

problems! {
    BadRequest = 400, "bad-request", "The request could not be read";
    BadParameter = 400, "bad-parameter", "A parameter has no valid value";
    BadJson = 400, "bad-json", "The body is not the JSON that is expected";
    BadMultipart = 400, "bad-multipart", "The multipart body could not be read";
    MissingFile = 400, "missing-file", "The request carries no file";
    BadImage = 400, "bad-base64", "The image is not valid base64";
    NotSignedIn = 401, "not-signed-in", "Sign in first";
    WrongCredentials = 401, "wrong-credentials", "The name, the password or the code is wrong";
    CodeNeeded = 401, "code-needed", "A one-time code is needed too";
    NotAllowed = 403, "not-allowed", "You may not do this";
    WrongCsrfToken = 403, "wrong-csrf-token", "The request does not prove that it comes from the own page";
    ForeignOrigin = 403, "foreign-origin", "Requests from other web pages are refused";
    UnknownRoute = 404, "unknown-route", "There is nothing under this address";
    UnknownImage = 404, "unknown-image", "No image of this id is known";
    NoPicture = 404, "no-picture", "There is no picture of this image";
    NoHeatmap = 404, "no-heatmap", "There is no heatmap of this image";
    UnknownVerdict = 404, "unknown-verdict", "There is no such verdict of the caller's on this image";
    UnknownPatient = 404, "unknown-patient", "No such patient is known at this site";
    UnknownModel = 404, "unknown-model", "No model of this version is registered";
    UnknownBatch = 404, "unknown-batch", "No batch of this id is known";
    UnknownEntry = 404, "unknown-quarantine-entry", "The quarantine has no entry of this id";
    UnknownPerson = 404, "unknown-person", "There is no such account, session, token or site";
    VoidLink = 404, "void-link", "The link was used, replaced, or has expired";
    WrongMethod = 405, "wrong-method", "This address does not take this method";
    NotAcceptable = 406, "not-acceptable", "There is no answer of a media type that the client takes";
    TooSlowUpload = 408, "upload-timeout", "The upload took too long";
    ModelConflict = 409, "model-conflict", "The model stands where this change cannot be made";
    EntryDiscarded = 409, "quarantine-entry-discarded", "The quarantine's entry was discarded";
    EntryUnreadable = 409, "quarantine-entry-unreadable", "The quarantine's entry has a state that this release cannot read";
    AccountDisabled = 409, "account-disabled", "The account is disabled";
    ExternalAccount = 409, "external-account", "Another provider signs this person in";
    BatchElsewhere = 409, "batch-of-another-site", "The batch belongs to another site";
    NameTaken = 409, "name-taken", "Somebody or something else is called so";
    LastAdmin = 409, "last-admin", "Nobody could manage people any more";
    OwnOpinionFirst = 409, "own-opinion-first", "Your own opinion is asked for first";
    NoOpinionAsked = 409, "no-opinion-asked", "No opinion is asked for before the result";
    PatientMerged = 409, "patient-merged", "This patient id was merged into another one";
    SeveralPatients = 409, "several-patients", "Images of several patients have this UID";
    StaleVerdict = 409, "stale-verdict", "The result has changed since it was shown";
    NotNewestVerdict = 409, "not-newest-verdict", "A newer verdict of the same reader is there";
    Erased = 410, "erased", "The image was erased";
    NewerThanSeen = 412, "newer-than-seen", "Something newer is there than what was seen";
    TooLarge = 413, "too-large", "The body is larger than accepted";
    WrongMediaType = 415, "wrong-media-type", "The body has a media type that is not accepted";
    WrongEncoding = 415, "wrong-content-encoding", "The body is compressed, or coded in another way that is not accepted";
    ForeignHost = 421, "foreign-host", "This server does not answer under this name";
    NotAssessed = 422, "not-assessed", "The image could not be assessed; a person must look at it";
    NothingToAgreeWith = 422, "nothing-to-agree-with", "There is no result to agree with";
    UnknownSite = 422, "unknown-site", "A grant names a site that is not on the list";
    UselessGrant = 422, "useless-grant", "A role is granted where it allows nothing";
    WeakPassword = 422, "weak-password", "The password is not accepted";
    TooManyTries = 429, "too-many-tries", "Too many failures; wait a moment";
    TooManyRequests = 429, "too-many-requests", "Too many requests from here";
    HeadersTooLarge = 431, "headers-too-large", "The request has too many header fields, or too large ones";
    Internal = 500, "internal", "Something went wrong in this program";
    Busy = 503, "busy", "Other requests hold all the memory that there is for bodies";
    Unavailable = 503, "unavailable", "A service that is needed is away or busy";
    TooManyStreams = 503, "too-many-streams", "No more pages can watch this process";
    Stopping = 503, "stopping", "The server is stopping";
    TimedOut = 504, "timed-out", "The result did not arrive in time";
}

/// One occurrence of a problem.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    more: Vec<(String, Value)>,
    headers: Vec<(header::HeaderName, header::HeaderValue)>,
}

impl Problem {
    /// A problem with a sentence about this occurrence. Nothing personal.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let header = match kind {
            Kind::Busy | Kind::Unavailable | Kind::Stopping => Some((header::RETRY_AFTER, "2")),
            Kind::TooManyStreams => Some((header::RETRY_AFTER, "10")),
            Kind::TooManyRequests => Some((header::RETRY_AFTER, "1")),
            // RFC 9110, 15.5.16: what would be accepted.
            Kind::WrongEncoding => Some((header::ACCEPT_ENCODING, "identity")),
            // RFC 9110, 11.6.1, and RFC 6750, 3: how a machine would sign in. A browser asks nobody for it.
            Kind::NotSignedIn => Some((header::WWW_AUTHENTICATE, "Bearer")),
            _ => None,
        };
        let headers = header.map(|(name, text)| (name, header::HeaderValue::from_static(text)));
        Self {
            kind,
            detail: detail.into(),
            more: Vec::new(),
            headers: headers.into_iter().collect(),
        }
    }

    /// A header of the answer, in place of one of the same name.
    pub(crate) fn header(mut self, name: header::HeaderName, value: header::HeaderValue) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
        self
    }

    /// One member more in the answer.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.push((name.into(), value.into()));
        self
    }

    /// The method is not taken; `allow` lists those that are.
    pub(crate) fn wrong_method(allow: &str) -> Self {
        let problem = Self::new(Kind::WrongMethod, format!("Allowed here: {allow}."));
        match header::HeaderValue::from_str(allow) {
            Ok(value) => problem.header(header::ALLOW, value),
            Err(_) => problem,
        }
    }

    /// Come back in so many seconds.
    pub(crate) fn later(kind: Kind, wait: Duration, detail: impl Into<String>) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self::new(kind, detail).header(header::RETRY_AFTER, seconds.max(1).into())
    }

    /// A part of this program failed; the cause is in the log.
    pub(crate) fn internal(what: &'static str, error: &dyn fmt::Display) -> Self {
        tracing::error!(operation = what, %error, "request failed: answering 500");
        Self::new(Kind::Internal, "The cause is in the server's log.")
    }

    /// Whether it tells of an erased image.
    pub(crate) fn is_erased(&self) -> bool {
        self.kind == Kind::Erased
    }

    /// Whether it tells of the picture of one image alone, that there is none, or none of what was asked for of it.
    pub(crate) fn is_of_this_picture(&self) -> bool {
        matches!(self.kind, Kind::NoPicture | Kind::BadParameter)
    }

    /// The document (RFC 9457).
    pub(crate) fn document(&self) -> Value {
        let mut body = json!({
            "type": format!("/problems/{}", self.kind.slug()),
            "title": self.kind.title(),
            "status": self.kind.status(),
            "detail": self.detail,
        });
        if let Value::Object(members) = &mut body {
            members.extend(self.more.iter().cloned());
            if let Some(id) = RequestId::current() {
                members.insert("request_id".into(), id.to_string().into());
            }
        }
        body
    }

    #[cfg(test)]
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }
}

impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        if error.is_transient() {
            tracing::warn!(operation = error.what, %error, "request refused: a service did not answer; answering 503");
            let detail = format!("{} did not answer as it should; try again.", error.what);
            return Self::new(Kind::Unavailable, detail);
        }
        Self::internal(error.what, &error)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.title(), self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        response
            .insert_header((header::CONTENT_TYPE, "application/problem+json"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(self.document().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_slug_of_its_own_and_a_valid_error_status() {
        let mut slugs: Vec<_> = Kind::ALL.iter().map(|kind| kind.slug()).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            let status = Problem::new(*kind, "x").status_code();
            assert!(status.is_client_error() || status.is_server_error());
            assert_eq!(status.as_u16(), kind.status());
        }
    }

    #[actix_web::test]
    async fn a_problem_is_rfc_9457_json_with_its_own_members() {
        let problem = Problem::new(Kind::NotAssessed, "Blank.").with("reason", "blank");
        let response = problem.error_response();
        assert_eq!(response.status().as_u16(), 422);
        assert_eq!(
            response.headers().get("content-type").expect("set"),
            "application/problem+json"
        );
        let body = actix_web::body::to_bytes(response.into_body()).await.expect("in memory");
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["type"], "/problems/not-assessed");
        assert_eq!((&body["status"], &body["reason"]), (&json!(422), &json!("blank")));
    }

    #[test]
    fn a_port_that_is_away_is_503_and_a_fault_of_ours_is_500() {
        assert_eq!(Problem::from(PortError::transient("x", "y")).kind(), Kind::Unavailable);
        assert_eq!(Problem::from(PortError::permanent("x", "y")).kind(), Kind::Internal);
    }
}
