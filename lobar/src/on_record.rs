//! What commands on the server change and read, in the audit record. Whoever runs them signs in to nobody but the operating
//! system, so its number for them (`os_user`, the real user id) is all that is told of who it was.
//!
//! A change has two entries: one before, without which nothing is done, and one that says how it ended. So none is missing,
//! also when the process is killed between them. What is only read has one, before it is shown.

use std::sync::Arc;

use lobar_core::access::SiteName;
use lobar_core::audit::{Action, Actor, Audit, NewEntry};
use lobar_core::failure::PortError;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::failure::{Failure, chain};

/// What entries call whoever runs a command.
const COMMAND_LINE: &str = "command line";

/// Writes what one command does.
pub struct Record(Arc<dyn Audit>);

impl Record {
    /// Into this record.
    pub fn new(audit: Arc<dyn Audit>) -> Self {
        Self(audit)
    }

    /// Records that something is about to be shown.
    ///
    /// # Errors
    /// When the store does not take the entry: it must not be shown.
    pub async fn read(&self, action: Action, detail: Value) -> Result<(), Failure> {
        let entry = entry(action, detail);
        self.0.append(&[entry]).await.map_err(not_recorded)
    }

    /// Does something, with an entry before it and one that says how it ended.
    ///
    /// # Errors
    /// Those of the change. When the store does not take the first entry, nothing was done; when it does not take the second,
    /// the change has an entry that says it began, and what it came to is not told.
    pub async fn change<T>(
        &self,
        entry: NewEntry,
        does: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.adding(entry, does, |_| None).await
    }

    /// The same for what has its id only afterwards.
    ///
    /// # Errors
    /// As those of [`Record::change`].
    pub async fn adding<T>(
        &self,
        entry: NewEntry,
        does: impl Future<Output = Result<T, Failure>>,
        subject: impl Fn(&T) -> Option<Uuid>,
    ) -> Result<T, Failure> {
        let step = |step: &str| {
            let mut entry = entry.clone();
            entry.detail["step"] = step.into();
            entry
        };
        self.0.append(&[step("begins")]).await.map_err(not_recorded)?;
        let done = does.await;
        let mut end = step(if done.is_ok() { "done" } else { "failed" });
        if let Ok(done) = &done {
            end.subject = end.subject.or_else(|| subject(done));
        }
        match (self.0.append(&[end]).await, done) {
            (Ok(()), done) => done,
            (Err(error), Ok(_)) => Err(Failure::failed(format!(
                "it was done, and the audit record says only that it began: {}",
                chain(&error)
            ))),
            (Err(_), Err(failure)) => Err(failure),
        }
    }
}

/// An entry about what a command does.
pub fn entry(action: Action, detail: Value) -> NewEntry {
    let mut entry = NewEntry::new(action, actor());
    entry.detail = detail;
    entry.detail["os_user"] = json!(os_user());
    entry
}

/// The same, about an account or a token.
pub fn about(action: Action, subject: Uuid, detail: Value) -> NewEntry {
    NewEntry { subject: Some(subject), ..entry(action, detail) }
}

/// The same, about a site.
pub fn at(action: Action, site: &SiteName, detail: Value) -> NewEntry {
    NewEntry { site: Some(site.clone()), ..entry(action, detail) }
}

/// Whoever runs a command.
pub fn actor() -> Actor {
    Actor::local(COMMAND_LINE)
}

/// The real user id of this process.
pub fn os_user() -> u32 {
    rustix::process::getuid().as_raw()
}

fn not_recorded(error: PortError) -> Failure {
    Failure::failed(format!(
        "nothing was done, since the audit record cannot be written: {}",
        chain(&error)
    ))
}
