//! Readiness of the process: one named check per dependency or role, set by its owner.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// All checks of the process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>);

/// One part's check. Not ready until it says so.
#[derive(Clone, Debug)]
pub struct Check {
    all: Readiness,
    name: &'static str,
}

impl Readiness {
    /// Adds a check that has not passed yet.
    pub fn check(&self, name: &'static str) -> Check {
        let check = Check { all: self.clone(), name };
        check.fail("starting");
        check
    }

    /// Makes the process unready for good: it is stopping.
    pub fn stopping(&self) {
        self.set("shutdown", Err("the process is stopping".into()));
    }

    /// Every check by name, with what is wrong.
    pub fn checks(&self) -> BTreeMap<&'static str, Result<(), String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether every check passes.
    pub fn is_ready(&self) -> bool {
        self.checks().values().all(Result::is_ok)
    }

    fn set(&self, name: &'static str, state: Result<(), String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, state);
    }
}

impl Check {
    /// The part can work.
    pub fn pass(&self) {
        self.all.set(self.name, Ok(()));
    }

    /// The part cannot work, and why, in words without personal data.
    pub fn fail(&self, why: impl Into<String>) {
        self.all.set(self.name, Err(why.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_every_part_said_so_and_until_it_stops() {
        let readiness = Readiness::default();
        let (engine, store) = (readiness.check("engine"), readiness.check("store"));
        engine.pass();
        assert!(!readiness.is_ready());
        store.pass();
        assert!(readiness.is_ready());
        readiness.stopping();
        assert!(!readiness.is_ready());
    }
}
