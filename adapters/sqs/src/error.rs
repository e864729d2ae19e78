//! Classifies errors of SQS without their text, which may contain a message body and so object
//! keys.

use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::BatchResultErrorEntry;
use lobar_core::failure::{Disposition, PortError};

/// Why a call, or one entry of a batch, failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SqsError {
    /// SQS's own answer: HTTP status and code.
    #[error("SQS answered {status} {code}")]
    Answered { status: u16, code: String },
    #[error("SQS did not answer in time")]
    Timeout,
    #[error("SQS could not be reached, or there are no credentials for it")]
    Unreachable,
    #[error("the answer of SQS could not be read")]
    Unreadable,
    #[error("SQS left one entry of a batch unanswered")]
    Unanswered,
    #[error("the request could not be built: is a region set?")]
    Unbuildable,
    #[error("the lease is lost")]
    LostLease,
    #[error("the message takes {size} bytes, and the queue at most {largest}")]
    TooLarge { size: usize, largest: usize },
}

/// Codes that pass by themselves, or that an operator can mend without touching a message.
const PASSING: [&str; 14] = [
    "ExpiredToken",
    "InternalError",
    "InternalFailure",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "KmsThrottled",
    "OverLimit",
    "RequestExpired",
    "RequestThrottled",
    "ServiceUnavailable",
    "SignatureDoesNotMatch",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

impl SqsError {
    pub(super) fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Self {
        match error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                Self::answered(status, answer.err().code().unwrap_or_default())
            }
            SdkError::TimeoutError(_) => Self::Timeout,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::Timeout,
            SdkError::DispatchFailure(_) => Self::Unreachable,
            SdkError::ResponseError(_) => Self::Unreadable,
            _ => Self::Unbuildable,
        }
    }

    /// The failure of one entry of a batch.
    pub(super) fn entry(failed: &BatchResultErrorEntry) -> Self {
        Self::answered(if failed.sender_fault() { 400 } else { 500 }, failed.code())
    }

    fn answered(status: u16, code: &str) -> Self {
        // `AWS.SimpleQueueService.NonExistentQueue`, `com.amazonaws.sqs#RequestThrottled`.
        let code = code.rsplit(['.', '#']).next().unwrap_or_default();
        let code = code.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        Self::Answered { status, code }
    }

    fn code(&self) -> &str {
        match self {
            Self::Answered { code, .. } => code,
            _ => "",
        }
    }

    /// What an answer to a receipt means: most refusals of one say that its lease is over.
    pub(super) fn about_receipt(self) -> Self {
        match self.code() {
            // The second is said of a receipt that has expired.
            "ReceiptHandleIsInvalid" | "InvalidParameterValue" | "MessageNotInflight" => {
                Self::LostLease
            }
            _ => self,
        }
    }

    /// The message of this receipt is gone.
    pub(super) fn is_unknown_receipt(&self) -> bool {
        self.code() == "ReceiptHandleIsInvalid"
    }

    pub(super) fn is_denied(&self) -> bool {
        matches!(self, Self::Answered { status: 401 | 403, .. }) && !self.is_transient()
            || matches!(self.code(), "AccessDenied" | "AccessDeniedException" | "KmsAccessDenied")
    }

    pub(super) fn is_missing_queue(&self) -> bool {
        matches!(self.code(), "QueueDoesNotExist" | "NonExistentQueue")
    }

    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Answered { status, code } => {
                *status >= 500 || [408, 429].contains(status) || PASSING.contains(&code.as_str())
            }
            Self::Timeout | Self::Unreachable | Self::Unreadable | Self::Unanswered => true,
            Self::Unbuildable | Self::LostLease | Self::TooLarge { .. } => false,
        }
    }

    pub(super) fn into_port(self, what: &'static str) -> PortError {
        let transient = self.is_transient();
        let disposition = if transient { Disposition::Transient } else { Disposition::Permanent };
        PortError { what, disposition, source: Box::new(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_and_a_broken_service_pass_and_a_refusal_does_not() {
        for (status, code) in [
            (400, "RequestThrottled"),
            (403, "ExpiredToken"),
            (500, ""),
            (503, "ServiceUnavailable"),
        ] {
            assert!(SqsError::answered(status, code).is_transient(), "{code}");
        }
        assert!(!SqsError::answered(403, "AccessDenied").is_transient());
        assert!(!SqsError::answered(400, "InvalidMessageContents").is_transient());
    }

    #[test]
    fn a_code_is_known_with_and_without_its_name_space() {
        let old = SqsError::answered(400, "AWS.SimpleQueueService.NonExistentQueue");
        let new = SqsError::answered(400, "com.amazonaws.sqs#QueueDoesNotExist");
        assert!(old.is_missing_queue() && new.is_missing_queue());
        for code in ["ReceiptHandleIsInvalid", "AWS.SimpleQueueService.MessageNotInflight"] {
            assert_eq!(SqsError::answered(400, code).about_receipt(), SqsError::LostLease);
        }
        assert!(SqsError::answered(403, "").is_denied());
    }
}
