//! Errors put into calls on ports: what a port may answer besides being away.
//!
//! Every call of a wrapped port is counted by its name (`store.claim`, `jobs-stat.settle`), so that a test
//! can go through all that a role makes, without a list of its own.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lobar_core::failure::PortError;
use lobar_core::object::{ImageId, ObjectVersion};

/// An error that a call is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It will fail again in the same way.
    Permanent,
    /// Another process came between: it took the lease or the image, or undid the transaction.
    Conflict,
    /// A row or a message that cannot be read, or bytes that are none of an image.
    Unreadable,
    /// It is away for now.
    Transient,
}

impl Kind {
    /// Those that do not pass by themselves, or not without somebody's doing something.
    pub const FAULTS: [Kind; 3] = [Kind::Permanent, Kind::Conflict, Kind::Unreadable];

    /// The error of a port that has no other word for it.
    pub(super) fn error(self) -> PortError {
        match self {
            Kind::Permanent => PortError::permanent("test", "rejected"),
            Kind::Conflict => PortError::transient("test", "undone by another transaction"),
            Kind::Unreadable => PortError::permanent("test", "a stored word is not known"),
            Kind::Transient => PortError::transient("test", "away"),
        }
    }
}

/// Which calls of a name fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those about the victim, this many of them.
    Victim(u32),
    /// All, this many.
    All(u32),
}

/// Errors to be put into calls of one name.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which calls.
    pub call: String,
    /// With which error.
    pub kind: Kind,
    /// Which of them.
    pub scope: Scope,
}

/// How often a call was made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Calls.
    pub calls: u32,
    /// Whether it is about items, of which one may be the victim.
    pub has_items: bool,
}

#[derive(Debug, Default)]
struct State {
    counts: BTreeMap<String, Count>,
    victim: Option<ObjectVersion>,
    /// Plans, and how often each was carried out. Of one call's, the first that is not used up is due.
    plans: Vec<(Plan, u32)>,
}

/// What a call is answered with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// Where the port answers item by item: only the victim's.
    pub(super) only_victim: bool,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Injector(Mutex<State>);

impl Injector {
    /// From now on calls are counted, and fail as planned.
    pub fn plan(&self, victim: &ObjectVersion, plans: Vec<Plan>) {
        let plans = plans.into_iter().map(|plan| (plan, 0)).collect();
        *self.state() = State { victim: Some(victim.clone()), plans, ..State::default() };
    }

    /// The calls since the plan was made.
    pub fn counts(&self) -> BTreeMap<String, Count> {
        self.state().counts.clone()
    }

    /// How many calls were answered with an error of the last plan.
    pub fn injected(&self) -> u32 {
        self.state().plans.last().map_or(0, |(_, injected)| *injected)
    }

    /// Counts a call; what it is to be answered with. `about_victim` is `None` for calls that are about
    /// no item.
    pub(super) fn call(&self, name: &str, about_victim: Option<bool>) -> Option<Fault> {
        let mut state = self.state();
        let count = state.counts.entry(name.to_owned()).or_default();
        count.calls += 1;
        count.has_items |= about_victim.is_some();
        let fault = |plan: &Plan, injected: u32| {
            let (due, only_victim) = match plan.scope {
                Scope::Victim(most) => (about_victim == Some(true) && injected < most, true),
                Scope::All(most) => (injected < most, false),
            };
            due.then_some(Fault { kind: plan.kind, only_victim })
        };
        let mut plans = state.plans.iter_mut().filter(|(plan, _)| plan.call == name);
        plans.find_map(|(plan, injected)| {
            let fault = fault(plan, *injected)?;
            *injected += 1;
            Some(fault)
        })
    }

    /// Whether a received message is to be made unreadable.
    pub(super) fn garbles(&self, name: &str, body: &[u8]) -> bool {
        if !self.is_victims(body) {
            return false;
        }
        let mut state = self.state();
        let mut plans = state.plans.iter_mut().filter(|(plan, _)| {
            let about_victim = matches!(plan.scope, Scope::Victim(_));
            plan.call == name && plan.kind == Kind::Unreadable && about_victim
        });
        plans.next().is_some_and(|(_, injected)| {
            *injected += 1;
            true
        })
    }

    /// Whether this is the victim.
    pub(super) fn is_victim(&self, id: ImageId) -> bool {
        self.state().victim.as_ref().is_some_and(|victim| victim.id() == id)
    }

    /// Whether this is a message about the victim: a job names its image, a notification its key.
    pub(super) fn is_victims(&self, body: &[u8]) -> bool {
        let state = self.state();
        let Some(victim) = &state.victim else { return false };
        let body = String::from_utf8_lossy(body);
        body.contains(&victim.id().to_string()) || body.contains(&victim.key)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
