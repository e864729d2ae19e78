//! One association, from its request to its end.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use dicom_ul::pdu::{AbortRQServiceProviderReason as Reason, Pdu};
use tokio::time::timeout;

use crate::command::{Command, field};
use crate::commitment;
use crate::message::{End, Messages};
use crate::metrics::Outcome;
use crate::negotiation::{Agreed, Context, Rejection, Service, agree};
use crate::pdu::{self, Connection, Lengths, ReadError};
use crate::server::Shared;
use crate::server::admission::Waiting;
use crate::storing::{self, Received};
use crate::tables::Status;

/// Serves a connection until it is over.
pub(crate) async fn serve(
    mut connection: Box<dyn Connection>,
    from: IpAddr,
    shared: Arc<Shared>,
    waiting: Waiting,
) {
    let Some(request) = requested(&mut *connection, &shared, &waiting).await else { return };
    drop(waiting);
    let Pdu::AssociationRQ(request) = request else { return };
    let limits = &shared.limits;
    let Some(agreed) = agree(&request, from, &shared.terms) else {
        shared.metrics.association(Outcome::Failed);
        tracing::info!(address = %from, "an association was aborted: its presentation contexts have no valid ids");
        pdu::abort(&mut *connection, Reason::InvalidPduParameter, limits.artim).await;
        return;
    };
    let stopping = shared.stop.receiving.is_cancelled().then_some(Rejection::Stopping);
    let agreed = agreed.and_then(|it| stopping.map_or(Ok(it), Err));
    let entered = agreed.and_then(|agreed| {
        let slot = shared.admission.enter(&agreed.peer.title, from).ok_or(Rejection::Full)?;
        Ok((agreed, slot))
    });
    let (agreed, slot) = match entered {
        Ok(entered) => entered,
        Err(rejection) => return reject(connection, from, rejection, &shared).await,
    };
    shared.metrics.association(Outcome::Accepted);
    let answer = Pdu::AssociationAC(agreed.answer.clone());
    if pdu::write(&mut *connection, &answer, limits.write).await.is_err() {
        return;
    }
    let ids = agreed.contexts.iter().map(|one| one.id).collect();
    let messages = Messages::new(connection, ids, Arc::clone(limits), agreed.send_limit);
    let mut association = Association { messages, agreed, shared: Arc::clone(&shared), stored: 0 };
    let end = association.run().await;
    let Association { messages, agreed, stored, .. } = association;
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
    messages.end(&end).await;
    shared.recorder.received(&agreed.peer, stored).await;
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
        pdu::abort(connection, reason, limits.artim).await;
    }
    None
}

async fn reject(
    mut connection: Box<dyn Connection>,
    from: IpAddr,
    rejection: Rejection,
    shared: &Shared,
) {
    let full = matches!(rejection, Rejection::Full | Rejection::Stopping);
    shared.metrics.association(if full { Outcome::Full } else { Outcome::Refused });
    let reason = rejection.word();
    if shared.recorder.refused(reason).await {
        tracing::warn!(address = %from, reason, "an association was rejected");
    }
    let limits = &shared.limits;
    let _ = pdu::write(&mut *connection, &Pdu::AssociationRJ(rejection.pdu()), limits.write).await;
    pdu::close(&mut *connection, limits.artim.min(std::time::Duration::from_secs(2))).await;
}

struct Association {
    messages: Messages,
    agreed: Agreed,
    shared: Arc<Shared>,
    /// Instances that were made durable.
    stored: u64,
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
        let mut received = Received::begin(&self.shared, context, command);
        if command.has_data {
            self.messages.data(context.id, |bytes| received.add(bytes)).await?;
        }
        let bytes = received.length;
        let ended = storing::store(&self.shared, &self.agreed.peer, received);
        let status = tokio::select! {
            status = ended => status,
            // The drain is over: what the bucket does not have yet, the modality sends again.
            () = self.shared.stop.abort.cancelled() => return Err(End::Stopping),
        };
        self.stored += u64::from(status == Status::SUCCESS);
        self.shared.metrics.stored(status, bytes, began.elapsed());
        self.messages.send(context.id, &command.answer(status.code), None).await
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
        let asked = commitment::read(&self.shared, context, command, data).await;
        let status = asked.as_ref().map_or_else(|status| *status, |_| Status::SUCCESS);
        self.messages.send(context.id, &command.answer(status.code), None).await?;
        let Ok(request) = asked else { return Ok(()) };
        let peer = self.agreed.peer.clone();
        if peer.address.is_some() {
            commitment::report_later(Arc::clone(&self.shared), peer, request);
            return Ok(());
        }
        let report = commitment::examine(&self.shared, &peer, request).await;
        let event = report.command(command.message);
        let data = report.data(context.syntax);
        self.shared.metrics.committed(report.outcome());
        self.messages.send(context.id, &event, data.as_deref()).await
    }
}
