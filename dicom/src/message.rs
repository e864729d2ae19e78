//! Messages of an association (PS3.7, 6.3; PS3.8, annex E): commands and data sets in fragments, in any number of PDUs.

use std::collections::VecDeque;
use std::sync::Arc;

use dicom_ul::pdu::{
    AbortRQServiceProviderReason as Reason, PDataValue, PDataValueType as Kind, Pdu,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Limits;
use crate::command::Command;
use crate::pdu::{self, Connection, Lengths, ReadError};

/// How an association ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The peer released it.
    Released,
    /// The peer aborted it.
    Aborted,
    /// The connection broke.
    Closed,
    /// The peer was silent for too long, or did not take what was written to it.
    Silent,
    /// The peer sent what the standard does not allow.
    Invalid(&'static str, Reason),
    /// Lobar stops.
    Stopping,
}

impl From<ReadError> for End {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Closed => Self::Closed,
            ReadError::Silent => Self::Silent,
            ReadError::Invalid { why, reason } => Self::Invalid(why, reason),
        }
    }
}

/// The two directions of an association.
pub(crate) struct Messages {
    connection: Box<dyn Connection>,
    /// What of the last PDU was not taken yet.
    pending: VecDeque<PDataValue>,
    /// Presentation contexts that were accepted.
    contexts: Vec<u8>,
    limits: Arc<Limits>,
    /// Longest P-DATA-TF that the peer takes, in bytes.
    send_limit: usize,
}

impl Messages {
    pub(crate) fn new(
        connection: Box<dyn Connection>,
        contexts: Vec<u8>,
        limits: Arc<Limits>,
        send_limit: usize,
    ) -> Self {
        Self { connection, pending: VecDeque::new(), contexts, limits, send_limit }
    }

    /// The next command, and the presentation context that it came in. `stop` ends the wait for one.
    pub(crate) async fn command(&mut self, stop: &CancellationToken) -> Result<(u8, Command), End> {
        let first = stop.run_until_cancelled(self.value()).await;
        let mut value = first.ok_or(End::Stopping)??;
        let context = value.presentation_context_id;
        let mut bytes = Vec::new();
        loop {
            if value.value_type != Kind::Command || value.presentation_context_id != context {
                let why = "a data set, or another presentation context, within a command";
                return Err(End::Invalid(why, Reason::UnexpectedPdu));
            }
            if bytes.len() + value.data.len() > self.limits.command_bytes {
                return Err(End::Invalid(
                    "a command that is too long",
                    Reason::InvalidPduParameter,
                ));
            }
            bytes.extend(value.data);
            if value.is_last {
                break;
            }
            value = self.value().await?;
        }
        let malformed = End::Invalid("a command that cannot be read", Reason::InvalidPduParameter);
        Ok((context, Command::read(&bytes).ok_or(malformed)?))
    }

    /// The data set of the command that was read last, fragment by fragment. Who sends one more slowly than the limits have it
    /// is as good as silent: else a few could hold all memory for as long as they like.
    pub(crate) async fn data(
        &mut self,
        context: u8,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), End> {
        let least = self.limits.idle.as_millis() * u128::from(self.limits.bytes_per_second) / 1000;
        let (mut since, mut come) = (Instant::now(), 0);
        loop {
            let value = self.value().await?;
            come += value.data.len();
            if since.elapsed() >= self.limits.idle {
                if !value.is_last && (come as u128) < least {
                    return Err(End::Silent);
                }
                (since, come) = (Instant::now(), 0);
            }
            if value.value_type != Kind::Data || value.presentation_context_id != context {
                let why = "a command, or another presentation context, within a data set";
                return Err(End::Invalid(why, Reason::UnexpectedPdu));
            }
            take(&value.data);
            if value.is_last {
                return Ok(());
            }
        }
    }

    async fn value(&mut self) -> Result<PDataValue, End> {
        loop {
            if let Some(value) = self.pending.pop_front() {
                if !self.contexts.contains(&value.presentation_context_id) {
                    let why = "a presentation context that was not accepted";
                    return Err(End::Invalid(why, Reason::UnexpectedPduParameter));
                }
                return Ok(value);
            }
            let lengths =
                Lengths { associate: self.limits.request_bytes, data: self.limits.pdu_bytes };
            match pdu::read(&mut *self.connection, lengths, self.limits.idle).await? {
                Pdu::PData { data } => self.pending.extend(data),
                Pdu::ReleaseRQ => {
                    self.write(&Pdu::ReleaseRP).await?;
                    return Err(End::Released);
                }
                Pdu::AbortRQ { .. } => return Err(End::Aborted),
                _ => {
                    let why = "a PDU that has no place in an association";
                    return Err(End::Invalid(why, Reason::UnexpectedPdu));
                }
            }
        }
    }

    /// Sends a command and its data set.
    pub(crate) async fn send(
        &mut self,
        context: u8,
        command: &Command,
        data: Option<&[u8]>,
    ) -> Result<(), End> {
        self.send_part(context, Kind::Command, &command.write()).await?;
        match data {
            Some(data) => self.send_part(context, Kind::Data, data).await,
            None => Ok(()),
        }
    }

    async fn send_part(&mut self, context: u8, kind: Kind, bytes: &[u8]) -> Result<(), End> {
        /// Length, presentation context and control header of a value, in bytes.
        const HEADER: usize = 6;
        // Fragments have an even length (PS3.8, 9.3.1, note).
        let longest = (self.send_limit.saturating_sub(HEADER) & !1).max(1);
        let mut chunks = bytes.chunks(longest).peekable();
        while let Some(chunk) = chunks.next() {
            let value = PDataValue {
                presentation_context_id: context,
                value_type: kind.clone(),
                is_last: chunks.peek().is_none(),
                data: chunk.to_vec(),
            };
            self.write(&Pdu::PData { data: vec![value] }).await?;
        }
        Ok(())
    }

    async fn write(&mut self, pdu: &Pdu) -> Result<(), End> {
        let written = pdu::write(&mut *self.connection, pdu, self.limits.write).await;
        written.map_err(|error| match error.kind() {
            std::io::ErrorKind::TimedOut => End::Silent,
            _ => End::Closed,
        })
    }

    /// Asks the peer to release the association, and waits until it has.
    pub(crate) async fn release(mut self) {
        if self.write(&Pdu::ReleaseRQ).await.is_ok() {
            let lengths =
                Lengths { associate: self.limits.request_bytes, data: self.limits.pdu_bytes };
            let _ = pdu::read(&mut *self.connection, lengths, self.limits.artim).await;
        }
        pdu::close(&mut *self.connection, self.limits.artim).await;
    }

    /// Closes the connection as `end` asks for.
    pub(crate) async fn end(mut self, end: &End) {
        let limit = self.limits.artim;
        let connection = &mut *self.connection;
        match end {
            // Whoever released closes; so it is given the time to.
            End::Released | End::Aborted | End::Closed => pdu::close(connection, limit).await,
            End::Silent | End::Stopping => {
                pdu::abort(connection, Reason::ReasonNotSpecified, limit).await;
            }
            End::Invalid(_, reason) => pdu::abort(connection, reason.clone(), limit).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_sends_a_data_set_a_few_bytes_a_minute_is_as_good_as_silent() {
        let (near, mut far) = tokio::io::duplex(4096);
        let limits = Arc::new(Limits::default());
        let idle = limits.idle;
        let mut messages = Messages::new(Box::new(near), vec![1], limits, 4096);
        let sending = async {
            for _ in 0..100 {
                let value = PDataValue {
                    presentation_context_id: 1,
                    value_type: Kind::Data,
                    is_last: false,
                    data: vec![0; 10],
                };
                let data = Pdu::PData { data: vec![value] };
                pdu::write(&mut far, &data, idle).await.expect("room");
                tokio::time::sleep(idle - Duration::from_secs(1)).await;
            }
        };
        let read = messages.data(1, |_| ());
        tokio::select! {
            end = read => assert!(matches!(end, Err(End::Silent)), "{end:?}"),
            () = sending => panic!("it was let go on for hours"),
        }
    }
}
