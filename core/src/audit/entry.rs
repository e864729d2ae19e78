//! Entries: what is to be recorded, and what was.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Action, Checkpoint, Digest, canonical};
use crate::access::{Role, SiteName, Who};
use crate::object::ImageId;
use crate::time::Stamp;

/// Who did it. Names are personal: `Debug` and logs have the kind and the id alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Actor {
    /// Which kind of actor.
    pub kind: ActorKind,
    /// The account or the token; only persons and machines have one.
    pub id: Option<Uuid>,
    /// The name that they had at that time.
    pub name: String,
}

/// Which kind of actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorKind {
    /// A person with an account.
    Person,
    /// A machine with a token.
    Machine,
    /// Whoever uses the machine that Lobar runs on: over loopback, or on its command line.
    Local,
    /// Lobar itself.
    System,
    /// Somebody who did not say, or could not prove, who they are.
    Nobody,
}

impl ActorKind {
    /// The word used in storage, HTTP and exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Machine => "machine",
            Self::Local => "local",
            Self::System => "system",
            Self::Nobody => "nobody",
        }
    }
}

impl Actor {
    /// Lobar itself.
    pub fn system() -> Self {
        Self { kind: ActorKind::System, id: None, name: ActorKind::System.as_str().into() }
    }

    /// Somebody who did not say, or could not prove, who they are.
    pub fn nobody() -> Self {
        Self { kind: ActorKind::Nobody, id: None, name: ActorKind::Nobody.as_str().into() }
    }

    /// Whoever uses the machine that Lobar runs on, by the name that the machine has for them.
    pub fn local(name: impl Into<String>) -> Self {
        Self { kind: ActorKind::Local, id: None, name: name.into() }
    }
}

impl From<&Who> for Actor {
    fn from(who: &Who) -> Self {
        let kind = match who {
            Who::Person { .. } => ActorKind::Person,
            Who::Machine { .. } => ActorKind::Machine,
            Who::Local => ActorKind::Local,
        };
        let id = (kind != ActorKind::Local).then(|| who.id());
        Self { kind, id, name: who.name().to_owned() }
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind.as_str())?;
        self.id.map_or(Ok(()), |id| write!(f, " {id}"))
    }
}

/// Something to record.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEntry {
    /// What was done.
    pub action: Action,
    /// By whom.
    pub actor: Actor,
    /// In which role.
    pub role: Option<Role>,
    /// About which image.
    pub image: Option<ImageId>,
    /// At which site.
    pub site: Option<SiteName>,
    /// About which account or token.
    pub subject: Option<Uuid>,
    /// What else belongs to it: a small JSON object, and nothing personal. Empty without any.
    pub detail: Value,
    /// Names the request, as answers and logs do.
    pub request: Option<String>,
}

impl NewEntry {
    /// Something that was done, and by whom.
    pub fn new(action: Action, actor: Actor) -> Self {
        Self {
            action,
            actor,
            role: None,
            image: None,
            site: None,
            subject: None,
            detail: Value::Object(serde_json::Map::new()),
            request: None,
        }
    }

    /// As the entry after `last`.
    pub fn seal(&self, last: Checkpoint, at: Stamp) -> Entry {
        let mut entry = Entry {
            v: canonical::VERSION,
            number: last.number.saturating_add(1),
            at,
            action: self.action.as_str().into(),
            actor_kind: self.actor.kind.as_str().into(),
            actor_id: self.actor.id,
            actor: self.actor.name.clone(),
            role: self.role.map(|role| role.as_str().into()),
            image: self.image.map(|image| image.0),
            site: self.site.as_ref().map(|site| site.as_str().into()),
            subject: self.subject,
            detail: self.detail.to_string(),
            request: self.request.clone(),
            previous: last.hash,
            hash: Digest::ZERO,
        };
        entry.hash = canonical::hash(&entry);
        entry
    }
}

/// What was recorded, as it is stored: words that another release wrote are kept, since the hash is of them. Its serde
/// form is a line of an export. `Debug` leaves out the name and the detail.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The version of the form that the hash is of.
    pub v: u32,
    /// Its number: 1 for the first, and no gaps.
    pub number: u64,
    /// When it was recorded, by the clock of the process that did, in microseconds since 1970, UTC. Clocks differ:
    /// the order is that of the numbers.
    pub at: Stamp,
    /// What was done: the word of an [`Action`].
    pub action: String,
    /// The word of an [`ActorKind`].
    pub actor_kind: String,
    /// The account or the token.
    pub actor_id: Option<Uuid>,
    /// The name of whoever did it.
    pub actor: String,
    /// The word of the role in which it was done.
    pub role: Option<String>,
    /// About which image.
    pub image: Option<Uuid>,
    /// At which site.
    pub site: Option<String>,
    /// About which account or token.
    pub subject: Option<Uuid>,
    /// What else belongs to it: the text of a JSON object. Text, so that a program that reads and writes a line again
    /// cannot change what the hash is of.
    pub detail: String,
    /// Names the request.
    pub request: Option<String>,
    /// The hash of the entry before it; zeros for the first.
    pub previous: Digest,
    /// The hash of all the above.
    pub hash: Digest,
}

impl Entry {
    /// What a verification of what follows begins with.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { number: self.number, hash: self.hash }
    }

    /// The detail as JSON; null where it is none.
    pub fn detail(&self) -> Value {
        serde_json::from_str(&self.detail).unwrap_or_default()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Entry");
        debug.field("number", &self.number).field("action", &self.action).field("hash", &self.hash);
        debug.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_details_never_reach_debug_output() {
        let who = Who::Person { id: Uuid::from_u128(7), name: "Dr Doe".into() };
        let mut new = NewEntry::new(Action::Viewed, Actor::from(&who));
        new.detail = serde_json::json!({ "note": "Mrs Roe" });
        let entry = new.seal(Checkpoint::START, Stamp(1));
        assert!(!format!("{:?} {entry:?}", new.actor).contains("oe"), "{entry:?}");
    }

    #[test]
    fn an_actor_is_who_asks() {
        let id = Uuid::from_u128(7);
        let machine = Actor::from(&Who::Machine { id, name: "uploader".into() });
        assert_eq!(
            (machine.kind, machine.id, &*machine.name),
            (ActorKind::Machine, Some(id), "uploader")
        );
        let local = Actor::from(&Who::Local);
        assert_eq!((local.kind, local.id, &*local.name), (ActorKind::Local, None, "local"));
    }

    #[test]
    fn a_line_of_an_export_reads_back_as_the_same_entry() {
        let mut new = NewEntry::new(Action::Inferred, Actor::system());
        new.detail = serde_json::json!({ "score": 1e-7, "flagged": false, "text": "\u{e4}\"\n" });
        new.image = Some(ImageId(Uuid::from_u128(3)));
        let entry = new.seal(Checkpoint { number: 41, hash: Digest::of(b"x") }, Stamp(5));
        let line = serde_json::to_string(&entry).expect("JSON");
        assert!(!line.contains('\n'));
        // As another program reads and writes it.
        let again: Value = serde_json::from_str(&line).expect("JSON");
        let read: Entry = serde_json::from_value(again).expect("an entry");
        assert_eq!((&read, canonical::hash(&read)), (&entry, entry.hash));
        assert_eq!(read.detail(), new.detail);
    }
}
