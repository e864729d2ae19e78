//! PostgreSQL's SQLSTATE codes, classed: which are worth a retry.

use lobar_core::failure::Disposition;
use sqlx::Error;

pub(super) fn disposition(error: &Error) -> Disposition {
    let passing = match error {
        Error::Io(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => true,
        Error::Database(error) => error.code().is_some_and(|code| is_transient(&code)),
        _ => false,
    };
    if passing { Disposition::Transient } else { Disposition::Permanent }
}

fn is_transient(code: &str) -> bool {
    match code {
        // A transaction undone by another one; a lock not had in time.
        "40001" | "40P01" | "55P03" => true,
        // Read-only, as a standby is before it takes over; a transaction left lying.
        "25006" | "25P03" => true,
        // A statement cancelled, by its time limit or by an operator; the server going down or coming up.
        "57014" | "57P01" | "57P02" | "57P03" | "57P05" => true,
        // Connections broken, resources spent (connections, memory, disk), errors of the system below.
        _ => ["08", "53", "58"].contains(&&code[..2.min(code.len())]),
    }
}

pub(super) fn is_conflict(error: &Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("40001" | "40P01"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_told_from_what_does_not() {
        for code in ["40001", "40P01", "25006", "57P01", "53300", "53100", "08006", "58030"] {
            assert!(is_transient(code), "{code}");
        }
        for code in ["23505", "42P01", "42501", "28P01", "3D000", "22021", "", "0"] {
            assert!(!is_transient(code), "{code}");
        }
        assert_eq!(disposition(&Error::PoolTimedOut), Disposition::Transient);
        assert_eq!(disposition(&Error::RowNotFound), Disposition::Permanent);
    }
}
