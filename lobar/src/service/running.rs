//! Running roles: start, supervision, stop.

use std::future::Future;
use std::time::Duration;

use lobar_consumer::beating;
use lobar_core::liveness::{LOOP_SILENCE, Liveness, Pulse};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// How often readiness is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Running roles and what stops them.
#[derive(Default)]
pub struct Running {
    /// Who is told that the roles go round.
    liveness: Liveness,
    roles: JoinSet<(&'static str, Result<(), Failure>)>,
    last: JoinSet<(&'static str, Result<(), Failure>)>,
    /// No new work; streams close.
    pub receiving: CancellationToken,
    /// The drain is over: give back what is left.
    pub abort: CancellationToken,
    /// Everybody else is gone.
    pub closing: CancellationToken,
}

impl Running {
    /// None yet. Each will have a pulse in `liveness`.
    pub fn new(liveness: Liveness) -> Self {
        Self { liveness, ..Self::default() }
    }

    fn pulse(&self, name: &'static str) -> Pulse {
        let pulse = Pulse::new(LOOP_SILENCE);
        self.liveness.watch(name, pulse.clone());
        pulse
    }

    /// Runs a role.
    pub fn start(
        &mut self,
        name: &'static str,
        role: impl Future<Output = Result<(), Failure>> + Send + 'static,
    ) {
        let role = beating(self.pulse(name), role);
        self.roles.spawn(async move { (name, role.await) });
    }

    /// Runs what the roles depend on; it is stopped after them, by `closing`.
    pub fn start_last(
        &mut self,
        name: &'static str,
        role: impl Future<Output = Result<(), Failure>> + Send + 'static,
    ) {
        let role = beating(self.pulse(name), role);
        self.last.spawn(async move { (name, role.await) });
    }

    /// Keeps a readiness check at what `state` says.
    pub fn watch(
        &mut self,
        check: lobar_api::Check,
        state: impl Fn() -> Result<(), String> + Send + 'static,
    ) {
        let closing = self.closing.clone();
        self.start_last("readiness", async move {
            while !closing.is_cancelled() {
                match state() {
                    Ok(()) => check.pass(),
                    Err(why) => check.fail(why),
                }
                let _ = tokio::time::timeout(LOOK_EVERY, closing.cancelled()).await;
            }
            Ok(())
        });
    }

    /// Waits until any of them ends, which none should before it is told to.
    pub async fn first_end(&mut self) -> Failure {
        let ended = tokio::select! {
            Some(ended) = self.roles.join_next() => ended,
            Some(ended) = self.last.join_next() => ended,
            else => return Failure::failed("no role is running"),
        };
        match ended {
            Ok((name, Err(failure))) => Failure::failed(format!("{name}: {failure}")),
            Ok((name, Ok(()))) => Failure::failed(format!("{name} ended without being told to")),
            Err(panicked) => Failure::failed(format!("a role panicked: {panicked}")),
        }
    }

    /// Stops all: what is in flight gets `drain` to complete.
    pub async fn stop(&mut self, drain: Duration, grace: Duration) -> Result<(), Failure> {
        self.receiving.cancel();
        let mut outcome = Ok(());
        if tokio::time::timeout(drain, join(&mut self.roles, &mut outcome)).await.is_err() {
            tracing::warn!("drain time over: releasing the work that is left");
            self.abort.cancel();
            if tokio::time::timeout(grace, join(&mut self.roles, &mut outcome)).await.is_err() {
                tracing::warn!("a role did not stop in time: left behind; its leases will expire");
                self.roles.abort_all();
            }
        }
        self.closing.cancel();
        if tokio::time::timeout(grace, join(&mut self.last, &mut outcome)).await.is_err() {
            self.last.abort_all();
        }
        outcome
    }
}

async fn join(
    roles: &mut JoinSet<(&'static str, Result<(), Failure>)>,
    outcome: &mut Result<(), Failure>,
) {
    while let Some(ended) = roles.join_next().await {
        match ended {
            Ok((name, Err(failure))) => {
                *outcome = Err(Failure::failed(format!("{name}: {failure}")));
            }
            Ok((_, Ok(()))) => {}
            Err(panicked) => {
                *outcome = Err(Failure::failed(format!("a role panicked: {panicked}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_others_depend_on_stops_after_them() {
        let mut running = Running::default();
        let (receiving, closing) = (running.receiving.clone(), running.closing.clone());
        let seen = closing.clone();
        running.start("worker", async move {
            receiving.cancelled().await;
            assert!(!seen.is_cancelled());
            Ok(())
        });
        running.start_last("s3", async move {
            closing.cancelled().await;
            Ok(())
        });
        let stopped = running.stop(Duration::from_millis(50), Duration::from_millis(20)).await;
        assert!(stopped.is_ok());
    }

    #[tokio::test]
    async fn a_role_that_does_not_finish_is_told_to_give_back_and_then_left() {
        let mut running = Running::default();
        let abort = running.abort.clone();
        running.start("worker", async move {
            abort.cancelled().await;
            Ok(())
        });
        running.start("stuck", std::future::pending());
        assert!(running.stop(Duration::from_millis(50), Duration::from_millis(20)).await.is_ok());
        assert!(running.abort.is_cancelled());
    }

    #[tokio::test]
    async fn a_role_that_ends_early_is_named() {
        let mut running = Running::default();
        running.start("worker", async { Err(Failure::failed("the device is lost")) });
        let failure = running.first_end().await.to_string();
        assert!(failure.contains("worker") && failure.contains("device is lost"), "{failure}");
    }
}
