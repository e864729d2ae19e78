//! Readiness of the process: one named check per dependency or role, set by its owner. With it goes its liveness, since
//! checks that nobody can renew any more say nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use lobar_core::liveness::Liveness;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

/// The check that tells of loops that stand still.
const LIVE: &str = "live";

/// All checks of the process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    checks: Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>,
    liveness: Liveness,
}

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

    /// The loops of the process.
    pub fn liveness(&self) -> &Liveness {
        &self.liveness
    }

    /// Every check by name, with what is wrong.
    pub fn checks(&self) -> BTreeMap<&'static str, Result<(), String>> {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stopped = self.liveness.stopped();
        let live = match stopped.is_empty() {
            true => Ok(()),
            false => Err(stopped
                .iter()
                .map(|(name, silent)| format!("{name} has stood still for {} s", silent.as_secs()))
                .collect::<Vec<_>>()
                .join(", ")),
        };
        checks.insert(LIVE, live);
        checks
    }

    /// Whether every check passes.
    pub fn is_ready(&self) -> bool {
        self.checks().values().all(Result::is_ok)
    }

    fn set(&self, name: &'static str, state: Result<(), String>) {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).insert(name, state);
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

/// The checks as a gauge: what `/readyz` would answer at the moment of the scrape.
#[derive(Clone)]
pub struct ReadyGauge {
    readiness: Readiness,
    checks: IntGaugeVec,
}

impl ReadyGauge {
    /// A collector of the checks of `readiness`, to be registered.
    ///
    /// # Errors
    /// Never: its name is one that is allowed.
    pub fn new(readiness: Readiness) -> prometheus::Result<Self> {
        let options = Opts::new(
            "lobar_ready",
            "Whether a check of /readyz passes: 1, or 0. The process is ready when all do.",
        );
        Ok(Self { readiness, checks: IntGaugeVec::new(options, &["check"])? })
    }
}

impl Collector for ReadyGauge {
    fn desc(&self) -> Vec<&Desc> {
        self.checks.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for (name, state) in self.readiness.checks() {
            self.checks.with_label_values(&[name]).set(i64::from(state.is_ok()));
        }
        self.checks.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lobar_core::liveness::Pulse;
    use prometheus::Registry;

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

    #[test]
    fn a_process_whose_loops_stand_still_is_not_ready_whatever_its_checks_said_last() {
        let readiness = Readiness::default();
        readiness.check("store").pass();
        let pulse = Pulse::new(Duration::ZERO);
        readiness.liveness().watch("ingest", pulse.clone());
        assert!(readiness.is_ready());
        pulse.beat();
        while pulse.stopped_for().is_none() {
            std::thread::yield_now();
        }
        assert!(!readiness.is_ready());
        let checks = readiness.checks();
        let why = checks[LIVE].as_ref().expect_err("it stands still");
        assert!(why.contains("ingest"), "{why}");
    }

    #[test]
    fn each_check_is_a_gauge_of_the_moment() {
        let readiness = Readiness::default();
        let registry = Registry::new();
        let gauge = ReadyGauge::new(readiness.clone()).expect("a metric");
        registry.register(Box::new(gauge)).expect("registered");
        let store = readiness.check("store");
        let shown = |check: &str| {
            let families = registry.gather();
            let series = families[0].get_metric().iter();
            let of = |one: &prometheus::proto::Metric| one.get_label()[0].value() == check;
            let found: Vec<f64> =
                series.filter(|one| of(one)).map(|one| one.get_gauge().get_value()).collect();
            found
        };
        assert_eq!((shown("store"), shown("live")), (vec![0.0], vec![1.0]));
        store.pass();
        assert_eq!(shown("store"), [1.0]);
        store.fail("away");
        assert_eq!(shown("store"), [0.0]);
    }
}
