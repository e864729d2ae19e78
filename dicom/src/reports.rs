//! Reports on storage commitment that go out on associations of their own. What a peer asks is kept in the store before it is
//! answered; whichever process of this role comes first sends the report, and tries again after growing pauses until the peer
//! takes it, or it is given up. Lobar calls by the title by which it was called, since it is the one that the peer knows.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::commitment::{
    CommitmentClaim, CommitmentRequest, CommitmentRoom, Commitments, DueReport, Requester,
};
use lobar_core::failure::{PortError, chain};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::commitment;
use crate::data_set::Asked;
use crate::metrics::CommitmentOutcome;
use crate::negotiation::{Agreed, Service};
use crate::scu::{self, CallError};
use crate::server::Shared;
use crate::tables::{COMMITMENT, Status};
use crate::{AeTitle, Fingerprint, Limits, Origin, Peer};

/// Pauses between tries to tell the store what became of a report.
const TELL_AGAIN: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5)];

/// Requests, and how many reports this process sends at once.
pub(crate) struct Reports {
    commitments: Arc<dyn Commitments>,
    /// Who sends a report has a permit.
    sending: Arc<Semaphore>,
    room: CommitmentRoom,
    lease: Duration,
}

impl Reports {
    pub(crate) fn new(commitments: Arc<dyn Commitments>, limits: &Limits) -> Self {
        Self {
            commitments,
            sending: Arc::new(Semaphore::new(limits.reports_at_once)),
            room: CommitmentRoom { all: limits.reports, of_one: limits.reports_per_peer },
            lease: limits.report_lease,
        }
    }

    /// Keeps a request; what it is answered instead where that cannot be.
    pub(crate) async fn keep(
        &self,
        limits: &Limits,
        agreed: &Agreed,
        origin: Origin,
        asked: Asked,
    ) -> Result<DueReport, Status> {
        let request = CommitmentRequest {
            requester: Requester {
                site: agreed.peer.site.clone(),
                title: agreed.peer.title.to_string(),
                called: agreed.called.to_string(),
                host: origin.address.to_canonical(),
                certificate: origin.certificate.map(Fingerprint::bytes),
            },
            transaction: asked.transaction,
            references: asked.references,
        };
        let kept = self.commitments.keep(&request, self.room, self.lease);
        match timeout(limits.storing, kept).await {
            Ok(Ok(Some(due))) => Ok(due),
            Ok(Ok(None)) => Err(Status::RESOURCE_LIMITATION),
            Ok(Err(error)) => {
                tracing::warn!(
                    error = chain(&error),
                    "a request for storage commitment was not kept; the peer is told so"
                );
                Err(Status::PROCESSING_FAILURE)
            }
            Err(_) => {
                let limit = limits.storing.as_secs_f64();
                tracing::warn!(
                    "a request for storage commitment was not kept within {limit} s; the peer is told so"
                );
                Err(Status::PROCESSING_FAILURE)
            }
        }
    }

    /// Holds a request on; returns when it is held no more.
    async fn hold(&self, claim: CommitmentClaim) {
        let mut held = Instant::now();
        loop {
            tokio::time::sleep(self.lease / 3).await;
            match self.commitments.extend(claim, self.lease).await {
                Ok(true) => held = Instant::now(),
                Ok(false) => return,
                // It may be another's by now.
                Err(_) if held.elapsed() >= self.lease => return,
                Err(_) => {}
            }
        }
    }

    /// Tells the store what became of a report. Where that cannot be the lease lapses, and the report is sent once more.
    async fn tell(&self, claim: CommitmentClaim, then: Then) {
        let mut pauses = TELL_AGAIN.iter();
        loop {
            let told: Result<bool, PortError> = match then {
                Then::Finish => self.commitments.finish(claim).await,
                Then::GiveUp => self.commitments.give_up(claim).await,
                Then::Again { after, tried } => {
                    self.commitments.put_back(claim, after, tried).await
                }
            };
            let Err(error) = told else { return };
            let Some(pause) = pauses.next() else {
                tracing::warn!(
                    error = chain(&error),
                    "what became of a report on storage commitment was not noted; it is sent again"
                );
                return;
            };
            tokio::time::sleep(*pause).await;
        }
    }
}

/// What is done with a request.
#[derive(Clone, Copy)]
enum Then {
    Finish,
    GiveUp,
    Again { after: Duration, tried: bool },
}

/// Sends reports that are due, whoever kept their requests, until no new association is taken.
pub(crate) async fn send_due(shared: Arc<Shared>) {
    let stop = shared.stop.receiving.clone();
    let mut is_away = false;
    loop {
        let pause = tokio::time::sleep(shared.limits.report_look);
        if stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
        let free = shared.reports.sending.available_permits();
        if free == 0 {
            continue;
        }
        // In whole: what was claimed and not heard of would have to lapse.
        match shared.reports.commitments.claim(shared.reports.lease, free).await {
            Ok(due) => {
                is_away = false;
                due.into_iter().for_each(|due| send_later(&shared, due));
            }
            Err(error) => {
                if !std::mem::replace(&mut is_away, true) {
                    tracing::warn!(
                        error = chain(&error),
                        "reports on storage commitment wait: the store cannot be asked for them; trying on"
                    );
                }
            }
        }
    }
}

/// Sends the report of a request that is held.
pub(crate) fn send_later(shared: &Arc<Shared>, due: DueReport) {
    let permit = Arc::clone(&shared.reports.sending).try_acquire_owned();
    let shared_ = Arc::clone(shared);
    shared.tasks.spawn(async move {
        match permit {
            Ok(_permit) => report(&shared_, due).await,
            // As many as may be are on their way: it is due to whoever comes first.
            Err(_) => {
                let then = Then::Again { after: Duration::ZERO, tried: false };
                shared_.reports.tell(due.claim, then).await;
            }
        }
    });
}

/// What became of a try.
enum Tried {
    Taken(CommitmentOutcome),
    Failed(CallError),
    /// It names nothing any more.
    Erased,
    /// It is held by another, or nobody, by now.
    Lost,
    Stopping,
}

async fn report(shared: &Shared, due: DueReport) {
    let tried = tokio::select! {
        tried = Box::pin(attempt(shared, &due)) => tried,
        () = shared.reports.hold(due.claim) => Tried::Lost,
        () = shared.stop.abort.cancelled() => Tried::Stopping,
    };
    let title = due.request.requester.title.as_str();
    let then = match tried {
        Tried::Lost => return,
        Tried::Stopping => {
            tracing::info!(
                ae_title = title,
                "a report on storage commitment waits: this process stops; another one sends it, or the next"
            );
            Then::Again { after: Duration::ZERO, tried: false }
        }
        Tried::Taken(outcome) => {
            shared.metrics.committed(outcome);
            Then::Finish
        }
        Tried::Erased => {
            tracing::warn!(
                ae_title = title,
                "a report on storage commitment was given up: an image that it names was erased; the peer has to ask again"
            );
            shared.metrics.committed(CommitmentOutcome::Unreported);
            Then::GiveUp
        }
        Tried::Failed(error) => match pause(&shared.limits, &due) {
            Some(after) => {
                let again = after.as_secs_f64();
                tracing::info!(ae_title = title, %error, "a report on storage commitment was not taken; trying again in {again} s");
                Then::Again { after, tried: true }
            }
            None => {
                tracing::warn!(ae_title = title, %error, "a report on storage commitment was given up; the peer has to ask again");
                shared.metrics.committed(CommitmentOutcome::Unreported);
                Then::GiveUp
            }
        },
    };
    shared.reports.tell(due.claim, then).await;
}

/// How long to wait before the next try; `None` where this was the last. The last comes when the time is over, not before.
fn pause(limits: &Limits, due: &DueReport) -> Option<Duration> {
    let left = limits.report_for.checked_sub(due.age).filter(|left| !left.is_zero())?;
    let place = usize::try_from(due.tries).unwrap_or(usize::MAX);
    let pause = limits.report_again.get(place).or(limits.report_again.last());
    Some(pause.copied().unwrap_or(limits.report_for).min(left))
}

async fn attempt(shared: &Shared, due: &DueReport) -> Tried {
    let request = &due.request;
    if request.references.is_empty() {
        return Tried::Erased;
    }
    let Some((peer, called)) = peer(shared, &request.requester) else {
        return Tried::Failed(CallError::NotListed);
    };
    // What is true now, and not when it was tried before.
    let (transaction, references) = (request.transaction.clone(), request.references.clone());
    let examined = commitment::examine(shared, &peer.site, transaction, references);
    let Some(report) = shared.stop.receiving.run_until_cancelled(Box::pin(examined)).await else {
        return Tried::Stopping;
    };
    // Said only when there is no time left to ask once more.
    if !report.is_known() && pause(&shared.limits, due).is_some() {
        return Tried::Failed(CallError::Unknown);
    }
    let wanted = scu::Wanted { service: Service::Commitment, uid: COMMITMENT.uid, as_scp: true };
    let (tls, limits) = (shared.tls.as_deref(), &shared.limits);
    let (mut messages, syntax) = match scu::associate(&peer, &called, wanted, tls, limits).await {
        Ok(there) => there,
        Err(error) => return Tried::Failed(error),
    };
    // Asked when the peer is there to be told: an image that is erased while it is called ends the claim.
    let extended = shared.reports.commitments.extend(due.claim, shared.reports.lease).await;
    let tried = match extended {
        Ok(true) => {
            let (command, data) = (report.command(1), report.data(syntax));
            match scu::ask(&mut messages, &command, data.as_deref(), limits).await {
                Ok(()) => Tried::Taken(report.outcome()),
                Err(error) => Tried::Failed(error),
            }
        }
        Ok(false) => Tried::Lost,
        Err(error) => Tried::Failed(CallError::Store(chain(&error))),
    };
    messages.release().await;
    tried
}

/// Who asked, as they stand in the list now: their address may have been mended since. Nobody where they may come no more, or to
/// another site.
fn peer(shared: &Shared, requester: &Requester) -> Option<(Peer, AeTitle)> {
    let title: AeTitle = requester.title.parse().ok()?;
    let certificate = requester.certificate.map(Fingerprint::from_bytes);
    let found = shared.terms.peers.find(&title, Origin { address: requester.host, certificate });
    let peer = found.filter(|peer| peer.site == requester.site)?;
    Some((peer, requester.called.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use lobar_core::access::SiteName;
    use lobar_core::study::Uid;
    use uuid::Uuid;

    use super::*;

    fn due(age: Duration, tries: u32) -> DueReport {
        let requester = Requester {
            site: SiteName::parse("north").expect("a name"),
            title: "CR1".into(),
            called: "LOBAR".into(),
            host: "10.0.0.5".parse().expect("an address"),
            certificate: None,
        };
        let transaction = Uid::parse("1.2").expect("a UID");
        DueReport {
            claim: CommitmentClaim { id: Uuid::nil(), fence: 1 },
            request: CommitmentRequest { requester, transaction, references: Vec::new() },
            age,
            tries,
        }
    }

    #[test]
    fn pauses_grow_and_the_last_try_comes_when_a_day_is_over() {
        let limits = Limits::default();
        let (mut age, mut pauses) = (Duration::ZERO, Vec::new());
        while let Some(next) = pause(&limits, &due(age, u32::try_from(pauses.len()).unwrap())) {
            age += next;
            pauses.push(next);
        }
        assert!(age >= Duration::from_secs(24 * 60 * 60), "{age:?}");
        let all_but_the_last = &pauses[..pauses.len() - 1];
        assert!(all_but_the_last.is_sorted() && pauses.len() > 20, "{pauses:?}");
        assert_eq!(pauses[..limits.report_again.len()], limits.report_again);
    }
}
