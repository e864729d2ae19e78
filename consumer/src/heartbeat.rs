//! Beats a pulse as long as a task is polled: a task that blocks its thread, or a runtime that stands still, does not
//! beat it. Waiting for a service that is away is no silence.

use std::time::Duration;

use lobar_core::liveness::Pulse;
use tokio::time::MissedTickBehavior;

/// How often a pulse is beaten.
const EVERY: Duration = Duration::from_secs(1);

/// Runs `task` and beats `pulse` meanwhile, from within the same task. When it ends or is dropped the pulse rests; when
/// it panics the pulse falls silent for good.
pub async fn beating<T>(pulse: Pulse, task: impl Future<Output = T>) -> T {
    let _end = Rest(pulse.clone());
    pulse.beat();
    let mut task = std::pin::pin!(task);
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            ended = &mut task => return ended,
            _ = ticks.tick() => pulse.beat(),
        }
    }
}

struct Rest(Pulse);

impl Drop for Rest {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.rest();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn silent(pulse: &Pulse) {
        let began = Instant::now();
        while pulse.stopped_for().is_none() {
            assert!(began.elapsed() < Duration::from_secs(60), "the silence is told of");
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn a_task_that_waits_beats_and_one_that_has_ended_rests() {
        let pulse = Pulse::new(Duration::ZERO);
        let waiting = beating(pulse.clone(), std::future::pending::<()>());
        let mut waiting = std::pin::pin!(waiting);
        assert!(still_waits(waiting.as_mut()).await);
        silent(&pulse);
        beating(pulse.clone(), async {}).await;
        assert_eq!(pulse.stopped_for(), None);
    }

    /// Polls once; whether it still waits.
    async fn still_waits(mut task: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(task.as_mut().poll(context).is_pending())
        })
        .await
    }

    #[test]
    fn a_task_that_panicked_is_silent_for_good() {
        let pulse = Pulse::new(Duration::ZERO);
        let doomed = pulse.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            let task = beating(doomed, async {
                tokio::task::yield_now().await;
                panic!("by the test")
            });
            runtime.expect("a runtime").block_on(task)
        });
        let _: Result<(), _> = thread.join().map(|()| unreachable!());
        silent(&pulse);
    }
}
