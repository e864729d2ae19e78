//! Storage Commitment, push model (PS3.4, annex J): a peer asks which of its instances are kept, and is told by a report.

use std::sync::Arc;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries;
use futures::{StreamExt as _, stream};
use lobar_core::failure::{PortError, chain};
use lobar_core::study::Uid;

use crate::Peer;
use crate::command::{Command, field};
use crate::data_set::{self, Reference};
use crate::metrics::CommitmentOutcome;
use crate::negotiation::{Context, Service};
use crate::scu;
use crate::server::Shared;
use crate::storing::prefixes;
use crate::tables::{COMMITMENT, COMMITMENT_INSTANCE, Encoding, Status, TransferSyntax};

/// Request Storage Commitment (PS3.4, J.3.2).
const REQUEST: u16 = 1;
/// Storage Commitment Request Successful, and Complete - Failures Exist (PS3.4, J.3.3).
const ALL_KEPT: u16 = 1;
const FAILURES: u16 = 2;
/// Failure Reason (0008,1197): processing failure.
const PROCESSING_FAILURE: u16 = 0x0110;
/// Instances that are looked for at once.
const AT_ONCE: usize = 8;

/// What a peer asks.
pub(crate) struct Request {
    transaction: Uid,
    references: Vec<Reference>,
}

/// What it is told.
pub(crate) struct Report {
    transaction: Uid,
    kept: Vec<Reference>,
    failed: Vec<(Reference, u16)>,
}

/// Reads what a peer asks; the status is what it is answered at once if that cannot be.
pub(crate) async fn read(
    shared: &Shared,
    context: &Context,
    command: &Command,
    data: Option<Vec<u8>>,
) -> Result<Request, Status> {
    if command.class.as_ref().is_none_or(|class| class.as_str() != COMMITMENT.uid) {
        return Err(Status::WRONG_CLASS);
    }
    if command.instance.as_ref().is_none_or(|it| it.as_str() != COMMITMENT_INSTANCE) {
        return Err(Status::NO_SUCH_INSTANCE);
    }
    if command.kind != Some(REQUEST) {
        return Err(Status::NO_SUCH_EVENT);
    }
    let data = data.ok_or(Status::INVALID_ARGUMENT)?;
    let (syntax, most) = (context.syntax, shared.limits.commitment_instances);
    let parsed = tokio::task::spawn_blocking(move || parse(&data, syntax, most)).await;
    parsed.ok().flatten().ok_or(Status::INVALID_ARGUMENT)
}

/// The content of a request. `None` where it is none, or names more than `most` instances.
pub(crate) fn parse(data: &[u8], syntax: &TransferSyntax, most: usize) -> Option<Request> {
    let asked = data_set::asked(data, syntax.encoding, most).ok()?;
    Some(Request { transaction: asked.transaction, references: asked.references })
}

/// Looks for the instances in the bucket, at the site of the peer.
pub(crate) async fn examine(shared: &Shared, peer: &Peer, request: Request) -> Report {
    let looked: Vec<(Reference, Result<bool, PortError>)> = stream::iter(request.references)
        .map(async |one| {
            let kept = is_kept(shared, peer, &one.instance).await;
            (one, kept)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut report =
        Report { transaction: request.transaction, kept: Vec::new(), failed: Vec::new() };
    for (one, kept) in looked {
        match kept {
            Ok(true) => report.kept.push(one),
            Ok(false) => report.failed.push((one, Status::NO_SUCH_INSTANCE.code)),
            Err(error) => {
                tracing::warn!(
                    error = chain(&error),
                    "an instance could not be looked for in the bucket; its storage is not confirmed"
                );
                report.failed.push((one, PROCESSING_FAILURE));
            }
        }
    }
    report
}

async fn is_kept(shared: &Shared, peer: &Peer, instance: &Uid) -> Result<bool, PortError> {
    for prefix in prefixes(peer, instance) {
        let mut after = None;
        loop {
            let page = shared.listing.versions(&prefix, after).await?;
            if page.versions.iter().any(|version| version.latest) {
                return Ok(true);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(false)
}

impl Report {
    /// As it is counted.
    pub(crate) fn outcome(&self) -> CommitmentOutcome {
        match self.failed.is_empty() {
            true => CommitmentOutcome::Kept,
            false => CommitmentOutcome::Incomplete,
        }
    }

    /// The N-EVENT-REPORT.
    pub(crate) fn command(&self, message: u16) -> Command {
        Command {
            field: field::EVENT_REPORT,
            class: Uid::parse(COMMITMENT.uid),
            instance: Uid::parse(COMMITMENT_INSTANCE),
            message,
            has_data: true,
            status: None,
            kind: Some(if self.failed.is_empty() { ALL_KEPT } else { FAILURES }),
        }
    }

    /// Its data set (PS3.4, table J.3-2).
    pub(crate) fn data(&self, syntax: &TransferSyntax) -> Option<Vec<u8>> {
        let item = |one: &Reference, reason: Option<u16>| {
            let mut elements = vec![
                uid_element(tags::REFERENCED_SOP_CLASS_UID, &one.class),
                uid_element(tags::REFERENCED_SOP_INSTANCE_UID, &one.instance),
            ];
            elements.extend(reason.map(|reason| {
                DataElement::new(tags::FAILURE_REASON, VR::US, PrimitiveValue::from(reason))
            }));
            InMemDicomObject::from_element_iter(elements)
        };
        let kept: Vec<_> = self.kept.iter().map(|one| item(one, None)).collect();
        let failed: Vec<_> = self.failed.iter().map(|(it, why)| item(it, Some(*why))).collect();
        let mut elements = vec![uid_element(tags::TRANSACTION_UID, &self.transaction)];
        for (tag, items) in
            [(tags::FAILED_SOP_SEQUENCE, failed), (tags::REFERENCED_SOP_SEQUENCE, kept)]
        {
            if !items.is_empty() {
                elements.push(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
            }
        }
        let set = InMemDicomObject::from_element_iter(elements);
        let mut bytes = Vec::new();
        let written = match syntax.encoding {
            Encoding::Implicit => {
                set.write_dataset_with_ts(&mut bytes, &entries::IMPLICIT_VR_LITTLE_ENDIAN.erased())
            }
            _ => {
                set.write_dataset_with_ts(&mut bytes, &entries::EXPLICIT_VR_LITTLE_ENDIAN.erased())
            }
        };
        written.ok().map(|()| bytes)
    }
}

fn uid_element(tag: dicom_core::Tag, uid: &Uid) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::UI, PrimitiveValue::from(uid.as_str()))
}

/// Reports on an association of its own to the peer's address; tries again after pauses, and then gives up.
pub(crate) fn report_later(shared: Arc<Shared>, peer: Peer, request: Request) {
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let stop = shared.stop.receiving.clone();
        if stop.run_until_cancelled(Box::pin(report(&shared, &peer, request))).await.is_none() {
            tracing::warn!(ae_title = peer.title.as_str(), "a report on storage commitment was not sent: Lobar stops; the peer has to ask again");
            shared.metrics.committed(CommitmentOutcome::Unreported);
        }
    });
}

async fn report(shared: &Shared, peer: &Peer, request: Request) {
    let report = examine(shared, peer, request).await;
    let mut pauses = shared.limits.report_again.iter();
    loop {
        let Err(error) = send(shared, peer, &report).await else {
            return shared.metrics.committed(report.outcome());
        };
        let title = peer.title.as_str();
        let Some(pause) = pauses.next() else {
            tracing::warn!(ae_title = title, %error, "a report on storage commitment was given up; the peer has to ask again");
            return shared.metrics.committed(CommitmentOutcome::Unreported);
        };
        tracing::info!(ae_title = title, %error, "a report on storage commitment was not taken; trying again in {} s", pause.as_secs_f64());
        tokio::time::sleep(*pause).await;
    }
}

async fn send(shared: &Shared, peer: &Peer, report: &Report) -> Result<(), scu::EchoError> {
    let wanted = scu::Wanted { service: Service::Commitment, uid: COMMITMENT.uid, as_scp: true };
    let (mut messages, syntax) =
        scu::associate(peer, &shared.terms.title, wanted, &shared.limits).await?;
    let data = report.data(syntax);
    let sent = scu::ask(&mut messages, &report.command(1), data.as_deref(), &shared.limits).await;
    messages.release().await;
    sent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::TRANSFER_SYNTAXES;

    fn uid(text: &str) -> Uid {
        Uid::parse(text).expect("a UID")
    }

    #[test]
    fn a_report_is_read_as_a_request_is() {
        for syntax in TRANSFER_SYNTAXES.iter().filter(|it| crate::tables::is_plain(it)) {
            let one = |instance| Reference { class: uid("1.2.3"), instance: uid(instance) };
            let report = Report {
                transaction: uid("1.9"),
                kept: vec![one("1.5"), one("1.6")],
                failed: vec![(one("1.7"), 0x0112)],
            };
            assert_eq!(report.command(1).kind, Some(FAILURES));
            let data = report.data(syntax).expect("written");
            let read = parse(&data, syntax, 2).expect("read");
            assert_eq!(read.transaction.as_str(), "1.9");
            assert_eq!(read.references.len(), 2);
            assert!(parse(&data, syntax, 1).is_none(), "more than may be asked about");
            for end in 0..data.len() {
                let _ = parse(&data[..end], syntax, 2);
            }
        }
    }
}
