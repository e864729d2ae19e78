//! What RabbitMQ failed with, classed.

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lobar_core::failure::{Disposition, PortError};

/// An error in words. Cheap to copy, since every item of a failed batch answers with it. Its text
/// holds names of queues and exchanges, never a URL or a body.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct BrokerError {
    disposition: Disposition,
    text: String,
}

impl BrokerError {
    /// It may pass.
    pub(super) fn transient(text: impl Into<String>) -> Self {
        Self { disposition: Disposition::Transient, text: text.into() }
    }

    /// It will not pass by itself.
    pub(super) fn permanent(text: impl Into<String>) -> Self {
        Self { disposition: Disposition::Permanent, text: text.into() }
    }

    /// An error of an operation that the broker may refuse: connecting, declaring, publishing.
    pub(super) fn of(error: &lapin::Error) -> Self {
        match refusal(error) {
            Some(text) => Self::permanent(text),
            None => Self::transient(error.to_string()),
        }
    }

    /// What did not end in time.
    pub(super) fn slow(what: &str) -> Self {
        Self::transient(format!("{what} took too long"))
    }

    /// As the port says it; `what` is the operation.
    pub(super) fn during(self, what: &'static str) -> PortError {
        PortError { what, disposition: self.disposition, source: Box::new(self) }
    }

    /// Whether trying again is of no use.
    pub(super) fn is_refusal(&self) -> bool {
        self.disposition == Disposition::Permanent
    }
}

/// What the broker refuses for good, and what to do about it.
fn refusal(error: &lapin::Error) -> Option<String> {
    let ErrorKind::ProtocolError(error) = error.kind() else { return None };
    let said = error.get_message();
    let fix = match error.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => {
            "it was declared with other arguments: delete it once it is empty, or choose other names \
             with `?prefix=`"
        }
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
            "check the user, its password and its permissions (rabbitmqctl set_permissions)"
        }
        AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => {
            "check the virtual host in the URL and the user's access to it"
        }
        _ => return None,
    };
    Some(format!("{said}; {fix}"))
}

/// Whether the error says that a queue or an exchange does not exist.
pub(super) fn is_missing(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error)
        if *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND))
}

/// The most telling of several errors of one channel: what closed it, rather than that it is closed.
pub(super) fn telling(errors: Vec<lapin::Error>) -> Option<lapin::Error> {
    let place = errors.iter().position(lapin::Error::is_amqp_error).unwrap_or(0);
    errors.into_iter().nth(place)
}
