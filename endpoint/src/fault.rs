//! Why an operation failed, and S3's answer to it.

use std::io;
use std::sync::Arc;

use hyper::StatusCode;
use s3s::{S3Error, S3ErrorCode};

/// A failure inside the endpoint.
#[derive(Debug, thiserror::Error)]
pub(super) enum EndpointFault {
    /// An answer that S3 has a code for.
    #[error("refused")]
    Refused(S3Error),
    /// Shared by all changes of a transaction that failed as a whole.
    #[error("object database: {0}")]
    Database(Arc<sqlx::Error>),
    #[error("object bodies: {0}")]
    Bodies(#[from] io::Error),
    #[error("object database: a stored value is not readable: {0}")]
    Stored(#[from] serde_json::Error),
    #[error("a task of the endpoint ended early")]
    Task(#[from] tokio::task::JoinError),
    /// The change was never tried, for its task ended before.
    #[error("object database: the change could not be begun")]
    Ended,
}

impl From<S3Error> for EndpointFault {
    fn from(error: S3Error) -> Self {
        Self::Refused(error)
    }
}

impl From<sqlx::Error> for EndpointFault {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl From<S3ErrorCode> for EndpointFault {
    fn from(code: S3ErrorCode) -> Self {
        Self::Refused(code.into())
    }
}

impl EndpointFault {
    /// A refusal with a sentence for the client.
    pub(super) fn refused(code: S3ErrorCode, message: &'static str) -> Self {
        Self::Refused(S3Error::with_message(code, message))
    }

    /// Whether the disk, a quota or a file size limit is exhausted.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Bodies(error) => is_full(error),
            Self::Database(error) => is_database_full(error),
            _ => false,
        }
    }
}

/// Whether the disk, a quota or a file size limit is exhausted.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

fn is_database_full(error: &sqlx::Error) -> bool {
    // The low byte of a result code is the primary one: <https://sqlite.org/rescode.html>.
    const SQLITE_FULL: i32 = 13;
    // The index of the write-ahead log could not grow: there is no room for it either.
    const SQLITE_IOERR_SHMSIZE: i32 = 4874;
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse::<i32>().ok());
            code.is_some_and(|code| code & 0xff == SQLITE_FULL || code == SQLITE_IOERR_SHMSIZE)
        }
        sqlx::Error::Io(error) => is_full(error),
        // Of a migration.
        sqlx::Error::Migrate(error) => match &**error {
            sqlx::migrate::MigrateError::Execute(error)
            | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => is_database_full(error),
            _ => false,
        },
        _ => false,
    }
}

impl From<EndpointFault> for S3Error {
    /// What is not the client's doing is logged here, once.
    fn from(fault: EndpointFault) -> Self {
        if let EndpointFault::Refused(error) = fault {
            return error;
        }
        tracing::error!(error = %fault, "embedded S3: operation failed; answering with an error");
        if fault.is_full() {
            let mut error = S3Error::with_message(
                S3ErrorCode::Custom("InsufficientStorage".into()),
                "The disk of this endpoint is full; nothing was stored.",
            );
            error.set_status_code(StatusCode::INSUFFICIENT_STORAGE);
            return error;
        }
        S3Error::with_message(S3ErrorCode::InternalError, "The endpoint failed; try again.")
    }
}
