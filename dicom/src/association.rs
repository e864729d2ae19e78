//! One association, from its request to its end.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dicom_ul::pdu::{AbortRQServiceProviderReason as Reason, Pdu};
use lobar_core::commitment::DueReport;
use tokio::time::timeout;

use crate::Origin;
use crate::command::{Command, field};
use crate::commitment;
use crate::data_set::Asked;
use crate::message::{End, Messages};
use crate::metrics::{CommitmentOutcome, Outcome};
use crate::negotiation::{Agreed, Context, Rejection, Service, agree};
use crate::pdu::{self, Connection, Lengths, ReadError};
use crate::recording::Tally;
use crate::reports;
use crate::room::Share;
use crate::server::Shared;
use crate::server::admission::Waiting;
use crate::storing::{self, Received};
use crate::tables::Status;

/// After how many instances, and after how long, what was stored is recorded although the association goes on.
const RECORDED_AFTER: (u64, Duration) = (100, Duration::from_secs(60));

/// Serves a connection until it is over. It counts among those that wait for as long as it is no association.
pub(crate) async fn serve(
    mut connection: Box<dyn Connection>,
    origin: Origin,
    shared: Arc<Shared>,
    waiting: Waiting,
) {
    let from = origin.address;
    let Some(request) = requested(&mut *connection, &shared, &waiting).await else { return };
    let Pdu::AssociationRQ(request) = request else { return };
    let limits = &shared.limits;
    let Some(agreed) = agree(&request, origin, &shared.terms) else {
        shared.metrics.association(Outcome::Failed);
        tracing::info!(address = %from, "an association was aborted: its presentation contexts have no valid ids");
        let aborted = pdu::abort(&mut *connection, Reason::InvalidPduParameter, limits.artim);
        return waiting.unless_it_gives_way(aborted).await;
    };
    let stopping = shared.stop.receiving.is_cancelled().then_some(Rejection::Stopping);
    let agreed = agreed.and_then(|it| stopping.map_or(Ok(it), Err));
    let entered = agreed.and_then(|agreed| {
        let slot = shared.admission.enter(&agreed.peer.title, from).ok_or(Rejection::Full)?;
        Ok((agreed, slot))
    });
    let (agreed, slot) = match entered {
        Ok(entered) => entered,
        Err(rejection) => return reject(connection, from, rejection, &shared, waiting).await,
    };
    drop(waiting);
    shared.metrics.association(Outcome::Accepted);
    let answer = Pdu::AssociationAC(agreed.answer.clone());
    if pdu::write(&mut *connection, &answer, limits.write).await.is_err() {
        return;
    }
    let ids = agreed.contexts.iter().map(|one| one.id).collect();
    let messages = Messages::new(connection, ids, Arc::clone(limits), agreed.send_limit);
    let share = shared.room.share(&agreed.peer.title, from);
    let recorded = Instant::now();
    let (shared_, tally) = (Arc::clone(&shared), Tally::default());
    let mut association =
        Association { messages, agreed, origin, share, shared: shared_, tally, recorded };
    let end = association.run().await;
    let Association { messages, agreed, tally, .. } = association;
    let title = agreed.peer.title.as_str();
    match &end {
        End::Released => tracing::debug!(ae_title = title, "an association was released"),
        End::Invalid(why, _) => {
            tracing::warn!(ae_title = title, address = %from, error = why, "an association was aborted: the peer does not keep to the standard");
        }
        End::Silent => {
            tracing::info!(ae_title = title, "an association was aborted: the peer was silent")
        }
        End::Aborted | End::Closed | End::Stopping => {
            tracing::debug!(ae_title = title, "an association ended without being released");
        }
    }
    drop(slot);
    // Closing takes its time: it counts among the connections that ask for nothing.
    let waiting = shared.admission.wait();
    let closed = waiting.unless_it_gives_way(messages.end(&end));
    futures::join!(closed, shared.recorder.received(&agreed.peer, tally));
}

/// The A-ASSOCIATE-RQ. `None` where none came: the connection is closed then.
async fn requested(
    connection: &mut dyn Connection,
    shared: &Shared,
    waiting: &Waiting,
) -> Option<Pdu> {
    let limits = &shared.limits;
    // An association comes first: nothing else is that long.
    let lengths = Lengths { associate: limits.request_bytes, data: 0 };
    let read = timeout(limits.artim, pdu::read(connection, lengths, limits.artim));
    let read = tokio::select! {
        read = read => read.unwrap_or(Err(ReadError::Silent)),
        () = waiting.gives_way() => Err(ReadError::Silent),
        () = shared.stop.receiving.cancelled() => Err(ReadError::Silent),
    };
    let reason = match read {
        Ok(request @ Pdu::AssociationRQ(_)) => return Some(request),
        Ok(Pdu::AbortRQ { .. }) | Err(ReadError::Closed | ReadError::Silent) => None,
        Ok(_) => Some(Reason::UnexpectedPdu),
        Err(ReadError::Invalid { reason, .. }) => Some(reason),
    };
    shared.metrics.association(Outcome::Failed);
    if let Some(reason) = reason {
        waiting.unless_it_gives_way(pdu::abort(connection, reason, limits.artim)).await;
    }
    None
}

async fn reject(
    mut connection: Box<dyn Connection>,
    from: IpAddr,
    rejection: Rejection,
    shared: &Shared,
    waiting: Waiting,
) {
    let full = matches!(rejection, Rejection::Full | Rejection::Stopping);
    shared.metrics.association(if full { Outcome::Full } else { Outcome::Refused });
    let reason = rejection.word();
    let limits = &shared.limits;
    let told = async {
        let answer = Pdu::AssociationRJ(rejection.pdu());
        let _ = pdu::write(&mut *connection, &answer, limits.write).await;
        pdu::close(&mut *connection, limits.artim).await;
    };
    waiting.unless_it_gives_way(told).await;
    drop((connection, waiting));
    // The peer does not wait for the database.
    if shared.recorder.is_due() {
        tracing::warn!(address = %from, reason, "an association was rejected");
        shared.recorder.refused(reason).await;
    }
}

struct Association {
    messages: Messages,
    agreed: Agreed,
    /// Where it comes from.
    origin: Origin,
    shared: Arc<Shared>,
    /// Memory for what the peer sends.
    share: Share,
    /// What was stored since it was recorded last.
    tally: Tally,
    recorded: Instant,
}

impl Association {
    async fn run(&mut self) -> End {
        loop {
            if let Err(end) = self.serve_one().await {
                return end;
            }
        }
    }

    async fn serve_one(&mut self) -> Result<(), End> {
        let stop = self.shared.stop.receiving.clone();
        let (id, command) = self.messages.command(&stop).await?;
        let found = self.agreed.contexts.iter().find(|one| one.id == id).cloned();
        let Some(context) = found else {
            let why = "a presentation context that was not accepted";
            return Err(End::Invalid(why, Reason::UnexpectedPduParameter));
        };
        match (command.field, context.service) {
            (field::ECHO, Service::Verification) => self.echo(&context, &command).await,
            (field::STORE, Service::Storage) => self.store(&context, &command).await,
            (field::ACTION, Service::Commitment) => self.commit(&context, &command).await,
            // Nothing is under way that could be cancelled, and what answers a report needs no answer.
            (field::CANCEL, _) => Ok(()),
            _ if command.is_response() => self.pass_data(id, &command).await,
            _ => {
                self.pass_data(id, &command).await?;
                let answer = command.answer(Status::UNRECOGNISED.code);
                self.messages.send(id, &answer, None).await
            }
        }
    }

    async fn pass_data(&mut self, id: u8, command: &Command) -> Result<(), End> {
        match command.has_data {
            true => self.messages.data(id, |_| ()).await,
            false => Ok(()),
        }
    }

    async fn echo(&mut self, context: &Context, command: &Command) -> Result<(), End> {
        self.pass_data(context.id, command).await?;
        let answer = command.answer(Status::SUCCESS.code);
        self.messages.send(context.id, &answer, None).await
    }

    async fn store(&mut self, context: &Context, command: &Command) -> Result<(), End> {
        let began = Instant::now();
        let longest = self.shared.limits.instance_bytes;
        let mut received = Received::begin(longest, &self.share, context, command);
        if command.has_data {
            self.messages.data(context.id, |bytes| received.add(bytes)).await?;
        }
        let bytes = received.length;
        let ended = storing::store(&self.shared, &self.agreed.peer, received);
        let stored = tokio::select! {
            stored = ended => stored,
            // The drain is over: what the bucket does not have yet, the modality sends again.
            () = self.shared.stop.abort.cancelled() => {
                self.tally.others += 1;
                return Err(End::Stopping);
            }
        };
        let status = stored.status;
        if status == Status::SUCCESS {
            self.tally.stored += 1;
        } else {
            self.tally.others += u64::from(stored.is_handed_over);
        }
        self.shared.metrics.stored(status, bytes, began.elapsed());
        self.messages.send(context.id, &command.answer(status.code), None).await?;
        self.record().await;
        Ok(())
    }

    /// Records what was stored, if it is much or long ago: an association may go on for days.
    async fn record(&mut self) {
        let (instances, time) = RECORDED_AFTER;
        if self.tally.all() >= instances || self.recorded.elapsed() >= time {
            let tally = std::mem::take(&mut self.tally);
            self.recorded = Instant::now();
            self.shared.recorder.received(&self.agreed.peer, tally).await;
        }
    }

    async fn commit(&mut self, context: &Context, command: &Command) -> Result<(), End> {
        let mut data = Some(Vec::new());
        let longest = self.shared.limits.request_data_bytes;
        if command.has_data {
            let keep = |bytes: &[u8]| {
                data = data.take().filter(|kept| kept.len() + bytes.len() <= longest);
                if let Some(kept) = &mut data {
                    kept.extend_from_slice(bytes);
                }
            };
            self.messages.data(context.id, keep).await?;
        }
        let shared = Arc::clone(&self.shared);
        let asked = commitment::read(&shared, context, command, data.as_deref());
        // A report that may come later is promised only when it is sure to be sent.
        let kept = match asked {
            Err(status) => Err(status),
            Ok(asked) if self.agreed.peer.address.is_none() => Ok(Kept::Here(asked)),
            Ok(asked) => {
                let kept = shared.reports.keep(&shared.limits, &self.agreed, self.origin, asked);
                kept.await.map(Kept::InStore)
            }
        };
        let status = kept.as_ref().map_or_else(|status| *status, |_| Status::SUCCESS);
        let answered = self.messages.send(context.id, &command.answer(status.code), None).await;
        let asked = match kept {
            Err(_) => return answered,
            Ok(Kept::InStore(due)) => {
                reports::send_later(&shared, due);
                return answered;
            }
            Ok(Kept::Here(asked)) => asked,
        };
        answered?;
        let site = &self.agreed.peer.site;
        let report = commitment::examine(&shared, site, asked.transaction, asked.references).await;
        let event = report.command(command.message);
        let data = report.data(context.syntax);
        let sent = self.messages.send(context.id, &event, data.as_deref()).await;
        let unreported = |_: &End| CommitmentOutcome::Unreported;
        shared.metrics.committed(sent.as_ref().err().map_or(report.outcome(), unreported));
        sent
    }
}

/// A request for storage commitment that is answered with success.
enum Kept {
    /// Its report comes on an association of its own.
    InStore(DueReport),
    /// Its report comes on this association.
    Here(Asked),
}
