//! Classifies errors of the S3 SDK without their text, which may contain URLs and so object keys.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use lobar_core::failure::{Disposition, PortError};
use lobar_core::object_store::FetchError;

/// Why an answer that had begun is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the answer broke off, or its checksum is wrong")]
    BrokeOff,
    #[error("the answer ended before its announced length")]
    Short,
    #[error("the answer took too long")]
    TooSlow,
}

impl BodyError {
    /// Whether asking again at once may bring what is missing.
    pub(super) fn off(error: &PortError) -> bool {
        matches!(error.source.downcast_ref(), Some(Self::BrokeOff | Self::Short))
    }
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum S3Error {
    /// The store's own answer: HTTP status and S3's code.
    #[error("the object store answered {status} {code}")]
    Answered { status: u16, code: String },
    #[error("the object store did not answer in time")]
    Timeout,
    #[error("the object store could not be reached, or there are no credentials for it")]
    Unreachable,
    #[error("the object store's answer could not be read")]
    Unreadable,
    #[error("the request could not be built")]
    Unbuildable,
}

/// Codes that speak of our credentials or clock, not of one object: an operator can mend them, and
/// no image may be given up for them.
const OURS_TO_MEND: [&str; 6] = [
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
];

impl S3Error {
    pub(super) fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Self {
        match error {
            SdkError::ServiceError(answer) => {
                let code = answer.err().code().unwrap_or_default();
                let code = code.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
                Self::Answered { status: answer.raw().status().as_u16(), code }
            }
            SdkError::TimeoutError(_) => Self::Timeout,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::Timeout,
            SdkError::DispatchFailure(_) => Self::Unreachable,
            SdkError::ResponseError(_) => Self::Unreadable,
            _ => Self::Unbuildable,
        }
    }

    fn disposition(&self) -> Disposition {
        match self {
            Self::Answered { status, code } => {
                let passing = *status >= 500
                    || [408, 429].contains(status)
                    || OURS_TO_MEND.contains(&code.as_str())
                    || code == "RequestTimeout";
                if passing { Disposition::Transient } else { Disposition::Permanent }
            }
            Self::Timeout | Self::Unreachable | Self::Unreadable => Disposition::Transient,
            Self::Unbuildable => Disposition::Permanent,
        }
    }

    /// Whether it was understood, and is not allowed: by a permission, by MFA delete, or by a lock on the object. Not
    /// where our credentials are at fault, which an operator can mend.
    pub(super) fn refuses(&self) -> bool {
        let Self::Answered { status, code } = self else { return false };
        let locked = ["ObjectLocked", "InvalidRequest", "AccessDenied", "MethodNotAllowed"];
        !OURS_TO_MEND.contains(&code.as_str())
            && (matches!(status, 401 | 403) || locked.contains(&code.as_str()))
    }

    /// Whether the store has no conditional puts: S3's own words for a header that asks for what is not there.
    pub(super) fn knows_no_conditions(&self) -> bool {
        matches!(self, Self::Answered { status, code } if *status == 501 || code == "NotImplemented")
    }

    pub(super) fn into_port(self, what: &'static str) -> PortError {
        PortError { what, disposition: self.disposition(), source: Box::new(self) }
    }

    /// `by_version`: the request named a version, so what is not there is gone, not missing.
    pub(super) fn into_fetch(self, what: &'static str, by_version: bool) -> FetchError {
        let Self::Answered { status, code } = &self else {
            return self.into_port(what).into();
        };
        match (*status, code.as_str()) {
            (_, code) if OURS_TO_MEND.contains(&code) => self.into_port(what).into(),
            (404, "NoSuchBucket") => self.into_port(what).into(),
            (404, _) if !by_version => FetchError::Missing,
            // A version that is a delete marker answers 405; one of another store's form, 400.
            (404 | 405 | 412, _) => FetchError::Gone,
            (400, "InvalidArgument" | "NoSuchVersion") if by_version => FetchError::Gone,
            (401 | 403, _) => FetchError::Denied,
            _ => self.into_port(what).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, code: &str) -> S3Error {
        S3Error::Answered { status, code: code.to_owned() }
    }

    fn fetch(status: u16, code: &str, by_version: bool) -> String {
        match answered(status, code).into_fetch("s3: get", by_version) {
            FetchError::Port(error) if error.is_transient() => "transient".to_owned(),
            FetchError::Port(_) => "permanent".to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_there_is_gone_or_missing() {
        assert_eq!(fetch(404, "NoSuchVersion", true), "Gone");
        assert_eq!(fetch(404, "NoSuchKey", false), "Missing");
        assert_eq!(fetch(404, "", false), "Missing");
        assert_eq!(fetch(405, "MethodNotAllowed", true), "Gone");
        assert_eq!(fetch(412, "PreconditionFailed", false), "Gone");
        assert_eq!(fetch(400, "InvalidArgument", true), "Gone");
    }

    #[test]
    fn a_refused_object_is_denied_but_bad_credentials_are_not_the_objects_fault() {
        assert_eq!(fetch(403, "AccessDenied", true), "Denied");
        assert_eq!(fetch(403, "SignatureDoesNotMatch", true), "transient");
        assert_eq!(fetch(403, "InvalidAccessKeyId", true), "transient");
    }

    #[test]
    fn what_is_locked_or_not_permitted_is_refused_and_a_store_that_is_away_does_not_refuse() {
        let refuses = |status, code| answered(status, code).refuses();
        assert!(refuses(403, "AccessDenied") && refuses(400, "ObjectLocked") && refuses(403, ""));
        assert!(!refuses(403, "ExpiredToken") && !refuses(404, "NoSuchBucket"));
        assert!(!refuses(503, "SlowDown") && !S3Error::Timeout.refuses());
    }

    #[test]
    fn a_busy_store_is_transient_and_a_wrong_setting_is_not() {
        assert_eq!(fetch(503, "SlowDown", true), "transient");
        assert_eq!(fetch(500, "InternalError", true), "transient");
        assert_eq!(fetch(404, "NoSuchBucket", true), "permanent");
        assert_eq!(fetch(400, "InvalidRequest", true), "permanent");
        assert!(S3Error::Timeout.into_port("s3: put").is_transient());
    }
}
